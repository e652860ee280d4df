//! Judges whether clusters report: conditions, taints and Events of a ManagedCluster (contract 2.3, 5.3).

use std::{collections::HashMap, time::Duration};

use api::{
    clusters::ManagedCluster,
    conditions::find,
    names::{conditions as types, finalizers},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, ResourceExt as _, api::Patch};
use parking_lot::Mutex;
use serde_json::json;
use tracing::{info, warn};

use super::{
    context::Context,
    deregister::deregister,
    io::{Error, patch_params},
    pulse::{self, Evidence, Pulse},
    reseal::reseal,
};

/// A look right at the end of the grace could still come too early by a rounded second.
const MARGIN: Duration = Duration::from_millis(100);

/// What the hub has seen since it started.
#[derive(Debug)]
pub(crate) struct Memory {
    clusters: Mutex<HashMap<String, Seen>>,
    watching_since: Mutex<Timestamp>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    reported: Option<Timestamp>,
    changed_at: Option<Timestamp>,
    /// The status of Ready at the last look, empty without the condition; none before the first look.
    ready: Option<String>,
}

impl Memory {
    /// The hub begins to watch.
    pub(crate) fn watching(since: Timestamp) -> Self {
        Self { clusters: Mutex::default(), watching_since: Mutex::new(since) }
    }

    /// The parent could not be seen until now.
    pub(crate) fn blind(&self) {
        *self.watching_since.lock() = Timestamp::now();
    }

    /// Takes note of a report; when the hub saw it change.
    fn note_report(&self, uid: &str, reported: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let mut all = self.clusters.lock();
        let Some(seen) = all.get_mut(uid) else {
            all.insert(uid.to_owned(), Seen { reported, ..Seen::default() });
            return None;
        };
        if seen.reported != reported {
            (seen.reported, seen.changed_at) = (reported, Some(now));
        }
        seen.changed_at
    }

    /// Takes note of Ready; whether it is another than at the last look.
    fn note_ready(&self, uid: &str, ready: Option<&str>) -> bool {
        let ready = ready.unwrap_or_default();
        let mut all = self.clusters.lock();
        let seen = all.entry(uid.to_owned()).or_default();
        let before = seen.ready.replace(ready.to_owned());
        before.is_some_and(|before| before != ready)
    }

    /// The cluster is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.clusters.lock().remove(uid);
    }
}

/// One round for one cluster; when to look again.
pub(crate) async fn examine(context: &Context, cluster: &ManagedCluster) -> Result<Duration, Error> {
    let uid = cluster.uid().unwrap_or_default();
    if cluster.metadata.deletion_timestamp.is_some() {
        if cluster.finalizers().iter().any(|it| it == finalizers::DEREGISTER) {
            deregister(context, cluster).await?;
        }
        context.memory.forget(&uid);
        return Ok(context.options.resync);
    }
    let now = Timestamp::now();
    let reported = cluster.status.as_ref().and_then(|it| it.last_observed_time.as_ref()).map(|time| time.0);
    let change_seen = context.memory.note_report(&uid, reported, now);
    let watching_since = *context.memory.watching_since.lock();
    let evidence = Evidence { now, change_seen, watching_since };
    let pulse = pulse::pulse(cluster, evidence);
    let skew = pulse::skew(cluster, evidence);

    let wanted = pulse::judge_conditions(cluster, pulse, skew, now);
    let (cluster, tainted) = write_taints(context, cluster, &wanted).await?;
    // Taints are part of the spec, so writing them has made a new generation for the conditions to speak of.
    let wanted = pulse::judge_conditions(&cluster, pulse, skew, now);
    let newly_skewed = is_new(&cluster, &wanted, types::CLOCK_SKEW);
    write_status(context, &cluster, pulse, &wanted).await?;

    let changed = context.memory.note_ready(&uid, ready(&wanted).map(|ready| ready.status.as_str()));
    if changed || tainted {
        tell(context, &cluster, pulse, &wanted).await;
    }
    if let (true, Some(condition)) = (newly_skewed, find(&wanted, types::CLOCK_SKEW)) {
        context.events.warning(&cluster, "ClockSkew", &condition.message).await;
    }
    match pulse {
        Pulse::Beating(left) => Ok(left.saturating_add(MARGIN)),
        Pulse::Lost | Pulse::NeverReported => reseal(context, &cluster).await,
    }
}

