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
        let counter =
            |name: &str, help| metrics.add(&format!("clusterway_sync_{name}"), help, Counter::default());
        let family =
            |name: &str, help| metrics.add(&format!("clusterway_sync_{name}"), help, Family::default());
        Self {
            changes: family("changes", "Changes of objects given to the store, by what they did"),
            lists: counter("lists", "Lists begun"),
            follow_failures: family(
                "follow_failures",
                "Lists and watches that failed and were tried again, by reason",
            ),
            store_failures: counter("store_failures", "Times the store failed and was tried again"),
            unreadable: counter("unreadable", "Objects left out, unreadable"),
            status_writes: counter("status_writes", "Statuses written"),
            clusters: metrics.add(
                "clusterway_sync_clusters",
                "Clusters that are synchronised",
                Gauge::default(),
            ),
        }
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
