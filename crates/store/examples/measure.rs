//! Writes generated pods into a store and prints what each query shape takes, as JSON lines.
//!
//! ```text
//! cargo run --release -p store --features conformance --example measure -- PLACE [OBJECTS] [ROUNDS]
//! ```
//!
//! `PLACE` is a directory, in which `measure.db` is used again if it is there, and left behind; or a PostgreSQL database
//! (`host=… dbname=…` or `postgres://…`), of which the same is true; or `postgres`, for a server that is started for it
//! and ends with it.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::{num::NonZeroU64, path::Path, sync::Arc, time::Instant};

use meta::{FieldPath, FieldRequirement, FieldSelector, LabelRequirement, LabelSelector, Operator, Step};
use serde_json::json;
use store::{
    Ancestor, Backends, Config, Content, ObjectName, OrderBy, OrderField, OwnedBy, Query, Start, Store,
    Visible, sample,
};
use testkit::postgres::Postgres;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().ok_or_else(|| anyhow::anyhow!("usage: measure PLACE [OBJECTS] [ROUNDS]"))?;
    let objects: usize = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(30), |text| text.parse())?;
    let file = Path::new(&place).join("measure.db");
    let (mut server, mut kind, mut dsn) = (None, "postgres", place.clone());
    if place == "postgres" {
        // As an administrator sets it up for this much data, and with a disk that is waited for.
        let started = Postgres::start_with(&["shared_buffers=1GB", "fsync=on", "max_wal_size=4GB"]).await?;
        dsn = started.create_database("measure").await?;
        server = Some(started);
    } else if Path::new(&place).is_dir() {
        (kind, dsn) = ("sqlite", file.to_string_lossy().into_owned());
    }
    let config = Config { kind: kind.into(), dsn: Some(dsn), ..Config::default() };
    let store = Backends::default().open(&config).await?;
    fill(&store, objects, &file).await?;
    index_fields(&store).await?;
    shapes(&store, rounds).await?;
    drop(server);
    Ok(())
}

async fn fill(store: &Arc<dyn Store>, objects: usize, path: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    let filled = sample::fill(&**store, objects).await?;
    let size = std::fs::metadata(path).ok().map(|file| file.len() >> 20);
    let rate = filled.written as f64 / filled.writing.as_secs_f64().max(1e-9);
    println!(
        "{}",
        json!({"shape": "insert", "objects": filled.written, "per_second": rate.round(), "seconds_with_generator": began.elapsed().as_secs(), "file_mb": size, "highest_kb": memory("VmHWM:")})
    );
    Ok(())
}

