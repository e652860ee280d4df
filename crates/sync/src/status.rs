//! The status of a PediaCluster, from how its synchronisation stands (contract 1.3, 1.4). Pure.

use std::collections::BTreeMap;

use api::{
    names::search::conditions::{
        CLUSTER_HEALTHY, HEALTHY, INITIAL_FAILED, INVALID_CONFIG, INVALID_SYNC_RESOURCES, MONITOR_STOP,
        NOT_REACHABLE, NOT_READY, READY, RUNNING, SHUTDOWN, SYNCHRO_RUNNING, UNHEALTHY, VALIDATED, WAIT_INIT,
    },
    pedia::{GroupStatus, PediaClusterStatus, ResourceStatus, SyncCondition},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::report::{Health, Report, ResourceReport, Running};

/// Whether what a PediaCluster says can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Validated {
    /// It can; a note for people, or nothing.
    Yes(String),
    /// Address or credentials cannot.
    Config(String),
    /// The rules cannot.
    Rules(String),
}

/// Everything a status is made of, beside the one before.
pub(crate) struct Facts<'a> {
    pub(crate) validated: &'a Validated,
    /// How it stands; nothing if there is nothing that could run.
    pub(crate) report: Option<&'a Report>,
    /// Where the cluster is, if that is known.
    pub(crate) apiserver: Option<String>,
    /// The shard that has it, if one has.
    pub(crate) sharding_name: Option<&'a str>,
    pub(crate) generation: Option<i64>,
}

/// The status that follows `before`. It is equal to it if nothing has changed.
pub(crate) fn next(before: &PediaClusterStatus, facts: &Facts<'_>, now: Timestamp) -> PediaClusterStatus {
    let mut conditions = Conditions { before, generation: facts.generation, now, all: Vec::new() };
    match (facts.validated, facts.report.and_then(|report| report.left_out.as_ref())) {
        (Validated::Yes(note), None) => conditions.add(VALIDATED, "True", VALIDATED, note),
        (Validated::Config(why), _) => conditions.add(VALIDATED, "False", INVALID_CONFIG, why),
        (Validated::Rules(why), _) | (Validated::Yes(_), Some(why)) => {
            conditions.add(VALIDATED, "False", INVALID_SYNC_RESOURCES, why);
        }
    }
    match (facts.report.map(|report| &report.running), facts.validated) {
        (None, Validated::Config(why)) => conditions.add(SYNCHRO_RUNNING, "False", INVALID_CONFIG, why),
        (None, Validated::Rules(why)) => {
            conditions.add(SYNCHRO_RUNNING, "False", INVALID_SYNC_RESOURCES, why);
        }
        (None | Some(Running::Waiting), _) => conditions.add(SYNCHRO_RUNNING, "False", WAIT_INIT, ""),
        (Some(Running::Failed(why)), _) => conditions.add(SYNCHRO_RUNNING, "False", INITIAL_FAILED, why),
        (Some(Running::Yes), _) => {
            let outdated = facts.report.and_then(|report| report.outdated.as_ref());
            let note = outdated.map(|why| {
                format!("what the cluster has now could not be found out, what is known is followed: {why}")
            });
            conditions.add(SYNCHRO_RUNNING, "True", RUNNING, &note.unwrap_or_default());
        }
        (Some(Running::Stopped), _) => conditions.add(SYNCHRO_RUNNING, "False", SHUTDOWN, ""),
    }
    match facts.report.map(|report| &report.health) {
        None | Some(Health::Unknown) => conditions.add(CLUSTER_HEALTHY, "Unknown", MONITOR_STOP, ""),
        Some(Health::Healthy) => conditions.add(CLUSTER_HEALTHY, "True", HEALTHY, ""),
        Some(Health::Unhealthy(why)) => conditions.add(CLUSTER_HEALTHY, "False", UNHEALTHY, why),
        Some(Health::NotReachable(why)) => conditions.add(CLUSTER_HEALTHY, "False", NOT_REACHABLE, why),
    }
    let wrong = conditions.all.iter().find(|condition| condition.status != "True");
    match wrong.map(|wrong| format!("{} is {}: {}", wrong.type_, wrong.status, wrong.reason)) {
        None => conditions.add(READY, "True", READY, ""),
        Some(why) => conditions.add(READY, "False", NOT_READY, &why),
    }
    PediaClusterStatus {
        apiserver: facts.apiserver.clone().or_else(|| before.apiserver.clone()),
        version: facts.report.and_then(|report| report.version.clone()).or_else(|| before.version.clone()),
        conditions: conditions.all,
        sync_resources: facts
            .report
            .map_or_else(|| before.sync_resources.clone(), |report| resources(before, report, now)),
        sharding_name: facts.sharding_name.map(str::to_owned),
    }
}