fn ready(all: &[Condition]) -> Option<&Condition> {
    find(all, types::READY)
}

/// Whether the condition comes, or turns to another reason.
fn is_new(cluster: &ManagedCluster, wanted: &[Condition], type_: &str) -> bool {
    let current = cluster.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let reason = |all: &[Condition]| find(all, type_).map(|condition| condition.reason.clone());
    reason(wanted).is_some_and(|wanted| reason(current).is_none_or(|current| current != wanted))
}

/// Brings the taints in line with the conditions; the object after that, and whether it took a write.
async fn write_taints(
    context: &Context,
    cluster: &ManagedCluster,
    wanted: &[Condition],
) -> Result<(ManagedCluster, bool), Error> {
    let taints = pulse::judge_taints(&cluster.spec.taints, wanted);
    if taints == cluster.spec.taints {
        return Ok((cluster.clone(), false));
    }
    let patch = json!({
        "metadata": { "resourceVersion": cluster.resource_version() },
        "spec": { "taints": taints },
    });
    let clusters = clusters(context, cluster);
    let patched = clusters.patch(&cluster.name_any(), &patch_params(), &Patch::Merge(&patch)).await?;
    Ok((patched, true))
}

/// Writes the conditions, and that a silent cluster is not healthy, if they are other than they should be. Fails if
/// the agent was faster.
async fn write_status(
    context: &Context,
    cluster: &ManagedCluster,
    pulse: Pulse,
    wanted: &[Condition],
) -> Result<(), Error> {
    let status = cluster.status.clone().unwrap_or_default();
    let silent = !matches!(pulse, Pulse::Beating(_));
    let mut patch = json!({});
    if status.conditions != wanted {
        patch["conditions"] = json!(wanted);
    }
    if silent && (cluster.status.is_none() || status.healthz || status.livez || status.readyz) {
        for probe in ["healthz", "livez", "readyz"] {
            patch[probe] = json!(false);
        }
    }
    if patch == json!({}) {
        return Ok(());
    }
    let patch = json!({
        "metadata": { "resourceVersion": cluster.resource_version() },
        "status": patch,
    });
    clusters(context, cluster)
        .patch_status(&cluster.name_any(), &patch_params(), &Patch::Merge(&patch))
        .await?;
    Ok(())
}

fn clusters(context: &Context, cluster: &ManagedCluster) -> Api<ManagedCluster> {
    Api::namespaced(context.client.clone(), &cluster.namespace().unwrap_or_default())
}

/// One Event and one log line per change of Ready.
async fn tell(context: &Context, cluster: &ManagedCluster, pulse: Pulse, wanted: &[Condition]) {
    let Some(ready) = ready(wanted) else { return };
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let (id, reason) = (cluster.spec.cluster_id.as_str(), ready.reason.as_str());
    if ready.status == "True" {
        info!(cluster = id, namespace, name, "cluster is ready");
        let note = "The cluster is ready, and open for workloads.";
        context.events.normal(cluster, reason, note).await;
        return;
    }
    warn!(cluster = id, namespace, name, reason, "cluster is not ready");
    if !matches!(pulse, Pulse::Beating(_)) {
        context.counters.lost();
    }
    let note = format!("{} It is closed for new workloads by a taint.", ready.message);
    context.events.warning(cluster, reason, &note).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sight_of_a_report_is_no_change() {
        let memory = Memory::watching(Timestamp::UNIX_EPOCH);
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(memory.note_report("a", Some(at(5)), at(10)), None);
        assert_eq!(memory.note_report("a", Some(at(5)), at(20)), None);
        assert_eq!(memory.note_report("a", Some(at(6)), at(30)), Some(at(30)));
        assert_eq!(memory.note_report("a", Some(at(6)), at(40)), Some(at(30)));
        memory.forget("a");
        assert_eq!(memory.note_report("a", Some(at(7)), at(50)), None);
    }

    #[test]
    fn a_restart_of_the_hub_is_no_change_of_ready() {
        let memory = Memory::watching(Timestamp::UNIX_EPOCH);
        assert!(!memory.note_ready("a", Some("True")));
        assert!(!memory.note_ready("a", Some("True")));
        assert!(memory.note_ready("a", Some("Unknown")));
        assert!(!memory.note_ready("b", None));
        assert!(memory.note_ready("b", Some("True")));
    }
}
