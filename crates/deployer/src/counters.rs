//! What is counted. No label names a cluster or an object: there may be very many of either.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use runtime::metrics::Metrics;

type Labels = [(&'static str, &'static str); 1];

/// The deployer's metrics, over all clusters of this program. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    objects: Family<Labels, Counter<u64, AtomicU64>>,
    /// Clusters that are worked for.
    pub(crate) clusters: Gauge,
    /// Of those, the ones whose Descriptions have not been listed yet.
    pub(crate) unlisted: Gauge,
    /// Descriptions that are looked at now, or are to be within a second; those that wait for another try are not.
    pub(crate) pending: Gauge,
}

/// What became of one look at an object in a cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counted {
    /// It was as it is to be, and nothing was written.
    Unchanged,
    /// It was made, or brought to what its Description says.
    Applied,
    /// A change made in the cluster was taken back.
    Corrected,
    /// It could not be brought there.
    Failed,
    /// It was taken out of the cluster.
    Deleted,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let gauge =
            |name: &str, help| metrics.add(&format!("clusterway_deployer_{name}"), help, Gauge::default());
        Self {
            objects: metrics.add(
                "clusterway_deployer_objects",
                "Looks at objects in clusters, by what came of them",
                Family::default(),
            ),
            clusters: gauge("clusters", "Clusters that this program deploys to"),
            unlisted: gauge("unlisted_clusters", "Clusters whose Descriptions have not been listed yet"),
            pending: gauge(
                "pending_descriptions",
                "Descriptions that are worked on, or are due; without those that failed and wait for another try",
            ),
        }
    }

    pub(crate) fn count(&self, what: Counted, objects: usize) {
        let outcome = match what {
            Counted::Unchanged => "unchanged",
            Counted::Applied => "applied",
            Counted::Corrected => "corrected",
            Counted::Failed => "failed",
            Counted::Deleted => "deleted",
        };
        self.objects.get_or_create(&[("outcome", outcome)]).inc_by(objects as u64);
    }
}

/// A part of a gauge that is taken back when its owner goes.
#[derive(Debug, Default)]
pub(crate) struct Share {
    gauge: Gauge,
    part: i64,
}

impl Share {
    pub(crate) fn of(gauge: &Gauge) -> Self {
        Self { gauge: gauge.clone(), part: 0 }
    }

    pub(crate) fn set(&mut self, part: usize) {
        let part = i64::try_from(part).unwrap_or(i64::MAX);
        self.gauge.inc_by(part - self.part);
        self.part = part;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_had_a_share_of_is_given_back_when_he_goes() {
        let gauge = Gauge::default();
        let (mut one, mut other) = (Share::of(&gauge), Share::of(&gauge));
        one.set(3);
        other.set(2);
        one.set(1);
        assert_eq!(gauge.get(), 3);
        drop(one);
        assert_eq!(gauge.get(), 2);
    }
}
