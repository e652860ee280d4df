//! Tells people of refused tunnels that they should look into: an Event on the ManagedCluster.

use std::{collections::HashMap, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use parking_lot::Mutex;
use reach::Registered;
use runtime::{Tasks, events::Events};
use tokio::time::Instant;
use tunnel::hub::Refused;

/// A refused agent comes back every few seconds; its cluster's people are told once in this time.
const QUIET: Duration = Duration::from_mins(5);

/// Publishes Events about refused tunnels, not too many.
pub(crate) struct Refusals {
    events: Events,
    told: Told,
}

impl Refusals {
    pub(crate) fn new(events: Events) -> Self {
        Self { events, told: Told::default() }
    }

    /// The tunnel of `cluster` was refused to an agent with the cluster's own credential. Answers at once; the Event is
    /// published in `tasks`.
    pub(crate) fn tell(&self, tasks: &Tasks, cluster: &Registered, refused: &Refused) {
        if !matches!(refused, Refused::Taken { .. }) || !self.told.is_time(&cluster.uid, Instant::now()) {
            return;
        }
        let (events, about) = (self.events.clone(), reference(cluster));
        let (reason, note) = (refused.reason(), refused.status().message);
        tasks.spawn("event of a refused tunnel", async move {
            events.warning_about(&about, reason, &note).await;
        });
    }
}

/// When each cluster's people were told last.
#[derive(Default)]
struct Told(Mutex<HashMap<String, Instant>>);

impl Told {
    /// Whether it is time to tell again, which then counts as told.
    fn is_time(&self, cluster: &str, now: Instant) -> bool {
        let mut told = self.0.lock();
        told.retain(|_, last| now.duration_since(*last) < QUIET);
        let is_time = !told.contains_key(cluster);
        if is_time {
            told.insert(cluster.to_owned(), now);
        }
        is_time
    }
}

fn reference(cluster: &Registered) -> ObjectReference {
    use api::clusters::ManagedCluster;
    ObjectReference {
        api_version: Some(ManagedCluster::api_version(&()).into_owned()),
        kind: Some(ManagedCluster::kind(&()).into_owned()),
        name: Some(cluster.name.clone()),
        namespace: Some(cluster.namespace.clone()),
        uid: Some(cluster.uid.clone()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_told_of_once_in_a_while_and_others_meanwhile() {
        let told = Told::default();
        let now = Instant::now();
        assert!(told.is_time("a", now));
        assert!(!told.is_time("a", now + QUIET / 2));
        assert!(told.is_time("b", now + QUIET / 2));
        assert!(told.is_time("a", now + QUIET));
        assert_eq!(told.0.lock().len(), 2, "what is long ago is forgotten");
    }

    #[test]
    fn the_event_is_about_the_managed_cluster() {
        let cluster = Registered { name: "edge".into(), namespace: "clusternet-x".into(), uid: "u".into() };
        let about = reference(&cluster);
        assert_eq!(about.api_version.as_deref(), Some("clusters.clusternet.io/v1beta1"));
        assert_eq!(about.kind.as_deref(), Some("ManagedCluster"));
        assert_eq!(
            (about.name, about.namespace, about.uid),
            (Some("edge".into()), Some("clusternet-x".into()), Some("u".into()))
        );
    }
}
