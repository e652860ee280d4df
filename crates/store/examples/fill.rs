//! Fills a store with generated pods and prints one line of JSON: how many were written and how fast, and some of them
//! to ask for.
//!
//! ```text
//! cargo run --release -p store --features conformance --example fill -- CONFIG [PODS]
//! ```
//!
//! `CONFIG` is a storage configuration. What is there already stays as it is.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use anyhow::Context as _;
use serde_json::{Value, json};
use store::{
    Backends, Config,
    sample::{self, APPLICATIONS, NAMESPACES, PODS_PER_CLUSTER},
};

/// Pods that are named in the output.
const NAMED: usize = 40;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let config = arguments.next().context("usage: fill CONFIG [PODS]")?;
    let pods: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let config = Config::parse(&std::fs::read_to_string(&config)?, |_| None)?;
    let store = Backends::default().open(&config).await?;
    let filled = sample::fill(&*store, pods).await?;
    let clusters = pods.div_ceil(PODS_PER_CLUSTER);
    println!(
        "{}",
        json!({
            "written": filled.written,
            "per_second": filled.written as f64 / filled.writing.as_secs_f64().max(1e-9),
            "clusters": (0..clusters).map(|number| sample::cluster(number).to_string()).collect::<Vec<_>>(),
            "pods": (0..NAMED).map(|number| named(number, clusters)).collect::<Vec<_>>(),
        })
    );
    Ok(())
}

/// What can be asked for: one pod here, one there.
fn named(number: usize, clusters: usize) -> Value {
    let (cluster, namespace, application) =
        (number * 7 % clusters, number * 3 % NAMESPACES, number * 11 % APPLICATIONS);
    let pod = sample::pod(cluster, namespace, application, 0).key;
    json!({
        "cluster": sample::cluster(cluster).to_string(),
        "namespace": pod.namespace,
        "name": pod.name,
        "owner": pod.owner.map(|owner| owner.uid),
        "labels": pod.labels,
    })
}
