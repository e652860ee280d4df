//! Which clusters a Subscription can have, and why not the others: what every strategy begins with.

use api::names::taints::{INITIALIZATION, UNSCHEDULABLE};
use k8s_openapi::api::core::v1::Taint;

use super::{Choice, Refusal, Refused, Request, ScheduleError, selector, untolerated};
use crate::Cluster;

/// A cluster that fits.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'r> {
    pub(super) cluster: &'r Cluster,
    pub(super) because: Choice,
    /// Whether the Subscription is there by now.
    pub(super) bound: bool,
    /// How many taints would rather not have it.
    pub(super) disliked: usize,
    /// The subscribers that select it, in ascending order.
    pub(super) subscribers: Vec<usize>,
}

/// What is left of all clusters.
#[derive(Debug, Default)]
pub(super) struct Candidates<'r> {
    pub(super) fitting: Vec<Candidate<'r>>,
    pub(super) refused: Vec<Refused>,
    /// How many clusters no subscriber selects.
    pub(super) unselected: usize,
}

/// Sorts the clusters of a request into those that fit, those that do not and why, and those nobody asked for.
pub(super) fn candidates<'r>(request: &Request<'r>) -> Result<Candidates<'r>, ScheduleError> {
    let subscribers = request.spec.subscribers.iter().enumerate();
    let selectors = subscribers
        .map(|(subscriber, one)| {
            selector(&one.cluster_affinity).map_err(|error| ScheduleError::SelectorInvalid {
                subscriber,
                field: error.field,
                expected: error.expected,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut found = Candidates::default();
    let mut clusters: Vec<&Cluster> = request.clusters.iter().collect();
    clusters.sort_by(|a, b| a.key.cmp(&b.key));
    for cluster in clusters {
        let subscribers: Vec<usize> =
            (0..selectors.len()).filter(|at| selectors[*at].matches(&cluster.labels)).collect();
        if subscribers.is_empty() {
            found.unselected += 1;
            continue;
        }
        let bound = request.bound.contains(&cluster.key);
        match fits(request, cluster, bound) {
            Ok(because) => {
                let tolerations = &request.spec.cluster_tolerations;
                let disliked = untolerated(&cluster.taints, tolerations, &["PreferNoSchedule"]).count();
                found.fitting.push(Candidate { cluster, because, bound, disliked, subscribers });
            }
            Err(because) => found.refused.push(Refused { cluster: cluster.key.clone(), because }),
        }
    }
    Ok(found)
}

/// Whether a cluster that is selected can have the Subscription.
fn fits(request: &Request<'_>, cluster: &Cluster, bound: bool) -> Result<Choice, Refusal> {
    if cluster.deleting {
        return Err(Refusal::BeingDeleted);
    }
    let tolerations = &request.spec.cluster_tolerations;
    let mut lost = None;
    for taint in untolerated(&cluster.taints, tolerations, &["NoSchedule", "NoExecute"]) {
        if !(bound && is_of_the_hub(taint)) {
            return Err(Refusal::Taint(written(taint)));
        }
        lost = Some(taint);
    }
    Ok(lost.map_or(Choice::Fits, |taint| Choice::KeptInSpiteOf(written(taint))))
}

/// Whether the hub put the taint there: it says that the cluster cannot be reached or is not ready for anything new, not
/// that anybody wants the workloads gone.
fn is_of_the_hub(taint: &Taint) -> bool {
    [UNSCHEDULABLE, INITIALIZATION].contains(&taint.key.as_str()) && taint.effect == "NoSchedule"
}

/// `key=value:effect`, as kubectl writes taints.
fn written(taint: &Taint) -> String {
    match taint.value.as_deref() {
        Some(value) if !value.is_empty() => format!("{}={value}:{}", taint.key, taint.effect),
        _ => format!("{}:{}", taint.key, taint.effect),
    }
}
