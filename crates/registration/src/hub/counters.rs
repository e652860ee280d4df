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
        let add = |name: &str, help| {
            metrics.add(&format!("clusterway_registration_{name}"), help, Counter::default())
        };
        let add_family = |name: &str, help| {
            metrics.add(&format!("clusterway_registration_{name}"), help, Family::default())
        };
        Self {
            answers: add_family(
                "answers",
                "Answers to registration requests that changed something, by reason",
            ),
            tokens: add("tokens", "Tokens sealed for children"),
            lost: add("clusters_lost", "Clusters that stopped reporting"),
            deregistered: add("clusters_left", "Clusters deregistered"),
            failures: add_family("failures", "Rounds that failed and were tried again"),
        }
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
