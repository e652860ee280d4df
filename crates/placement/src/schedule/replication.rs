//! The strategy Replication: every cluster that fits gets the feeds as they are.

use std::collections::BTreeSet;

use super::{
    Choice, Chosen, Decision, Outcome, Refusal, Refused, Request, ScheduleError, Scheduler,
    candidates::{Candidate, candidates},
};
use crate::ClusterKey;

/// Every cluster that fits is chosen. Where subscribers are groups (`schedulingBySubGroup`), `minClusters` of each group
/// are: those it is bound to by now first, so that nothing moves without a cause, then those with the fewest
/// `PreferNoSchedule` taints, then by name. A cluster of two groups counts for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replication;

impl Scheduler for Replication {
    fn schedule(&self, request: &Request<'_>) -> Result<Decision, ScheduleError> {
        let mut found = candidates(request)?;
        let needed = needed(request, &found.fitting)?;
        let mut chosen = Vec::new();
        for candidate in found.fitting {
            let cluster = candidate.cluster.key.clone();
            if needed.contains(&cluster) {
                chosen.push(Chosen { cluster, because: candidate.because });
            } else {
                found.refused.push(Refused { cluster, because: Refusal::NotNeeded });
            }
        }
        found.refused.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        let mut outcome = Outcome::Scheduled;
        if chosen.is_empty() {
            chosen = kept(request);
            outcome = if chosen.is_empty() { Outcome::Unschedulable } else { Outcome::Kept };
        }
        Ok(Decision { outcome, chosen, refused: found.refused, unselected: found.unselected })
    }
}

/// Which of the clusters that fit are needed.
fn needed(request: &Request<'_>, fitting: &[Candidate<'_>]) -> Result<BTreeSet<ClusterKey>, ScheduleError> {
    let key = |candidate: &Candidate<'_>| candidate.cluster.key.clone();
    if !request.spec.scheduling_by_sub_group.unwrap_or(false) {
        return Ok(fitting.iter().map(key).collect());
    }
    let mut ranked: Vec<&Candidate<'_>> = fitting.iter().collect();
    ranked.sort_by_key(|candidate| (!candidate.bound, candidate.disliked, &candidate.cluster.key));
    let mut needed = BTreeSet::new();
    for (at, subscriber) in request.spec.subscribers.iter().enumerate() {
        let group = subscriber.sub_group_strategy.as_ref();
        let group = group.ok_or(ScheduleError::SubGroupMissing { subscriber: at })?;
        let size = usize::try_from(group.min_clusters.unwrap_or(0)).unwrap_or(0);
        let members = ranked.iter().filter(|candidate| candidate.subscribers.contains(&at));
        needed.extend(members.take(size).map(|candidate| key(candidate)));
    }
    Ok(needed)
}

/// Where a Subscription stays for which nothing fits: where it is bound and the cluster is not going. Where no cluster is
/// known at all, more likely they could not be read than that all are gone: it stays as it is.
fn kept(request: &Request<'_>) -> Vec<Chosen> {
    let there = |key: &&ClusterKey| {
        request.clusters.is_empty()
            || request.clusters.iter().any(|cluster| cluster.key == **key && !cluster.deleting)
    };
    let keep = |key: &ClusterKey| Chosen { cluster: key.clone(), because: Choice::KeptForWantOfAnother };
    request.bound.iter().filter(there).map(keep).collect()
}
