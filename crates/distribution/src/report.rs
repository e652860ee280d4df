//! What a Description's status says, in short.

use std::collections::BTreeMap;

use api::{
    apps::{DescriptionPhase, DescriptionStatus, Feed, ManifestStatus, ReplicaStatus},
    names::deployer::{conditions, reasons},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::Value;

/// The longest message that is kept, in characters.
const MESSAGE: usize = 600;

/// What the deployer says of a Description.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) phase: Option<DescriptionPhase>,
    reason: String,
    applied: Option<Said>,
    ready: Option<Said>,
    held: Option<Said>,
    /// The objects that are in the cluster, or that are about to be.
    objects: BTreeMap<Feed, Reported>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    holds: bool,
    /// Whether that is decided: it is not Unknown.
    decided: bool,
    generation: Option<i64>,
    reason: String,
    message: String,
}

/// One object in the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reported {
    /// Whether its status was seen there.
    observed: bool,
    replicas: Option<ReplicaStatus>,
}

/// How a cluster stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything is there and as it should be.
    Fine,
    /// On the way there.
    Waiting(String),
    /// It will not get there by itself.
    Failed(String),
}

impl From<&DescriptionStatus> for Report {
    fn from(status: &DescriptionStatus) -> Self {
        let said = |type_| api::conditions::find(&status.conditions, type_).map(Said::from);
        Self {
            phase: status.phase,
            reason: cut(status.reason.as_deref().unwrap_or_default()),
            applied: said(conditions::APPLIED),
            ready: said(conditions::READY),
            held: said(conditions::DELETION_HELD),
            objects: status.manifest_statuses.iter().map(reported).collect(),
        }
    }
}

impl From<&Condition> for Said {
    fn from(condition: &Condition) -> Self {
        Self {
            holds: condition.status == "True",
            decided: condition.status != "Unknown",
            generation: condition.observed_generation,
            reason: condition.reason.clone(),
            message: cut(&condition.message),
        }
    }
}

impl Said {
    fn is_of(&self, generation: i64) -> bool {
        self.generation.is_none_or(|seen| seen == generation)
    }

    fn words(&self) -> String {
        if self.message.is_empty() { self.reason.clone() } else { self.message.clone() }
    }
}

impl Report {
    /// Whether everything of this generation is applied; nothing where the deployer has no such condition.
    pub(crate) fn applied(&self, generation: i64) -> Option<bool> {
        self.applied.as_ref().map(|applied| applied.holds && applied.is_of(generation))
    }

    /// Whether an object is in the cluster.
    pub(crate) fn is_available(&self, object: &Feed, everything_is_applied: bool) -> bool {
        self.objects.get(object).is_some_and(|reported| reported.observed || everything_is_applied)
    }

    /// The replicas of an object, if it has any.
    pub(crate) fn replicas(&self, object: &Feed) -> Option<&ReplicaStatus> {
        self.objects.get(object)?.replicas.as_ref()
    }

    /// How the cluster stands with this generation of the Description.
    pub(crate) fn standing(&self, generation: i64) -> Standing {
        let Some(applied) = &self.applied else {
            // A deployer of another make: all it says is how applying went.
            return match self.phase {
                Some(DescriptionPhase::Success) => Standing::Fine,
                Some(DescriptionPhase::Failure) => Standing::Failed(self.reason.clone()),
                _ => Standing::Waiting(String::from("the cluster has not reported yet")),
            };
        };
        if !applied.is_of(generation) {
            return Standing::Waiting(String::from("the newest state is not applied yet"));
        }
        if let Some(held) = self.held.as_ref().filter(|held| held.holds) {
            return Standing::Waiting(held.words());
        }
        if !applied.decided {
            return Standing::Waiting(applied.words());
        }
        if !applied.holds && [reasons::PAUSED, reasons::FROZEN].contains(&applied.reason.as_str()) {
            return Standing::Waiting(applied.words());
        }
        if !applied.holds {
            return Standing::Failed(applied.words());
        }
        match &self.ready {
            Some(ready) if ready.is_of(generation) && ready.holds => Standing::Fine,
            Some(ready) if ready.is_of(generation) && ready.reason == "Failed" => {
                Standing::Failed(ready.words())
            }
            Some(ready) if ready.is_of(generation) => Standing::Waiting(ready.words()),
            _ => Standing::Waiting(String::from("its health is not known yet")),
        }
    }