struct Conditions<'a> {
    before: &'a PediaClusterStatus,
    generation: Option<i64>,
    now: Timestamp,
    all: Vec<Condition>,
}

impl Conditions<'_> {
    fn add(&mut self, type_: &str, status: &str, reason: &str, message: &str) {
        let before = self.before.conditions.iter().find(|before| before.type_ == type_);
        let since =
            before.filter(|before| before.status == status).map(|before| before.last_transition_time.clone());
        self.all.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: self.generation,
            last_transition_time: since.unwrap_or(Time(self.now)),
        });
    }
}

fn resources(before: &PediaClusterStatus, report: &Report, now: Timestamp) -> Vec<GroupStatus> {
    let mut groups: BTreeMap<&str, BTreeMap<&str, ResourceStatus>> = BTreeMap::new();
    for (resource, of) in &report.resources {
        let known = condition_before(before, resource);
        let status =
            groups.entry(&resource.group).or_default().entry(&resource.resource).or_insert_with(|| {
                ResourceStatus {
                    name: resource.resource.clone(),
                    kind: of.kind.clone(),
                    namespaced: of.namespaced,
                    sync_conditions: Vec::new(),
                }
            });
        status.sync_conditions.push(sync_condition(&resource.version, of, known, now));
    }
    let group = |(group, resources): (&str, BTreeMap<&str, ResourceStatus>)| GroupStatus {
        group: group.to_owned(),
        resources: resources.into_values().collect(),
    };
    groups.into_iter().map(group).collect()
}

fn condition_before<'a>(
    before: &'a PediaClusterStatus,
    resource: &store::Resource,
) -> Option<&'a SyncCondition> {
    let group = before.sync_resources.iter().find(|group| group.group == resource.group)?;
    let of = group.resources.iter().find(|of| of.name == resource.resource)?;
    of.sync_conditions.iter().find(|condition| condition.version == resource.version)
}

fn sync_condition(
    version: &str,
    of: &ResourceReport,
    before: Option<&SyncCondition>,
    now: Timestamp,
) -> SyncCondition {
    let since = before
        .filter(|before| before.status == of.state.status)
        .map(|before| before.last_transition_time.clone());
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    SyncCondition {
        version: version.to_owned(),
        sync_version: None,
        sync_resource: None,
        storage_version: Some(version.to_owned()),
        storage_resource: None,
        status: of.state.status,
        reason: given(of.state.reason),
        message: given(&of.state.message),
        initial_list_phase: of.initial,
        last_transition_time: since.unwrap_or(Time(now)),
    }
}

#[cfg(test)]
mod tests {
    use api::{names::search::sync_reasons, pedia::SyncState};
    use store::Resource;

    use super::*;
    use crate::report::State;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn status(
        before: &PediaClusterStatus,
        validated: &Validated,
        report: Option<&Report>,
        second: i64,
    ) -> PediaClusterStatus {
        let facts = Facts {
            validated,
            report,
            apiserver: Some("https://a".into()),
            sharding_name: Some(""),
            generation: Some(1),
        };
        next(before, &facts, at(second))
    }

