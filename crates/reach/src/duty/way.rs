//! The hub's way into a cluster that it works for, and the limits on it.

use std::sync::Arc;

use api::clusters::ManagedCluster;
use kubeio::{Limited, Transport};

use crate::{Identity, Reach, Through};

/// The hub's way into a cluster as the deployer there, no faster than its agent lets the parent be.
pub fn way(cluster: &ManagedCluster, reach: &Reach) -> Arc<dyn Transport> {
    let id = cluster.spec.cluster_id.to_ascii_lowercase();
    let through = Arc::new(Through::new(reach.clone(), id, Identity::deployer()));
    match limits(cluster) {
        Some((rate, burst)) => Arc::new(Limited::new(through, rate, burst)),
        None => through,
    }
}

/// What the agent lets the parent ask of its cluster: requests per second, and at once.
pub(super) fn limits(cluster: &ManagedCluster) -> Option<(f64, u32)> {
    let status = cluster.status.as_ref()?;
    let rate = status.kube_qps.filter(|rate| *rate > 0.0)?;
    let burst = status.kube_burst.and_then(|burst| u32::try_from(burst).ok());
    Some((rate, burst.unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use api::clusters::{ManagedClusterSpec, ManagedClusterStatus};

    use super::*;

    #[test]
    fn what_is_no_rate_limits_nothing_and_what_is_no_burst_counts_as_one() {
        let limits = |kube_qps, kube_burst| {
            let mut cluster = ManagedCluster::new("c", ManagedClusterSpec::default());
            cluster.status =
                Some(ManagedClusterStatus { kube_qps, kube_burst, ..ManagedClusterStatus::default() });
            limits(&cluster)
        };
        assert_eq!(limits(Some(50.0), Some(100)), Some((50.0, 100)));
        for burst in [None, Some(-1)] {
            assert_eq!(limits(Some(0.5), burst), Some((0.5, 1)));
        }
        for rate in [None, Some(0.0), Some(-1.0), Some(f64::NAN)] {
            assert_eq!(limits(rate, Some(100)), None);
        }
        assert_eq!(super::limits(&ManagedCluster::new("c", ManagedClusterSpec::default())), None);
    }
}
