//! Whether a cluster reports, and what follows for its conditions and taints (contract 2.3, 5.3). No I/O.
//!
//! Times are the parent's: when the hub saw a report change, or when the API server stored it. The time an agent writes
//! into its report is only compared with them, so an agent with a wrong clock is judged like any other.

use std::time::Duration;

use api::{
    clusters::{ManagedCluster, ManagedClusterStatus},
    conditions::{Wanted, find, find_mut, remove, set},
    names::{self, conditions, taints},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1::Taint, apimachinery::pkg::apis::meta::v1::Condition};

/// The heartbeat of an agent that names none; a cluster is lost after three.
const DEFAULT_HEARTBEAT: Duration = Duration::from_mins(3);
/// The longest heartbeat that is believed.
const LONGEST_HEARTBEAT: i64 = 24 * 60 * 60;
/// Missed heartbeats until a cluster is lost.
const MISSED: u32 = 3;
/// How far two clocks may be apart before it is said.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// What the hub knows beside the object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    /// The hub's clock.
    pub(crate) now: Timestamp,
    /// When, on that clock, the hub saw `lastObservedTime` change; none since it started.
    pub(crate) change_seen: Option<Timestamp>,
    /// Since when, on that clock, the hub has seen the parent without a gap.
    pub(crate) watching_since: Timestamp,
}

/// Whether a cluster reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// It does; it is lost if nothing comes within this time.
    Beating(Duration),
    /// It has stopped.
    Lost,
    /// It never has, and its time is up.
    NeverReported,
}

/// The agent's clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skew {
    /// Ahead of the parent's.
    Ahead,
    /// Behind the parent's.
    Behind,
}

/// How long a cluster may be silent.
pub(crate) fn grace(status: Option<&ManagedClusterStatus>) -> Duration {
    heartbeat(status).saturating_mul(MISSED)
}

fn heartbeat(status: Option<&ManagedClusterStatus>) -> Duration {
    let seconds = status.and_then(|status| status.heartbeat_frequency_seconds).filter(|seconds| *seconds > 0);
    seconds
        .and_then(|seconds| u64::try_from(seconds.min(LONGEST_HEARTBEAT)).ok())
        .map_or(DEFAULT_HEARTBEAT, Duration::from_secs)
}

/// When the API server stored the latest status that was not the hub's.
fn stored(cluster: &ManagedCluster) -> Option<Timestamp> {
    let entries = cluster.metadata.managed_fields.iter().flatten();
    let reports = entries.filter(|entry| {
        entry.subresource.as_deref() == Some("status")
            && entry.manager.as_deref() != Some(names::HUB_FIELD_MANAGER)
    });
    reports.filter_map(|entry| entry.time.as_ref().map(|time| time.0)).max()
}

fn reported(cluster: &ManagedCluster) -> Option<Timestamp> {
    cluster.status.as_ref()?.last_observed_time.as_ref().map(|time| time.0)
}

/// When the last report came, on the parent's clocks.
fn last_report(cluster: &ManagedCluster, evidence: Evidence) -> Option<Timestamp> {
    let reported = reported(cluster)?;
    let came = evidence.change_seen.or_else(|| stored(cluster)).unwrap_or(reported);
    Some(came.min(evidence.now))
}

/// Judges whether a cluster reports.
///
/// While the parent could not be reached, no agent could report either. So the grace begins anew when the hub sees the
/// parent again: an outage of the parent is not the loss of all its children.
pub(crate) fn pulse(cluster: &ManagedCluster, evidence: Evidence) -> Pulse {
    let report = last_report(cluster, evidence);
    let created = cluster.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let since = report.or(created).unwrap_or(evidence.now).max(evidence.watching_since);
    let silent = Duration::try_from(evidence.now.duration_since(since)).unwrap_or_default();
    match grace(cluster.status.as_ref()).checked_sub(silent) {
        Some(left) if !left.is_zero() => Pulse::Beating(left),
        _ if report.is_some() => Pulse::Lost,
        _ => Pulse::NeverReported,
    }
}

