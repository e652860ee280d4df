//! What hub and agents cost while nothing happens: memory, processor time, writes in the parent.

use std::time::Duration;

use anyhow::Context as _;

use crate::{
    bench::{Budget, Figure},
    fleet::Fleet,
    install::HUB,
    load,
    process::Process,
};

const MIB: f64 = 1024.0 * 1024.0;
/// How long idle processes are watched.
const WATCHED: Duration = Duration::from_secs(60);
/// The agents of the fleet report this often.
const REPORT_PERIOD: Duration = Duration::from_secs(10);
const PODS: u32 = 20_000;

/// The agent registered and idle, and with 20,000 pods in its cluster.
pub(super) async fn agent(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let child = fleet.cluster("child1")?;
    let agent = fleet.process(&Fleet::agent_name(&child)).context("no agent runs")?;
    // The other agent's cluster stays small: the reference of the same run.
    let other = fleet.process(&Fleet::agent_name(&fleet.cluster("child2")?)).context("no second agent runs")?;
    let idle = share_of_a_core(&other).await?;
    let small = memory(&other)?;
    load::load(fleet, &child, PODS).await?;
    let loaded = share_of_a_core(&agent).await?;
    let big = memory(&agent)?;
    Ok(vec![
        Figure::new("agent", "idle_resident", "MiB", small, None, Budget::AtMost(15.0)),
        Figure::new("agent", "growth_with_20000_pods", "MiB", (big - small).max(0.0), None, Budget::AtMost(10.0)),
        Figure::new("agent", "idle_cpu", "%", idle, None, Budget::AtMost(0.2)),
        Figure::new("agent", "cpu_with_20000_pods", "%", loaded, None, Budget::AtMost(0.2)),
    ])
}

/// The hub with the fleet's children, idle.
pub(super) async fn hub(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let hub = fleet.process(HUB).context("no hub runs")?;
    let cpu = share_of_a_core(&hub).await?;
    Ok(vec![
        Figure::new("hub", "idle_resident", "MiB", memory(&hub)?, None, Budget::AtMost(60.0)),
        Figure::new("hub", "idle_cpu", "%", cpu, None, Budget::AtMost(1.0)),
    ])
}

/// How often an unchanged cluster is written in the parent, from the parent's audit log.
pub(super) async fn parent_writes(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let log = fleet.log_directory().join("parent-audit.log");
    let before = std::fs::metadata(&log)?.len() as usize;
    tokio::time::sleep(WATCHED).await;
    let bytes = std::fs::read(&log)?;
    let text = String::from_utf8_lossy(bytes.get(before..).unwrap_or_default()).into_owned();
    let mut writes = 0u32;
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let is = |pointer: &str, wanted: &str| event.pointer(pointer).and_then(|value| value.as_str()) == Some(wanted);
        let written = ["create", "update", "patch"].iter().any(|verb| is("/verb", verb));
        let about_a_cluster = ["managedclusters", "clusterregistrationrequests"]
            .iter()
            .any(|resource| is("/objectRef/resource", resource));
        writes += u32::from(written && about_a_cluster);
    }
    let periods = WATCHED.as_secs_f64() / REPORT_PERIOD.as_secs_f64();
    let clusters = fleet.children().len() as f64;
    let per_period = f64::from(writes) / clusters / periods;
    // A period may end just inside the time that is watched.
    let most = (periods + 1.0) / periods;
    Ok(vec![Figure::new("parent", "writes_per_cluster_and_period", "", per_period, None, Budget::AtMost(most))])
}

fn memory(process: &Process) -> anyhow::Result<f64> {
    let name = &process.spec.name;
    Ok(process.resident().with_context(|| format!("{name} does not run"))? as f64 / MIB)
}

async fn share_of_a_core(process: &Process) -> anyhow::Result<f64> {
    let name = &process.spec.name;
    let before = process.processor_time().with_context(|| format!("{name} does not run"))?;
    tokio::time::sleep(WATCHED).await;
    let after = process.processor_time().with_context(|| format!("{name} has ended"))?;
    Ok((after - before).as_secs_f64() / WATCHED.as_secs_f64() * 100.0)
}