    fn short(status: &PediaClusterStatus) -> Vec<String> {
        status.conditions.iter().map(|c| format!("{} {} {}", c.type_, c.status, c.reason)).collect()
    }

    fn well() -> Report {
        let pods =
            ResourceReport { kind: "Pod".into(), namespaced: true, state: State::syncing(), initial: false };
        Report {
            running: Running::Yes,
            outdated: None,
            left_out: None,
            health: Health::Healthy,
            version: Some("v1.33.1".into()),
            resources: [(Resource::new("", "v1", "pods"), pods)].into(),
        }
    }

    #[test]
    fn a_cluster_is_ready_when_it_is_valid_runs_and_is_healthy() {
        let yes = Validated::Yes(String::new());
        let status = status(&PediaClusterStatus::default(), &yes, Some(&well()), 1);
        let expected = [
            "Validated True Validated",
            "SynchroRunning True Running",
            "ClusterHealthy True Healthy",
            "Ready True Ready",
        ];
        assert_eq!(short(&status), expected);
        let pods = &status.sync_resources[0].resources[0];
        assert_eq!((pods.name.as_str(), pods.sync_conditions[0].status), ("pods", SyncState::Syncing));
        assert_eq!(pods.sync_conditions[0].storage_version.as_deref(), Some("v1"));
    }

    #[test]
    fn what_did_not_change_gives_the_same_status() {
        let yes = Validated::Yes(String::new());
        let first = status(&PediaClusterStatus::default(), &yes, Some(&well()), 1);
        assert_eq!(status(&first, &yes, Some(&well()), 999), first);
    }

    #[test]
    fn a_change_of_the_reason_alone_keeps_the_time() {
        let yes = Validated::Yes(String::new());
        let mut report = well();
        report.health = Health::NotReachable("gone".into());
        let first = status(&PediaClusterStatus::default(), &yes, Some(&report), 1);
        report.health = Health::Unhealthy("500".into());
        let second = status(&first, &yes, Some(&report), 2);
        assert_eq!(second.conditions[2].last_transition_time, Time(at(1)));
        assert_eq!(second.conditions[2].reason, UNHEALTHY);
        assert_eq!(second.conditions[3].message, "ClusterHealthy is False: Unhealthy");
    }

    #[test]
    fn a_spec_that_cannot_be_used_is_all_there_is_to_say_unless_an_older_one_still_runs() {
        let bad = Validated::Config("no credentials".into());
        let nothing = status(&PediaClusterStatus::default(), &bad, None, 1);
        let expected = [
            "Validated False InvalidConfig",
            "SynchroRunning False InvalidConfig",
            "ClusterHealthy Unknown MonitorStop",
            "Ready False NotReady",
        ];
        assert_eq!(short(&nothing), expected);
        let running = status(&PediaClusterStatus::default(), &bad, Some(&well()), 1);
        assert_eq!(short(&running)[1], "SynchroRunning True Running");
    }

    #[test]
    fn versions_stand_together_and_a_failure_has_its_reason() {
        let mut report = well();
        for version in ["v1", "v1beta1"] {
            let state = State::new(SyncState::Error, sync_reasons::WATCH_FAILED, "forbidden");
            let of = ResourceReport { kind: "Widget".into(), namespaced: true, state, initial: true };
            report.resources.insert(Resource::new("demo.io", version, "widgets"), of);
        }
        let status = status(&PediaClusterStatus::default(), &Validated::Yes(String::new()), Some(&report), 1);
        let widgets = &status.sync_resources[1].resources[0];
        let versions: Vec<&str> = widgets.sync_conditions.iter().map(|c| c.version.as_str()).collect();
        assert_eq!(versions, ["v1", "v1beta1"]);
        assert_eq!(widgets.sync_conditions[0].reason.as_deref(), Some("ResourceWatchFailed"));
        assert!(widgets.sync_conditions[0].initial_list_phase);
    }
}
