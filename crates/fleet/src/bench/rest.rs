//! What hub and agent cost while nothing happens, and how much the parent is written.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;

use super::{Budget, Figure};
use crate::{fleet::Fleet, install, load};

pub(super) const MEBIBYTE: f64 = 1_048_576.0;
/// How long things are left alone before and while they are measured.
const QUIET: Duration = Duration::from_secs(20);
const WATCHED: Duration = Duration::from_secs(60);
/// The agents of a fleet report this often.
const PERIOD: f64 = 10.0;
/// In a child with many pods.
pub(super) const PODS: u32 = 20_000;

/// Memory and processor time of an idle agent and hub; memory of the agent again beside many pods.
pub(super) async fn idle(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let child = fleet.cluster("child1")?;
    let agent = Fleet::agent_name(&child);
    sleep(QUIET).await;
    let before = processor_seconds(fleet, &agent)?;
    sleep(WATCHED).await;
    let share = (processor_seconds(fleet, &agent)? - before) / WATCHED.as_secs_f64() * 100.0;
    let resident_idle = resident(fleet, &agent)?;
    let hub = resident(fleet, install::HUB)?;
    load::load(fleet, &child, PODS).await?;
    sleep(QUIET).await;
    let resident_loaded = resident(fleet, &agent)?;
    Ok(vec![
        Figure::new("idle", "agent_resident", "MiB", resident_idle, None, Budget::AtMost(15.0)),
        Figure::new("idle", "agent_processor", "%", share, None, Budget::AtMost(0.2)),
        Figure::new(
            "idle",
            "agent_growth_20000_pods",
            "MiB",
            resident_loaded - resident_idle,
            None,
            Budget::AtMost(10.0),
        ),
        Figure::new("idle", "hub_resident_2_children", "MiB", hub, None, Budget::AtMost(60.0)),
    ])
}

/// How often agents and hub write an unchanged cluster's objects in the parent, per report period. The parent's own
/// count, so that writes which change nothing are in it too.
pub(super) async fn writes(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let parent = fleet.parent()?;
    let metrics = async || parent.kubectl_ok(&["get", "--raw", "/metrics"]).await;
    let before = written(&metrics().await?);
    sleep(WATCHED).await;
    let writes = written(&metrics().await?) - before;
    let per_period = writes / fleet.children().len() as f64 / (WATCHED.as_secs_f64() / PERIOD);
    // One write more or less falls into the time watched by chance.
    Ok(vec![Figure::new("writes", "per_cluster_and_period", "", per_period, None, Budget::AtMost(1.17))])
}

/// Writes to the objects of registered clusters that an API server's metrics tell of.
fn written(metrics: &str) -> f64 {
    let counts = |line: &&str| {
        line.starts_with("apiserver_request_total{")
            && ["resource=\"managedclusters\"", "resource=\"clusterregistrationrequests\""]
                .iter()
                .any(|resource| line.contains(resource))
            && ["verb=\"POST\"", "verb=\"PUT\"", "verb=\"PATCH\"", "verb=\"APPLY\"", "verb=\"DELETE\""]
                .iter()
                .any(|verb| line.contains(verb))
    };
    metrics.lines().filter(counts).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Resident memory of a process, in MiB.
pub(super) fn resident(fleet: &Fleet, name: &str) -> anyhow::Result<f64> {
    let process = fleet.process(name).with_context(|| format!("{name} is not running"))?;
    Ok(process.resident().context("its memory cannot be read")? as f64 / MEBIBYTE)
}

fn processor_seconds(fleet: &Fleet, name: &str) -> anyhow::Result<f64> {
    let process = fleet.process(name).with_context(|| format!("{name} is not running"))?;
    Ok(process.processor_time().context("its processor time cannot be read")?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_to_clusters_and_requests_count() {
        let metrics = "\
# HELP apiserver_request_total Counter of apiserver requests
apiserver_request_total{code=\"200\",resource=\"managedclusters\",subresource=\"status\",verb=\"PATCH\"} 136
apiserver_request_total{code=\"200\",resource=\"managedclusters\",subresource=\"\",verb=\"GET\"} 142
apiserver_request_total{code=\"201\",resource=\"clusterregistrationrequests\",subresource=\"\",verb=\"POST\"} 2
apiserver_request_total{code=\"200\",resource=\"leases\",subresource=\"\",verb=\"PUT\"} 748
";
        assert!((written(metrics) - 138.0).abs() < f64::EPSILON);
    }
}
