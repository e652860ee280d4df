//! What is counted.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use runtime::metrics::Metrics;

use crate::key::Key;

type Labels = [(&'static str, &'static str); 1];

/// The distribution's metrics. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    looks: Family<Labels, Counter<u64, AtomicU64>>,
    failures: Counter<u64, AtomicU64>,
    /// Objects that are looked at now, or are to be; those that wait for their time are not.
    pub(crate) pending: Gauge,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let name = |name: &str| format!("clusterway_distribution_{name}");
        Self {
            looks: metrics.add(
                &name("looks"),
                "Looks at objects of the parent that ended well, by kind",
                Family::default(),
            ),
            failures: metrics.add(
                &name("failures"),
                "Looks at objects of the parent that failed and are tried again",
                Counter::default(),
            ),
            pending: metrics.add(
                &name("pending"),
                "Objects that are worked on, or are due; without those that failed and wait for another try",
                Gauge::default(),
            ),
        }
    }

    pub(crate) fn looked_at(&self, key: &Key, success: bool) {
        if success {
            self.looks.get_or_create(&[("kind", key.kind())]).inc();
        } else {
            self.failures.inc();
        }
    }
}
