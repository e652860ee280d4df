//! What hub and agent cost while nothing happens, and how much the parent is written.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use kube::{
    Api,
    api::ListParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use tokio::time::sleep;

use super::{Budget, Figure};
use crate::{fleet::Fleet, install, load};

const MEBIBYTE: f64 = 1_048_576.0;
/// How long things are left alone before and while they are measured.
const QUIET: Duration = Duration::from_secs(20);
const WATCHED: Duration = Duration::from_secs(60);
/// The agents of a fleet report this often.
const PERIOD: f64 = 10.0;
const PODS: u32 = 20_000;

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

/// How often an unchanged cluster's objects are written in the parent, per report period.
pub(super) async fn writes(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let client = fleet.parent()?.client().await?;
    let clusters = fleet.children().len() as f64;
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut changes = 0_u32;
    let ends = tokio::time::Instant::now() + WATCHED;
    while tokio::time::Instant::now() < ends {
        for kind in ["ManagedCluster", "ClusterRegistrationRequest"] {
            let kind =
                ApiResource::from_gvk(&GroupVersionKind::gvk("clusters.clusternet.io", "v1beta1", kind));
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
            for object in api.list(&ListParams::default()).await? {
                let name = format!("{}/{}", kind.kind, object.metadata.name.unwrap_or_default());
                let version = object.metadata.resource_version.unwrap_or_default();
                // Looked at faster than anybody writes: each change is seen.
                if seen.insert(name, version.clone()).is_some_and(|before| before != version) {
                    changes += 1;
                }
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    let per_period = f64::from(changes) / clusters / (WATCHED.as_secs_f64() / PERIOD);
    // One write more or less falls into the time watched by chance.
    Ok(vec![Figure::new("writes", "per_cluster_and_period", "", per_period, None, Budget::AtMost(1.17))])
}

fn resident(fleet: &Fleet, name: &str) -> anyhow::Result<f64> {
    let process = fleet.process(name).with_context(|| format!("{name} is not running"))?;
    Ok(process.resident().context("its memory cannot be read")? as f64 / MEBIBYTE)
}

fn processor_seconds(fleet: &Fleet, name: &str) -> anyhow::Result<f64> {
    let process = fleet.process(name).with_context(|| format!("{name} is not running"))?;
    Ok(process.processor_time().context("its processor time cannot be read")?.as_secs_f64())
}