    /// Why what is to go has not gone, if there is more to say of it than that it takes its time.
    pub(crate) fn holds_on(&self) -> Option<String> {
        let held = self.held.as_ref().filter(|held| held.holds);
        held.or_else(|| self.applied.as_ref().filter(|applied| !applied.holds && applied.decided))
            .map(Said::words)
    }
}

fn reported(status: &ManifestStatus) -> (Feed, Reported) {
    let feed = crate::world::normalised(&status.feed);
    let observed = status.observed_status.as_ref();
    let replicas = observed.filter(|_| has_replicas(&feed)).map(replicas);
    (feed, Reported { observed: observed.is_some(), replicas })
}

/// The kinds whose replicas are summed (contract 5.10).
fn has_replicas(feed: &Feed) -> bool {
    matches!(
        (feed.api_version.as_str(), feed.kind.as_str()),
        ("apps/v1", "Deployment" | "StatefulSet" | "ReplicaSet") | ("batch/v1", "Job")
    )
}

fn replicas(status: &Value) -> ReplicaStatus {
    let number = |key: &str| status[key].as_i64().and_then(|number| i32::try_from(number).ok());
    ReplicaStatus {
        observed_generation: status["observedGeneration"].as_i64(),
        replicas: number("replicas"),
        updated_replicas: number("updatedReplicas"),
        current_replicas: number("currentReplicas"),
        ready_replicas: number("readyReplicas"),
        available_replicas: number("availableReplicas"),
        unavailable_replicas: number("unavailableReplicas"),
        active: number("active"),
        succeeded: number("succeeded"),
        failed: number("failed"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(status: Value) -> Report {
        Report::from(&serde_json::from_value::<DescriptionStatus>(status).unwrap())
    }

    fn condition(type_: &str, status: &str, reason: &str, generation: i64) -> Value {
        json!({ "type": type_, "status": status, "reason": reason, "message": "", "observedGeneration": generation,
                "lastTransitionTime": "2026-11-21T00:00:00Z" })
    }

    #[test]
    fn a_cluster_is_fine_when_the_newest_generation_is_applied_and_healthy() {
        let applied = condition("Applied", "True", "Applied", 2);
        for (ready, generation, expected) in [
            (condition("Ready", "True", "Healthy", 2), 2, true),
            (condition("Ready", "True", "Healthy", 1), 2, false),
            (condition("Ready", "False", "InProgress", 2), 2, false),
            (condition("Ready", "True", "Healthy", 2), 3, false),
        ] {
            let standing = report(json!({ "conditions": [applied, ready] })).standing(generation);
            assert_eq!(standing == Standing::Fine, expected, "{standing:?}");
        }
    }

    #[test]
    fn what_cannot_be_applied_or_has_failed_is_told_in_the_deployers_words() {
        let refused = json!({ "type": "Applied", "status": "False", "reason": "Forbidden", "message": "Grant it.",
                              "observedGeneration": 1, "lastTransitionTime": "2026-11-21T00:00:00Z" });
        assert_eq!(
            report(json!({ "conditions": [refused] })).standing(1),
            Standing::Failed("Grant it.".into())
        );
        let dead = [condition("Applied", "True", "Applied", 1), condition("Ready", "False", "Failed", 1)];
        assert_eq!(report(json!({ "conditions": dead })).standing(1), Standing::Failed("Failed".into()));
    }

    #[test]
    fn a_deployer_that_only_knows_phases_is_understood() {
        assert_eq!(report(json!({ "phase": "Success" })).standing(7), Standing::Fine);
        let failed = report(json!({ "phase": "Failure", "reason": "no" })).standing(7);
        assert_eq!(failed, Standing::Failed("no".into()));
        assert!(matches!(report(json!({})).standing(7), Standing::Waiting(_)));
    }

    #[test]
    fn an_object_that_is_only_noted_down_is_not_there_yet() {
        let feed = json!({ "apiVersion": "v1", "kind": "ConfigMap", "namespace": "qux", "name": "a" });
        let report = report(json!({ "manifestStatuses": [feed] }));
        let feed: Feed = serde_json::from_value(feed).unwrap();
        assert!(!report.is_available(&feed, false) && report.is_available(&feed, true));
        assert!(report.replicas(&feed).is_none());
    }
}
