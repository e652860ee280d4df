//! How long a pod's cells take: `cargo run --release --example measure`.

use std::{hint::black_box, path::Path, time::Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

/// As many as there are in a page.
const PODS: u32 = 500;
const ROUNDS: u32 = 200;

#[expect(clippy::print_stdout, reason = "its result")]
fn main() -> Result<()> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pods.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(golden)?)?;
    let rows = golden["rows"].as_array().context("no rows")?;
    let pods: Vec<_> = rows
        .iter()
        .map(|row| usual_size(&row["objects"][0]).to_string())
        .cycle()
        .take(PODS as usize)
        .collect();
    let size = pods.iter().map(String::len).sum::<usize>() / pods.len();
    let now: Timestamp = golden["now"].as_str().context("no time")?.parse()?;
    let printer = printers::printer("", "v1", "pods").context("no printer")?;
    let started = Instant::now();
    for _ in 0..ROUNDS {
        for pod in &pods {
            black_box(printer.cells(black_box(pod.as_bytes()), now)?);
        }
    }
    let table = started.elapsed() / ROUNDS;
    println!("{PODS} pods of {size} bytes: {table:?}, {:?} each", table / PODS);
    Ok(())
}

/// The golden pods are bare; others come with environments, volumes and tolerations that nobody prints.
fn usual_size(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let variables: Vec<_> =
        (0..24).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "a \"value\""})).collect();
    let volumes: Vec<_> = (0..8)
        .map(
            |n| json!({"name": format!("volume-{n}"), "configMap": {"name": "settings", "defaultMode": 420}}),
        )
        .collect();
    for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
        container["env"] = json!(variables);
    }
    pod["spec"]["volumes"] = json!(volumes);
    pod["metadata"]["labels"] = json!({"app": "web", "pod-template-hash": "6f7d9c5b8", "tier": "front"});
    pod
}
