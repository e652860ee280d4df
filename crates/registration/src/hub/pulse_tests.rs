//! The specification of the cluster lifecycle, as tables.

use api::clusters::ManagedClusterSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};

use super::*;

const NOW: i64 = 1_800_000_000;
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A cluster that reports every 10 s and whose last report has these times.
fn cluster(reported: Option<i64>, stored: Option<i64>) -> ManagedCluster {
    let mut cluster = ManagedCluster::new("c", ManagedClusterSpec::default());
    cluster.metadata.creation_timestamp = Some(Time(at(NOW - HOUR)));
    cluster.metadata.generation = Some(3);
    cluster.metadata.managed_fields = Some(vec![
        ManagedFieldsEntry {
            manager: Some("clusterway-agent".into()),
            subresource: Some("status".into()),
            time: stored.map(|seconds| Time(at(seconds))),
            ..ManagedFieldsEntry::default()
        },
        ManagedFieldsEntry {
            manager: Some(names::HUB_FIELD_MANAGER.into()),
            subresource: Some("status".into()),
            time: Some(Time(at(NOW))),
            ..ManagedFieldsEntry::default()
        },
        ManagedFieldsEntry {
            manager: Some("kubectl".into()),
            time: Some(Time(at(NOW))),
            ..Default::default()
        },
    ]);
    cluster.status = Some(ManagedClusterStatus {
        last_observed_time: reported.map(|seconds| Time(at(seconds))),
        heartbeat_frequency_seconds: Some(10),
        ..ManagedClusterStatus::default()
    });
    cluster
}

fn evidence(change_seen: Option<i64>) -> Evidence {
    Evidence { now: at(NOW), change_seen: change_seen.map(at), watching_since: at(NOW - HOUR) }
}

#[test]
fn a_cluster_is_lost_after_three_heartbeats_without_a_report() {
    for (age, expected) in [
        (0, Pulse::Beating(Duration::from_secs(30))),
        (29, Pulse::Beating(Duration::from_secs(1))),
        (30, Pulse::Lost),
        (YEAR, Pulse::Lost),
    ] {
        let cluster = cluster(Some(NOW - age), Some(NOW - age));
        assert_eq!(pulse(&cluster, evidence(None)), expected, "last report {age} s ago");
    }
}

#[test]
fn a_cluster_that_never_reported_is_given_the_same_grace_from_its_creation() {
    let mut cluster = cluster(None, None);
    assert_eq!(pulse(&cluster, evidence(None)), Pulse::NeverReported);
    cluster.status = None;
    cluster.metadata.creation_timestamp = Some(Time(at(NOW - 500)));
    assert_eq!(pulse(&cluster, evidence(None)), Pulse::Beating(Duration::from_secs(40)));
}

#[test]
fn after_an_outage_of_the_parent_every_cluster_is_given_its_grace_to_report() {
    let silent = cluster(Some(NOW - 600), Some(NOW - 600));
    let back = |seconds: i64| Evidence { watching_since: at(NOW - seconds), ..evidence(None) };
    assert_eq!(pulse(&silent, back(1)), Pulse::Beating(Duration::from_secs(29)));
    assert_eq!(pulse(&silent, back(30)), Pulse::Lost);
    assert_eq!(pulse(&cluster(None, None), back(1)), Pulse::Beating(Duration::from_secs(29)));
}

#[test]
fn heartbeats_that_cannot_be_meant_are_not_believed() {
    for (seconds, expected) in
        [(None, 540), (Some(0), 540), (Some(-1), 540), (Some(10), 30), (Some(i64::MAX), 3 * 24 * 3600)]
    {
        let status = ManagedClusterStatus { heartbeat_frequency_seconds: seconds, ..Default::default() };
        assert_eq!(grace(Some(&status)).as_secs(), expected, "{seconds:?}");
    }
}

#[test]
fn an_agent_with_a_wrong_clock_is_judged_by_the_parents_clock() {
    for offset in [-YEAR, -HOUR, HOUR, YEAR] {
        let fresh = cluster(Some(NOW + offset), Some(NOW - 5));
        assert_eq!(
            pulse(&fresh, evidence(None)),
            Pulse::Beating(Duration::from_secs(25)),
            "clock {offset} s off"
        );
        let stale = cluster(Some(NOW + offset), Some(NOW - 60));
        assert_eq!(pulse(&stale, evidence(None)), Pulse::Lost, "clock {offset} s off");
        let seen = pulse(&stale, evidence(Some(NOW - 10)));
        assert_eq!(seen, Pulse::Beating(Duration::from_secs(20)), "the hub saw the change itself");
    }
}

#[test]
fn a_wrong_clock_is_named() {
    for (offset, expected) in [
        (0, None),
        (50, None),
        (-60, None),
        (HOUR, Some(Skew::Ahead)),
        (-HOUR, Some(Skew::Behind)),
        (YEAR, Some(Skew::Ahead)),
        (-YEAR, Some(Skew::Behind)),
    ] {
        let cluster = cluster(Some(NOW + offset), Some(NOW));
        assert_eq!(skew(&cluster, evidence(None)), expected, "clock {offset} s off");
    }
}

