//! The status of a Description, from how its objects stand. Pure.

use std::collections::BTreeSet;

use api::{
    apps::{DescriptionPhase, DescriptionStatus, Feed, ManifestStatus},
    conditions::{self, Wanted},
    names::deployer::{
        annotations::CONFIRM_DELETION,
        conditions::{APPLIED, DELETION_HELD, READY},
        reasons,
    },
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use placement::health::{Health, State};
use serde_json::Value;

use crate::{brake::Held, item::title, trouble::Trouble};

/// What is kept of the status of one object, and of all objects of a Description, as bytes of JSON.
const ONE: usize = 16 << 10;
const ALL: usize = 400 << 10;
/// The longest text for people.
const MESSAGE: usize = 2_000;

/// What was seen of an object in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    /// Its status, if it has one that is not too large.
    pub(crate) status: Option<Value>,
    pub(crate) health: Health,
}

impl Seen {
    pub(crate) fn of(object: &Value) -> Self {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let status = object.get("status").filter(|status| status.is_object());
        Self {
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            status: status.filter(|status| status.to_string().len() <= ONE).cloned(),
            health: placement::health::health(object),
        }
    }
}

/// Everything a status is made of, beside the one before.
pub(crate) struct Facts<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) generation: i64,
    /// The objects, in the order of the feeds, and what was seen of each; then those that have yet to go.
    pub(crate) objects: Vec<(Feed, Option<&'a Seen>)>,
    /// Which of them were refused from the beginning, so that there is nothing of them.
    pub(crate) never_applied: BTreeSet<Feed>,
    /// How many of them are to go.
    pub(crate) leaving: usize,
    pub(crate) troubles: Vec<Trouble>,
    /// Whether everything was looked at since the Description has changed; if not, nothing is said of its success yet.
    pub(crate) finished: bool,
    pub(crate) held: Option<Held>,
}

/// The status that follows `before`. It is equal to it if nothing has changed.
pub(crate) fn next(before: &DescriptionStatus, facts: &Facts<'_>, now: Timestamp) -> DescriptionStatus {
    let mut told = Conditions { generation: facts.generation, now, all: before.conditions.clone() };
    let troubles = sorted(&facts.troubles);
    let mut next = DescriptionStatus {
        phase: before.phase,
        reason: before.reason.clone(),
        manifest_statuses: manifest_statuses(facts),
        conditions: vec![],
    };
    if let Some(first) = troubles.first() {
        let more = troubles.len() - 1;
        let text = if more > 0 { format!("{first}; and {more} more") } else { first.to_string() };
        let halted = [reasons::PAUSED, reasons::FROZEN].contains(&first.reason);
        told.add(APPLIED, "False", first.reason, &text);
        if !halted {
            next.phase = Some(DescriptionPhase::Failure);
            next.reason = Some(cut(&all(&troubles)));
        }
    } else if facts.finished {
        let count = facts.objects.len() - facts.leaving;
        told.add(APPLIED, "True", reasons::DEPLOYED, &sentence(&all_there(count)));
        next.phase = Some(DescriptionPhase::Success);
        next.reason = None;
    }
    ready(facts, &mut told);
    match facts.held {
        Some(Held::TooMuch { going, of }) => {
            let Facts { namespace, name, generation, cluster, .. } = facts;
            let text = format!(
                "{going} of the {of} objects that {cluster} runs would be gone with it; that waits until it is confirmed, \
                 in the parent: kubectl -n {namespace} annotate --overwrite description {name} {CONFIRM_DELETION}={generation}"
            );
            told.add(DELETION_HELD, "True", reasons::MASS_DELETION, &text);
        }
        None if conditions::find(&before.conditions, DELETION_HELD).is_some() => {
            told.add(DELETION_HELD, "False", reasons::NOTHING_HELD, "No deletion waits to be confirmed.");
        }
        // It is told already, or there is nothing to tell.
        Some(Held::Before) | None => {}
    }
    next.conditions = told.all;
    next
}

