//! What is counted.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::{counter::Counter, family::Family};
use runtime::metrics::Metrics;

type Labels = Vec<(&'static str, &'static str)>;

/// The hub's registration metrics. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    answers: Family<Labels, Counter<u64, AtomicU64>>,
    tokens: Counter<u64, AtomicU64>,
    lost: Counter<u64, AtomicU64>,
    deregistered: Counter<u64, AtomicU64>,
    failures: Family<Labels, Counter<u64, AtomicU64>>,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counters = Self::default();
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("clusterway_registration");
            registry.register(
                "answers",
                "Answers to registration requests that changed something, by reason",
                counters.answers.clone(),
            );
            registry.register("tokens", "Tokens sealed for children", counters.tokens.clone());
            registry.register("clusters_lost", "Clusters that stopped reporting", counters.lost.clone());
            registry.register("clusters_left", "Clusters deregistered", counters.deregistered.clone());
            registry.register(
                "failures",
                "Rounds that failed and were tried again",
                counters.failures.clone(),
            );
        });
        counters
    }

    pub(crate) fn answered(&self, reason: &'static str) {
        self.answers.get_or_create(&vec![("reason", reason)]).inc();
    }

    pub(crate) fn sealed(&self) {
        self.tokens.inc();
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    pub(crate) fn deregistered(&self) {
        self.deregistered.inc();
    }

    pub(crate) fn failed(&self, controller: &'static str) {
        self.failures.get_or_create(&vec![("controller", controller)]).inc();
    }
}
