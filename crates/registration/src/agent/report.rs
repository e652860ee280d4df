//! Telling the parent: at once when something changed, else as a heartbeat.

use std::collections::BTreeMap;

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster, ManagedClusterStatus},
    conditions::{Wanted, set},
    names::{self, conditions},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Duration, Instant};
use tracing::debug;

use super::collect::Observation;

/// Remembers what the parent was told last, so that nothing is told twice.
#[derive(Default)]
pub(super) struct Reporter {
    told: Option<(Observation, Instant)>,
    told_labels: Option<BTreeMap<String, String>>,
}

impl Reporter {
    /// Reports if there is something to report: a difference, or a heartbeat that is due.
    pub(super) async fn report(
        &mut self,
        to: &Parent<'_>,
        seen: &Observation,
        period: Duration,
    ) -> kube::Result<()> {
        if self.is_due(seen, period) {
            to.write_status(&seen.status).await?;
            self.told = Some((seen.clone(), Instant::now()));
        }
        let mut labels = to.labels.clone();
        labels.extend(seen.labels.clone());
        if self.told_labels.as_ref() != Some(&labels) {
            to.write_labels(&labels).await?;
            self.told_labels = Some(labels);
        }
        Ok(())
    }

    fn is_due(&self, seen: &Observation, period: Duration) -> bool {
        self.told.as_ref().is_none_or(|(told, when)| told.status != seen.status || when.elapsed() >= period)
    }
}

/// Where reports go.
pub(super) struct Parent<'a> {
    pub(super) client: &'a Client,
    pub(super) cluster_id: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// Labels wanted by the agent's flags.
    pub(super) labels: &'a BTreeMap<String, String>,
}

impl Parent<'_> {
    async fn write_status(&self, status: &ManagedClusterStatus) -> kube::Result<()> {
        let clusters: Api<ManagedCluster> = Api::namespaced(self.client.clone(), self.namespace);
        let current = clusters.get(self.name).await?;
        let now = Timestamp::now();
        let before = current.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let mut next = status.clone();
        next.conditions = with_ready(before, &next, current.metadata.generation, now);
        next.last_observed_time = Some(Time(now));
        // The version makes this fail when the hub was faster, so its conditions are never overwritten unseen. Emptied
        // fields are named as null: a merge patch leaves out what it does not mention.
        let mut status = json!(next);
        for field in ["clusterCIDR", "serviceCIDR", "nodeStatistics", "capacity", "allocatable"] {
            if status.get(field).is_none() {
                status[field] = serde_json::Value::Null;
            }
        }
        let patch =
            json!({ "metadata": { "resourceVersion": current.resource_version() }, "status": status });
        clusters.patch_status(self.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        debug!(cluster = self.cluster_id, "reported");
        Ok(())
    }

    /// Labels go into our own request: the hub decides which of them it copies.
    async fn write_labels(&self, wanted: &BTreeMap<String, String>) -> kube::Result<()> {
        let requests: Api<ClusterRegistrationRequest> = Api::all(self.client.clone());
        let name = names::of_cluster(self.cluster_id);
        let Some(current) = requests.get_opt(&name).await? else { return Ok(()) };
        if current.spec.cluster_labels == *wanted {
            return Ok(());
        }
        let gone = current.spec.cluster_labels.keys().filter(|key| !wanted.contains_key(*key));
        let mut labels = json!(wanted);
        for key in gone {
            labels[key] = serde_json::Value::Null;
        }
        let patch = json!({ "spec": { "clusterLabels": labels } });
        requests.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok(())
    }
}

/// The conditions with ours in place. Its transition time changes only with its status.
fn with_ready(
    before: &[Condition],
    status: &ManagedClusterStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let healthy = (status.livez && status.readyz) || status.healthz;
    let (word, reason, message) = if healthy {
        ("True", conditions::MANAGED_CLUSTER_READY, "The cluster's API server is healthy.".to_owned())
    } else {
        let failing = [("/livez", status.livez), ("/readyz", status.readyz), ("/healthz", status.healthz)];
        let failing: Vec<&str> =
            failing.iter().filter(|(_, healthy)| !healthy).map(|(path, _)| *path).collect();
        let message = format!("The cluster's API server does not answer 200 on {}.", failing.join(", "));
        ("False", conditions::MANAGED_CLUSTER_NOT_READY, message)
    };
    let mut all = before.to_vec();
    let ready =
        Wanted { type_: conditions::READY, status: word, reason: reason.to_owned(), message, generation };
    set(&mut all, ready, now);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn healthy() -> ManagedClusterStatus {
        ManagedClusterStatus { livez: true, readyz: true, ..ManagedClusterStatus::default() }
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let first = with_ready(&[], &healthy(), Some(1), at(10));
        let again = with_ready(&first, &healthy(), Some(2), at(20));
        assert_eq!(again[0].last_transition_time, Time(at(10)));
        assert_eq!(again[0].observed_generation, Some(2));
        let sick = with_ready(&again, &ManagedClusterStatus::default(), Some(2), at(30));
        assert_eq!((sick[0].status.as_str(), sick[0].reason.as_str()), ("False", "ManagedClusterNotReady"));
        assert_eq!(sick[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn conditions_of_others_stay() {
        let mut other = with_ready(&[], &healthy(), None, at(1));
        other[0].type_ = "ClusterInit".into();
        let both = with_ready(&other, &healthy(), None, at(2));
        assert_eq!(both.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["ClusterInit", "Ready"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unchanged_cluster_is_reported_once_per_period() {
        let period = Duration::from_secs(180);
        let seen = Observation { status: healthy(), ..Observation::default() };
        let mut reporter = Reporter::default();
        assert!(reporter.is_due(&seen, period));
        reporter.told = Some((seen.clone(), Instant::now()));
        assert!(!reporter.is_due(&seen, period));
        let changed = Observation { status: ManagedClusterStatus::default(), ..Observation::default() };
        assert!(reporter.is_due(&changed, period));
        tokio::time::advance(period).await;
        assert!(reporter.is_due(&seen, period));
    }
}