fn ready(facts: &Facts<'_>, told: &mut Conditions) {
    let wanted = facts.objects.len() - facts.leaving;
    let worst = facts.objects.iter().take(wanted).filter_map(|(feed, seen)| Some((feed, &(*seen)?.health)));
    // The first of the worst ones, so that the same facts give the same text.
    let worst = worst.fold(None, |worst: Option<(&Feed, &Health)>, one| match worst {
        Some(known) if known.1.state >= one.1.state => Some(known),
        _ => Some(one),
    });
    let unseen = facts.objects.iter().take(wanted).filter(|(_, seen)| seen.is_none()).count();
    match worst {
        Some((feed, health)) if health.state == State::Failed => {
            told.add(READY, "False", reasons::FAILED, &format!("{}: {}", title(feed), health.message));
        }
        _ if unseen > 0 => {
            let text = format!("{unseen} of {wanted} objects have not been seen in {}.", facts.cluster);
            told.add(READY, "False", reasons::UNKNOWN, &text);
        }
        Some((feed, health)) if health.state != State::Current => {
            told.add(READY, "False", reasons::PROGRESSING, &format!("{}: {}", title(feed), health.message));
        }
        _ => told.add(READY, "True", reasons::HEALTHY, "Everything is healthy."),
    }
}

/// How many objects are as they are to be, as the end of a sentence.
pub(crate) fn all_there(count: usize) -> String {
    match count {
        1 => String::from("one object is as it is to be."),
        count => format!("all {count} objects are as they are to be."),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// One entry for each object; the statuses of the first of them, as many as fit.
fn manifest_statuses(facts: &Facts<'_>) -> Vec<ManifestStatus> {
    let mut left = ALL;
    let entry = |(feed, seen): &(Feed, Option<&Seen>)| {
        let status = seen.and_then(|seen| seen.status.as_ref()).filter(|status| {
            let size = status.to_string().len();
            let fits = size <= left;
            left -= if fits { size } else { 0 };
            fits
        });
        let never_applied = facts.never_applied.contains(feed).then_some(true);
        ManifestStatus { feed: feed.clone(), observed_status: status.cloned(), never_applied }
    };
    facts.objects.iter().map(entry).collect()
}

/// What somebody has to do something about comes first.
fn sorted(troubles: &[Trouble]) -> Vec<&Trouble> {
    let mut all: Vec<&Trouble> = troubles.iter().collect();
    all.sort_by_key(|trouble| trouble.passing);
    all
}

fn all(troubles: &[&Trouble]) -> String {
    const NAMED: usize = 10;
    let named = troubles.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match troubles.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

struct Conditions {
    generation: i64,
    now: Timestamp,
    all: Vec<Condition>,
}

impl Conditions {
    fn add(&mut self, type_: &'static str, status: &'static str, reason: &str, message: &str) {
        let (reason, message) = (reason.to_owned(), cut(message));
        let wanted = Wanted { type_, status, reason, message, generation: Some(self.generation) };
        conditions::set(&mut self.all, wanted, self.now);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn feed(name: &str) -> Feed {
        Feed { kind: "Deployment".into(), api_version: "apps/v1".into(), namespace: None, name: name.into() }
    }

    fn facts(objects: Vec<(Feed, Option<&Seen>)>, troubles: Vec<Trouble>) -> Facts<'_> {
        Facts {
            cluster: "c1",
            namespace: "n",
            name: "d",
            generation: 3,
            objects,
            never_applied: BTreeSet::new(),
            leaving: 0,
            troubles,
            finished: true,
            held: None,
        }
    }

    fn short(status: &DescriptionStatus) -> Vec<String> {
        status.conditions.iter().map(|c| format!("{} {} {}", c.type_, c.status, c.reason)).collect()
    }

    fn seen(status: &Value) -> Seen {
        Seen::of(
            &json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "uid": "1", "generation": 1 },
                          "spec": { "replicas": 1 }, "status": status }),
        )
    }

    fn healthy() -> Seen {
        seen(&json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
                      "availableReplicas": 1, "conditions": [{ "type": "Available", "status": "True" },
                                     { "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }] }))
    }

    #[test]
    fn everything_there_and_healthy_is_success_and_ready() {
        let healthy = healthy();
        let status =
            next(&DescriptionStatus::default(), &facts(vec![(feed("a"), Some(&healthy))], vec![]), at(1));
        assert_eq!(status.phase, Some(DescriptionPhase::Success));
        assert_eq!(short(&status), ["Applied True SuccessfullyDeployed", "Ready True Healthy"]);
        assert_eq!(status.manifest_statuses[0].observed_status.as_ref().unwrap()["replicas"], 1);
    }

    #[test]
    fn what_did_not_change_gives_the_same_status() {
        let healthy = healthy();
        let objects = || vec![(feed("a"), Some(&healthy)), (feed("b"), None)];
        let first = next(&DescriptionStatus::default(), &facts(objects(), vec![]), at(1));
        assert_eq!(next(&first, &facts(objects(), vec![]), at(99)), first);
    }

    #[test]
    fn one_object_in_trouble_is_a_failure_that_names_it_and_what_somebody_has_to_do_comes_first() {
        let passing = Trouble::new("ClusterUnreachable", &feed("a"), "later").passing();
        let lasting = Trouble::new("Refused", &feed("b"), "never");
        let status = next(&DescriptionStatus::default(), &facts(vec![], vec![passing, lasting]), at(1));
        assert_eq!(status.phase, Some(DescriptionPhase::Failure));
        assert_eq!(status.reason.as_deref(), Some("Deployment b: never; Deployment a: later"));
        assert_eq!(short(&status)[0], "Applied False Refused");
        assert_eq!(status.conditions[0].message, "Deployment b: never; and 1 more");
    }

    #[test]
    fn a_pause_is_no_failure() {
        let healthy = healthy();
        let before =
            next(&DescriptionStatus::default(), &facts(vec![(feed("a"), Some(&healthy))], vec![]), at(1));
        let paused = vec![Trouble::of_description(reasons::PAUSED, "paused")];
        let status = next(&before, &facts(vec![(feed("a"), Some(&healthy))], paused), at(2));
        assert_eq!(
            (status.phase, short(&status)[0].as_str()),
            (Some(DescriptionPhase::Success), "Applied False Paused")
        );
    }

    #[test]
    fn one_that_will_not_get_there_counts_more_than_many_that_are_on_their_way() {
        let (failed, progressing) = (
            seen(
                &json!({ "observedGeneration": 1, "conditions": [{ "type": "Progressing", "status": "False",
                          "reason": "ProgressDeadlineExceeded", "message": "too long" }] }),
            ),
            seen(&json!({ "observedGeneration": 0 })),
        );
        let objects = vec![(feed("a"), Some(&progressing)), (feed("b"), Some(&failed)), (feed("c"), None)];
        let status = next(&DescriptionStatus::default(), &facts(objects, vec![]), at(1));
        assert_eq!(short(&status)[1], "Ready False Failed");
        let status =
            next(&DescriptionStatus::default(), &facts(vec![(feed("a"), Some(&progressing))], vec![]), at(1));
        assert_eq!(short(&status)[1], "Ready False Progressing");
    }

    #[test]
    fn a_held_deletion_shows_the_command_that_confirms_it_and_is_taken_back_afterwards() {
        let mut held = facts(vec![], vec![]);
        held.held = Some(Held::TooMuch { going: 60, of: 100 });
        let status = next(&DescriptionStatus::default(), &held, at(1));
        let condition = status.conditions.last().unwrap();
        assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("DeletionHeld", "True"));
        assert!(condition.message.ends_with(
            "kubectl -n n annotate --overwrite description d apps.clusterway.io/confirm-deletion=3"
        ));
        let after = next(&status, &facts(vec![], vec![]), at(2));
        assert_eq!(short(&after)[2], "DeletionHeld False NothingHeld");
    }

    #[test]
    fn statuses_do_not_fill_the_description() {
        let large = seen(&json!({ "text": "x".repeat(ONE - 100) }));
        let objects: Vec<_> = (0..100).map(|n| (feed(&n.to_string()), Some(&large))).collect();
        let status = next(&DescriptionStatus::default(), &facts(objects, vec![]), at(1));
        assert_eq!(status.manifest_statuses.len(), 100);
        assert!(json!(status).to_string().len() < 500 << 10);
        assert!(seen(&json!({ "text": "x".repeat(ONE) })).status.is_none());
    }
}
