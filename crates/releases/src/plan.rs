//! What has to be done for a release. Pure.

use std::time::Duration;

use helm::{Phase, Release};
use jiff::Timestamp;

use crate::wanted::{Wanted, same_version};

/// How long an operation that seems to be under way may be so beyond its time.
const MARGIN: Duration = Duration::from_secs(30);

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is as it is wanted.
    Nothing,
    /// There is none. `replace`: but its name was used.
    Install { replace: bool },
    /// It is another one, or may be: the version is a range.
    Upgrade,
    /// What is there cannot be upgraded: it is removed first.
    Reinstall,
    /// An upgrade was interrupted: it is taken back first.
    Recover,
    /// Somebody is at it, for so long at most.
    Wait(Duration),
}

/// What the decision is made of.
pub(crate) struct Facts<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) release: Option<&'a Release>,
    /// Whether this revision was made, or found right, for this generation of the HelmRelease.
    pub(crate) settled: bool,
    pub(crate) timeout: Duration,
    pub(crate) now: Timestamp,
}

impl Facts<'_> {
    pub(crate) fn step(&self) -> Step {
        let Some(release) = self.release else { return Step::Install { replace: false } };
        let atomic = self.wanted.release.spec.options.atomic.unwrap_or_default();
        match release.phase {
            phase if phase.is_pending() => {
                let begun = release.last_deployed.unwrap_or(Timestamp::UNIX_EPOCH);
                let age = self.now.duration_since(begun).unsigned_abs();
                match (self.timeout + MARGIN).checked_sub(age) {
                    Some(left) if !left.is_zero() => Step::Wait(left),
                    _ if phase == Phase::PendingInstall => Step::Reinstall,
                    _ => Step::Recover,
                }
            }
            Phase::Uninstalling => Step::Reinstall,
            Phase::Uninstalled => Step::Install { replace: true },
            Phase::Deployed if self.settled || self.is_wanted(release) => Step::Nothing,
            Phase::Deployed => Step::Upgrade,
            _ if atomic => Step::Reinstall,
            _ => Step::Upgrade,
        }
    }

    fn is_wanted(&self, release: &Release) -> bool {
        self.wanted.is_exact()
            && self.wanted.version().is_some_and(|version| same_version(version, &release.version))
            && self.wanted.same_but_version(release)
    }
}

#[cfg(test)]
mod tests {
    use api::apps::{HelmOptions, HelmRelease, HelmReleaseSpec};
    use serde_json::Map;

    use super::*;

    fn release(phase: Phase) -> Release {
        Release {
            revision: 3,
            phase,
            chart: String::from("web"),
            version: String::from("1.2.3"),
            values: Map::new(),
            first_deployed: None,
            last_deployed: Some(Timestamp::UNIX_EPOCH),
            description: String::new(),
            notes: String::new(),
        }
    }

    fn wanted(version: &str, atomic: bool) -> Wanted {
        let options = HelmOptions {
            chart: String::from("web"),
            version: Some(version.to_owned()),
            atomic: Some(atomic),
            target_namespace: String::from("qux"),
            ..HelmOptions::default()
        };
        Wanted::of(&HelmRelease::new("web", HelmReleaseSpec { options, ..HelmReleaseSpec::default() }))
            .unwrap()
    }

    fn step(wanted: &Wanted, release: Option<&Release>, settled: bool, seconds: i64) -> Step {
        let now = Timestamp::from_second(seconds).unwrap();
        Facts { wanted, release, settled, timeout: Duration::from_secs(300), now }.step()
    }

    #[test]
    fn what_is_equal_is_left_alone_and_what_differs_is_upgraded() {
        let deployed = release(Phase::Deployed);
        assert_eq!(step(&wanted("1.2.3", false), Some(&deployed), false, 0), Step::Nothing);
        assert_eq!(step(&wanted("v1.2.3", false), Some(&deployed), false, 0), Step::Nothing);
        assert_eq!(step(&wanted("1.2.4", false), Some(&deployed), false, 0), Step::Upgrade);
        let mut other = deployed.clone();
        other.values.insert(String::from("a"), 1.into());
        assert_eq!(step(&wanted("1.2.3", false), Some(&other), false, 0), Step::Upgrade);
        other = deployed.clone();
        other.chart = String::from("other");
        assert_eq!(step(&wanted("1.2.3", false), Some(&other), false, 0), Step::Upgrade);
        assert_eq!(step(&wanted("1.2.3", false), None, false, 0), Step::Install { replace: false });
    }

    #[test]
    fn no_version_or_a_range_does_not_upgrade_for_ever() {
        let deployed = release(Phase::Deployed);
        for version in ["", "^1.2"] {
            assert_eq!(step(&wanted(version, false), Some(&deployed), false, 0), Step::Upgrade);
            assert_eq!(step(&wanted(version, false), Some(&deployed), true, 0), Step::Nothing);
        }
    }

    #[test]
    fn what_failed_is_upgraded_or_with_atomic_installed_anew() {
        let failed = release(Phase::Failed);
        assert_eq!(step(&wanted("1.2.3", false), Some(&failed), false, 0), Step::Upgrade);
        assert_eq!(step(&wanted("1.2.3", true), Some(&failed), true, 0), Step::Reinstall);
        assert_eq!(
            step(&wanted("1.2.3", false), Some(&release(Phase::Uninstalled)), false, 0),
            Step::Install { replace: true }
        );
        assert_eq!(
            step(&wanted("1.2.3", false), Some(&release(Phase::Uninstalling)), false, 0),
            Step::Reinstall
        );
    }

    #[test]
    fn what_was_interrupted_is_taken_back_after_its_time() {
        let installing = release(Phase::PendingInstall);
        assert_eq!(step(&wanted("1.2.3", false), Some(&installing), false, 300), Step::Wait(MARGIN));
        assert_eq!(step(&wanted("1.2.3", false), Some(&installing), false, 331), Step::Reinstall);
        let upgrading = release(Phase::PendingUpgrade);
        assert_eq!(
            step(&wanted("1.2.3", false), Some(&upgrading), true, 0),
            Step::Wait(Duration::from_secs(330))
        );
        assert_eq!(step(&wanted("1.2.3", false), Some(&upgrading), true, 331), Step::Recover);
    }
}
