//! What is counted. No label holds the name of a cluster or a resource.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use runtime::metrics::Metrics;
use store::Applied;

type Labels = Vec<(&'static str, &'static str)>;

/// The metrics of synchronisation. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    changes: Family<Labels, Counter<u64, AtomicU64>>,
    lists: Counter,
    follow_failures: Family<Labels, Counter<u64, AtomicU64>>,
    store_failures: Counter,
    unreadable: Counter,
    status_writes: Counter,
    clusters: Gauge,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counters = Self::default();
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("clusterway_sync");
            let changes = "Changes of objects given to the store, by what they did";
            registry.register("changes", changes, counters.changes.clone());
            registry.register("lists", "Lists begun", counters.lists.clone());
            let failures = "Lists and watches that failed and were tried again, by reason";
            registry.register("follow_failures", failures, counters.follow_failures.clone());
            let failures = "Times the store failed and was tried again";
            registry.register("store_failures", failures, counters.store_failures.clone());
            registry.register("unreadable", "Objects left out, unreadable", counters.unreadable.clone());
            registry.register("status_writes", "Statuses written", counters.status_writes.clone());
            registry.register("clusters", "Clusters that are synchronised", counters.clusters.clone());
        });
        counters
    }

    pub(crate) fn applied(&self, applied: &Applied) {
        let kinds =
            [("upserted", applied.upserted), ("unchanged", applied.unchanged), ("deleted", applied.deleted)];
        for (kind, number) in kinds {
            self.changes.get_or_create(&vec![("kind", kind)]).inc_by(number);
        }
    }

    pub(crate) fn swept(&self, deleted: u64) {
        self.changes.get_or_create(&vec![("kind", "swept")]).inc_by(deleted);
    }

    pub(crate) fn list_began(&self) {
        self.lists.inc();
    }

    pub(crate) fn follow_failed(&self, reason: &'static str) {
        self.follow_failures.get_or_create(&vec![("reason", reason)]).inc();
    }

    pub(crate) fn store_failed(&self) {
        self.store_failures.inc();
    }

    pub(crate) fn unreadable(&self) {
        self.unreadable.inc();
    }

    pub(crate) fn status_written(&self) {
        self.status_writes.inc();
    }

    pub(crate) fn clusters(&self, number: usize) {
        self.clusters.set(i64::try_from(number).unwrap_or(i64::MAX));
    }
}