/// Uses the fields of the shapes once and waits until they are indexed: until a search for them is quick.
async fn index_fields(store: &Arc<dyn Store>) -> anyhow::Result<()> {
    let query = Query { content: Content::Keys, ..failed() };
    let began = Instant::now();
    let first = time(store, &query).await?;
    loop {
        let now = time(store, &query).await?;
        if now.0 * 20.0 < first.0 || now.0 < 5.0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    println!(
        "{}",
        json!({"shape": "field, before it is indexed", "ms": first.0, "indexed_after_seconds": began.elapsed().as_secs()})
    );
    Ok(())
}

fn all() -> Query {
    Query::of(sample::pods())
}

fn field(path: &[&str], value: &str) -> FieldSelector {
    let steps = path.iter().map(|name| Step::Field((*name).into())).collect();
    let operator = Operator::In([value.to_owned()].into());
    FieldSelector { requirements: vec![FieldRequirement { path: FieldPath { steps }, operator }] }
}

fn label(key: &str, value: &str) -> LabelSelector {
    let operator = Operator::In([value.to_owned()].into());
    LabelSelector { requirements: vec![LabelRequirement { key: key.into(), operator }] }
}

fn failed() -> Query {
    Query { fields: field(&["status", "phase"], "Failed"), ..all() }
}

async fn shapes(store: &Arc<dyn Store>, rounds: usize) -> anyhow::Result<()> {
    let one = sample::pod(0, 7, 11, 0).key;
    let hash = one.labels.get("pod-template-hash").cloned().unwrap_or_default();
    let owner = one.owner.as_ref().map(|owner| owner.uid.clone()).unwrap_or_default();
    let some_clusters = || Some((0..1).map(sample::cluster).collect());
    let hits = NonZeroU64::new(500);
    // Ten namespaces in each of 50 clusters.
    let limited = (0..50).map(|number| {
        (sample::cluster(number), Visible::Namespaces((7..17).map(sample::namespace).collect()))
    });
    let limited = Some(limited.collect());
    let mut shapes = vec![
        (
            "label in all clusters, as a limited user",
            Query { labels: label("pod-template-hash", &hash), allowed: limited.clone(), ..all() },
        ),
        (
            "name in all clusters, as a limited user",
            Query { names: [one.name.clone()].into(), allowed: limited.clone(), ..all() },
        ),
        (
            "fuzzy name, unusual, as a limited user",
            Query { fuzzy_names: vec![one.name[8..20].to_owned()], allowed: limited.clone(), ..all() },
        ),
        ("label in all clusters", Query { labels: label("pod-template-hash", &hash), ..all() }),
        (
            "label in one cluster",
            Query { labels: label("app", "worker-005"), clusters: some_clusters(), ..all() },
        ),
        (
            "label and namespace in all clusters",
            Query { labels: label("app", "worker-005"), namespaces: [sample::namespace(7)].into(), ..all() },
        ),
        ("name in all clusters", Query { names: [one.name.clone()].into(), ..all() }),
        ("fuzzy name, unusual", Query { fuzzy_names: vec![one.name[8..20].to_owned()], ..all() }),
        (
            "fuzzy name in one cluster",
            Query { fuzzy_names: vec!["worker-005".into()], clusters: some_clusters(), ..all() },
        ),
        (
            "fuzzy name, usual, first 100",
            Query { fuzzy_names: vec!["worker".into()], limit: NonZeroU64::new(100), ..all() },
        ),
        (
            "owner",
            Query {
                owner: Some(OwnedBy { ancestor: Ancestor::Uid(owner), seniority: 0 }),
                clusters: some_clusters(),
                ..all()
            },
        ),
        ("field in all clusters", failed()),
        ("since, last pods", Query { since: Some(1_750_000_000 + 31_536_000 - 3000), ..all() }),
        (
            "label, by creation, page of 500",
            Query {
                labels: label("app", "worker-005"),
                order: vec![OrderBy::descending(OrderField::CreatedAt)],
                limit: hits,
                ..all()
            },
        ),
    ];
    for (name, field) in [
        ("name", OrderField::Name),
        ("namespace, name", OrderField::Namespace),
        ("created", OrderField::CreatedAt),
        ("sequence", OrderField::Sequence),
        ("cluster", OrderField::Cluster),
        ("resource version", OrderField::ResourceVersion),
    ] {
        for descending in [false, true] {
            let direction = if descending { "descending" } else { "ascending" };
            let label: &'static str =
                Box::leak(format!("page of 500 by {name}, {direction}").into_boxed_str());
            let page = Query { order: vec![OrderBy { field, descending }], limit: hits, ..all() };
            let label_limited: &'static str =
                Box::leak(format!("{label}, as a limited user").into_boxed_str());
            shapes.push((label_limited, Query { allowed: limited.clone(), ..page.clone() }));
            shapes.push((label, page));
        }
    }
    let middle = |field| Query {
        order: vec![OrderBy::ascending(field)],
        limit: hits,
        start: Start::Offset(499_500),
        ..all()
    };
    shapes.push(("page 1000 by name, decimal offset", middle(OrderField::Name)));
    shapes.push(("page 1000 by cluster, decimal offset", middle(OrderField::Cluster)));
    shapes.push(("page 1000 by created, decimal offset", middle(OrderField::CreatedAt)));
    shapes.push(("page 1000 by resource version, decimal offset", middle(OrderField::ResourceVersion)));

    for (name, query) in &shapes {
        report(store, name, query, rounds).await?;
    }
    for (name, field) in
        [("name", OrderField::Name), ("created", OrderField::CreatedAt), ("namespace", OrderField::Namespace)]
    {
        let page = Query { content: Content::Keys, ..middle(field) };
        let mut rows = store.select(page.clone()).await?;
        while rows.next().await?.is_some() {}
        if let Some(token) = rows.continue_token() {
            let query = Query { start: Start::After(token.clone()), content: Content::Whole, ..page };
            report(store, &format!("page 1001 by {name}, continue token"), &query, rounds).await?;
        }
    }
    let keys = Query {
        limit: hits,
        content: Content::Keys,
        order: vec![OrderBy::ascending(OrderField::Name)],
        ..all()
    };
    report(store, "page of 500 by name, keys only", &keys, rounds).await?;

    for (name, query) in &shapes[..13] {
        if query.limit.is_none() {
            count(store, name, query, rounds).await?;
        }
    }
    count(store, "everything", &all(), rounds).await?;
    let pods = sample::pods();
    let mut times = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        store.get(&sample::cluster(0), &pods, &ObjectName::new(&*one.namespace, &*one.name)).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    print("get", times, 1);
    println!(
        "{}",
        json!({"shape": "memory", "resident_kb": memory("VmRSS:"), "highest_kb": memory("VmHWM:")})
    );
    Ok(())
}

/// A line of what Linux knows of this process.
fn memory(line: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|text| text.strip_prefix(line))?.split_whitespace().next()?.parse().ok()
}

/// Milliseconds and rows of one answer.
async fn time(store: &Arc<dyn Store>, query: &Query) -> anyhow::Result<(f64, usize)> {
    let began = Instant::now();
    let mut rows = store.select(query.clone()).await?;
    let mut count = 0;
    while rows.next().await?.is_some() {
        count += 1;
    }
    Ok((began.elapsed().as_secs_f64() * 1e3, count))
}

async fn report(store: &Arc<dyn Store>, name: &str, query: &Query, rounds: usize) -> anyhow::Result<()> {
    let (mut times, mut rows) = (Vec::new(), 0);
    for _ in 0..rounds {
        let (time, count) = time(store, query).await?;
        times.push(time);
        rows = count;
    }
    print(name, times, rows);
    Ok(())
}

async fn count(store: &Arc<dyn Store>, name: &str, query: &Query, rounds: usize) -> anyhow::Result<()> {
    let (mut times, mut total) = (Vec::new(), 0);
    for _ in 0..rounds {
        let began = Instant::now();
        total = store.count(query.clone()).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    print(&format!("count: {name}"), times, total as usize);
    Ok(())
}

fn print(shape: &str, mut times: Vec<f64>, rows: usize) {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1)));
    let round = |time: Option<&f64>| time.map(|time| (time * 1000.0).round() / 1000.0);
    println!(
        "{}",
        json!({"shape": shape, "rows": rows, "p50_ms": round(at(0.5)), "p99_ms": round(at(0.99))})
    );
}