/// Compares the time an agent wrote into its report with the time the report came.
pub(crate) fn skew(cluster: &ManagedCluster, evidence: Evidence) -> Option<Skew> {
    let reported = reported(cluster)?;
    let came = evidence.change_seen.or_else(|| stored(cluster))?;
    let ahead = reported.duration_since(came);
    // A report may be written again for a change of health with the observation time of the last heartbeat.
    let behind = CLOCK_TOLERANCE.saturating_add(heartbeat(cluster.status.as_ref()));
    if ahead > SignedDuration::try_from(CLOCK_TOLERANCE).unwrap_or(SignedDuration::MAX) {
        Some(Skew::Ahead)
    } else if -ahead > SignedDuration::try_from(behind).unwrap_or(SignedDuration::MAX) {
        Some(Skew::Behind)
    } else {
        None
    }
}

/// The conditions as they should be.
pub(crate) fn judge_conditions(
    cluster: &ManagedCluster,
    pulse: Pulse,
    skew: Option<Skew>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut all = cluster.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let generation = cluster.metadata.generation;
    let grace = grace(cluster.status.as_ref()).as_secs();
    let unknown = |reason: &str, message: String| Wanted {
        type_: conditions::READY,
        status: "Unknown",
        reason: reason.to_owned(),
        message,
        generation,
    };
    match pulse {
        Pulse::Beating(_) => refresh_generation(&mut all, generation),
        Pulse::Lost => {
            let message = format!(
                "The agent has not reported for {grace} seconds, three times its heartbeat. See whether it runs in \
                 the cluster and reaches the parent."
            );
            set(&mut all, unknown(conditions::STATUS_UNKNOWN, message), now);
        }
        Pulse::NeverReported => {
            let message = format!(
                "The agent has not reported within {grace} seconds of the registration. See whether it runs in the \
                 cluster and reaches the parent."
            );
            set(&mut all, unknown(conditions::STATUS_NEVER_UPDATED, message), now);
        }
    }
    let init = Wanted {
        type_: conditions::CLUSTER_INIT,
        status: "True",
        reason: conditions::CLUSTER_INIT_DISABLED.to_owned(),
        message: "No initialisation is asked for.".to_owned(),
        generation,
    };
    set(&mut all, init, now);
    match skew {
        Some(skew) => set(&mut all, skew_condition(skew, generation), now),
        None => remove(&mut all, conditions::CLOCK_SKEW),
    }
    all
}

fn skew_condition(skew: Skew, generation: Option<i64>) -> Wanted {
    let (reason, direction) = match skew {
        Skew::Ahead => (conditions::CLOCK_AHEAD, "ahead of"),
        Skew::Behind => (conditions::CLOCK_BEHIND, "behind"),
    };
    Wanted {
        type_: conditions::CLOCK_SKEW,
        status: "True",
        reason: reason.to_owned(),
        message: format!(
            "The clock of the agent is {direction} the parent's by more than a minute. The cluster is judged by the \
             parent's clock, but certificates and tokens may fail: synchronise the time of the cluster's nodes."
        ),
        generation,
    }
}

/// A Ready condition that speaks of an older generation would keep `kubectl wait` waiting although the hub's own taints
/// are all that changed.
fn refresh_generation(all: &mut [Condition], generation: Option<i64>) {
    let Some(ready) = find_mut(all, conditions::READY) else { return };
    if ready.observed_generation.is_some_and(|observed| Some(observed) < generation) {
        ready.observed_generation = generation;
    }
}

/// The taints as they should be, given the Ready condition. Taints of users are untouched.
pub(crate) fn judge_taints(current: &[Taint], all: &[Condition]) -> Vec<Taint> {
    let ours = |taint: &Taint| {
        taint.effect == "NoSchedule"
            && matches!(taint.key.as_str(), taints::UNSCHEDULABLE | taints::INITIALIZATION)
    };
    let wanted = match find(all, conditions::READY) {
        Some(ready) if ready.status != "True" => Some(Taint {
            key: taints::UNSCHEDULABLE.to_owned(),
            value: Some(ready.reason.clone()),
            effect: "NoSchedule".to_owned(),
            time_added: None,
        }),
        _ => None,
    };
    let mut placed = false;
    let mut next: Vec<Taint> = Vec::with_capacity(current.len() + 1);
    for taint in current {
        match &wanted {
            _ if !ours(taint) => next.push(taint.clone()),
            Some(wanted) if taint.key == wanted.key && !placed => {
                placed = true;
                next.push(Taint { value: wanted.value.clone(), ..taint.clone() });
            }
            _ => {}
        }
    }
    next.extend(wanted.filter(|_| !placed));
    next
}

#[cfg(test)]
#[path = "pulse_tests.rs"]
mod tests;