fn with_ready(mut cluster: ManagedCluster, status: &str, reason: &str, generation: i64) -> ManagedCluster {
    let ready = Condition {
        type_: conditions::READY.into(),
        status: status.into(),
        reason: reason.into(),
        message: "The cluster is ready.".into(),
        observed_generation: Some(generation),
        last_transition_time: Time(at(NOW - HOUR)),
    };
    cluster.status.get_or_insert_default().conditions.push(ready);
    cluster
}

fn ready_of(all: &[Condition]) -> (&str, &str, Timestamp) {
    let ready = find(all, conditions::READY).unwrap();
    (&ready.status, &ready.reason, ready.last_transition_time.0)
}

#[test]
fn a_lost_cluster_turns_unknown_once_and_stays_so_unchanged() {
    let ready = with_ready(cluster(Some(NOW - 60), Some(NOW - 60)), "True", "ManagedClusterReady", 3);
    let all = judge_conditions(&ready, Pulse::Lost, None, at(NOW));
    assert_eq!(ready_of(&all), ("Unknown", conditions::STATUS_UNKNOWN, at(NOW)));
    let mut lost = ready;
    lost.status.as_mut().unwrap().conditions = all.clone();
    assert_eq!(judge_conditions(&lost, Pulse::Lost, None, at(NOW + HOUR)), all);
}

#[test]
fn a_cluster_that_never_reported_says_so() {
    let all = judge_conditions(&cluster(None, None), Pulse::NeverReported, None, at(NOW));
    assert_eq!(ready_of(&all), ("Unknown", conditions::STATUS_NEVER_UPDATED, at(NOW)));
}

#[test]
fn the_agents_word_stands_while_it_reports() {
    let ready = with_ready(cluster(Some(NOW), Some(NOW)), "False", "ManagedClusterNotReady", 3);
    let all = judge_conditions(&ready, Pulse::Beating(Duration::from_secs(1)), None, at(NOW));
    assert_eq!(ready_of(&all), ("False", "ManagedClusterNotReady", at(NOW - HOUR)));
    let init = find(&all, conditions::CLUSTER_INIT).unwrap();
    assert_eq!((init.status.as_str(), init.reason.as_str()), ("True", conditions::CLUSTER_INIT_DISABLED));
}

#[test]
fn conditions_speak_of_the_current_generation() {
    let ready = with_ready(cluster(Some(NOW), Some(NOW)), "True", "ManagedClusterReady", 2);
    let all = judge_conditions(&ready, Pulse::Beating(Duration::from_secs(1)), None, at(NOW));
    assert!(all.iter().all(|condition| condition.observed_generation == Some(3)), "{all:?}");
    assert_eq!(ready_of(&all).2, at(NOW - HOUR));
}

#[test]
fn clock_skew_is_a_condition_while_it_lasts() {
    let mut skewed = cluster(Some(NOW + HOUR), Some(NOW));
    let beating = Pulse::Beating(Duration::from_secs(1));
    let all = judge_conditions(&skewed, beating, Some(Skew::Ahead), at(NOW));
    assert_eq!(find(&all, conditions::CLOCK_SKEW).unwrap().reason, conditions::CLOCK_AHEAD);
    skewed.status.as_mut().unwrap().conditions = all;
    let all = judge_conditions(&skewed, beating, None, at(NOW));
    assert!(find(&all, conditions::CLOCK_SKEW).is_none());
}

fn taint(key: &str, value: &str, effect: &str) -> Taint {
    Taint { key: key.into(), value: Some(value.into()), effect: effect.into(), time_added: None }
}

#[test]
fn taints_follow_ready_and_leave_those_of_users_alone() {
    let user = taint("a", "b", "NoSchedule");
    let user_execute = taint(taints::UNSCHEDULABLE, "mine", "NoExecute");
    let unknown = taint(taints::UNSCHEDULABLE, conditions::STATUS_UNKNOWN, "NoSchedule");
    let not_ready = taint(taints::UNSCHEDULABLE, conditions::MANAGED_CLUSTER_NOT_READY, "NoSchedule");
    let init = taint(taints::INITIALIZATION, "ClusterInitWaiting", "NoSchedule");
    let given = |status: &str, reason: &str, current: &[&Taint]| {
        let cluster = with_ready(cluster(None, None), status, reason, 3);
        let current: Vec<_> = current.iter().map(|taint| (*taint).clone()).collect();
        judge_taints(&current, &cluster.status.unwrap().conditions)
    };
    let lost = conditions::STATUS_UNKNOWN;
    assert_eq!(given("Unknown", lost, &[]), std::slice::from_ref(&unknown));
    assert_eq!(
        given("Unknown", lost, &[&user, &not_ready]),
        [user.clone(), unknown.clone()],
        "value refreshed"
    );
    assert_eq!(given("Unknown", lost, &[&unknown, &user, &unknown]), [unknown.clone(), user.clone()]);
    assert_eq!(
        given("True", "ManagedClusterReady", &[&init, &user, &unknown, &user_execute]),
        [user, user_execute],
        "both of ours go in one pass"
    );
    assert_eq!(judge_taints(&[], &[]), [], "no taint before the first report");
}
