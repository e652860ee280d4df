//! The status of a HelmRelease. Pure.

use api::{
    apps::HelmReleaseStatus,
    conditions::{self, Wanted as Condition},
    names::helm::{conditions::READY, reasons},
};
use helm::Release;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::trouble::Trouble;

/// The longest notes that are kept.
const LONGEST_NOTES: usize = 8_000;

/// How it stands with a HelmRelease.
pub(crate) enum State<'a> {
    /// Its release is as it is wanted.
    Ready,
    /// Something is being done: Helm's word for it, and a sentence.
    Doing(&'static str, String),
    /// It is not as it is wanted.
    Trouble(&'a Trouble),
}

/// The status after a look at the release.
pub(crate) fn next(
    before: &HelmReleaseStatus,
    generation: i64,
    release: Option<&Release>,
    state: &State<'_>,
    now: Timestamp,
) -> HelmReleaseStatus {
    let mut next =
        HelmReleaseStatus { conditions: before.conditions.clone(), ..HelmReleaseStatus::default() };
    if let Some(release) = release {
        next.first_deployed = release.first_deployed.map(Time);
        next.last_deployed = release.last_deployed.map(Time);
        next.description = Some(release.description.clone()).filter(|text| !text.is_empty());
        next.phase = Some(release.phase.as_str().to_owned());
        next.notes = Some(shortened(&release.notes)).filter(|text| !text.is_empty());
        next.version = Some(release.revision);
    }
    let (status, reason, message) = match state {
        State::Ready => {
            let (revision, name) =
                release.map_or((0, ""), |release| (release.revision, release.chart.as_str()));
            let version = release.map_or("", |release| release.version.as_str());
            ("True", reasons::DEPLOYED, format!("{name} {version} is deployed as revision {revision}."))
        }
        State::Doing(phase, sentence) => {
            next.phase = Some((*phase).to_owned());
            ("Unknown", reasons::PROGRESSING, sentence.clone())
        }
        State::Trouble(trouble) => {
            // Whatever is there, it is not what is wanted: who looks at the phase only must see that.
            let is_halted =
                [reasons::HALTED, reasons::IN_PROGRESS, reasons::UNREACHABLE].contains(&trouble.reason);
            if is_halted {
                next.phase = next.phase.or_else(|| before.phase.clone());
            } else {
                next.phase = Some(String::from("failed"));
                next.description = Some(trouble.message.clone());
            }
            ("False", trouble.reason, trouble.message.clone())
        }
    };
    if release.is_none() && matches!(state, State::Trouble(trouble) if trouble.reason == reasons::UNREACHABLE)
    {
        // Nobody knows: what was known stays.
        next = HelmReleaseStatus { conditions: next.conditions, ..before.clone() };
    }
    let generation = Some(generation);
    let wanted = Condition { type_: READY, status, reason: reason.to_owned(), message, generation };
    conditions::set(&mut next.conditions, wanted, now);
    next
}

/// Whether a status says that this revision is right for this generation.
pub(crate) fn is_settled(status: &HelmReleaseStatus, generation: i64, revision: i32) -> bool {
    let ready = conditions::find(&status.conditions, READY);
    status.version == Some(revision)
        && ready.is_some_and(|ready| ready.status == "True" && ready.observed_generation == Some(generation))
}

/// Whether a status says that this generation was tried before, and failed.
pub(crate) fn has_failed(status: &HelmReleaseStatus, generation: i64) -> bool {
    let tried = [
        reasons::FAILED,
        reasons::TIMED_OUT,
        reasons::UNUSABLE,
        reasons::TOO_LARGE,
        reasons::FORBIDDEN,
        reasons::UNREACHABLE,
    ];
    conditions::find(&status.conditions, READY).is_some_and(|ready| {
        ready.status == "False"
            && ready.observed_generation == Some(generation)
            && tried.contains(&ready.reason.as_str())
    })
}

fn shortened(notes: &str) -> String {
    notes
        .char_indices()
        .nth(LONGEST_NOTES)
        .map_or_else(|| notes.to_owned(), |(at, _)| notes.chars().take(at).collect())
}

#[cfg(test)]
mod tests {
    use helm::Phase;

    use super::*;

    fn release() -> Release {
        Release {
            revision: 2,
            phase: Phase::Deployed,
            chart: String::from("web"),
            version: String::from("1.0.0"),
            values: serde_json::Map::new(),
            first_deployed: Some(Timestamp::UNIX_EPOCH),
            last_deployed: Some(Timestamp::UNIX_EPOCH),
            description: String::from("Upgrade complete"),
            notes: String::from("welcome"),
        }
    }

    #[test]
    fn a_release_as_it_is_wanted_is_told_in_helms_words_and_changes_nothing_the_second_time() {
        let status =
            next(&HelmReleaseStatus::default(), 4, Some(&release()), &State::Ready, Timestamp::UNIX_EPOCH);
        assert_eq!((status.phase.as_deref(), status.version), (Some("deployed"), Some(2)));
        assert_eq!(status.description.as_deref(), Some("Upgrade complete"));
        assert!(is_settled(&status, 4, 2) && !is_settled(&status, 5, 2) && !is_settled(&status, 4, 3));
        assert_eq!(next(&status, 4, Some(&release()), &State::Ready, Timestamp::now()), status);
    }

    #[test]
    fn what_could_not_be_done_is_failed_whatever_runs_meanwhile() {
        let trouble = Trouble::new(reasons::FAILED, "It failed.");
        let status = next(
            &HelmReleaseStatus::default(),
            1,
            Some(&release()),
            &State::Trouble(&trouble),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!((status.phase.as_deref(), status.version), (Some("failed"), Some(2)));
        assert!(has_failed(&status, 1) && !has_failed(&status, 2));
        assert_eq!(status.conditions[0].reason, reasons::FAILED);
    }

    #[test]
    fn a_cluster_that_cannot_be_reached_leaves_what_was_known() {
        let known =
            next(&HelmReleaseStatus::default(), 1, Some(&release()), &State::Ready, Timestamp::UNIX_EPOCH);
        let trouble = Trouble::new(reasons::UNREACHABLE, "Away.");
        let status = next(&known, 1, None, &State::Trouble(&trouble), Timestamp::UNIX_EPOCH);
        assert_eq!((status.phase, status.version, status.notes), (known.phase, known.version, known.notes));
        assert_eq!(status.conditions[0].status, "False");
    }
}
