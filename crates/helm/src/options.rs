//! The options of Helm (contract 1.8, 5.9), as flags. Pure.

use std::time::Duration;

use api::apps::HelmOptions;

/// Revisions of a release that are kept.
const HISTORY: &str = "5";
/// How long an operation may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(300);
/// What Helm and the network may take beside what it waits for.
const MARGIN: Duration = Duration::from_secs(60);

/// How a chart is installed. [`Default`] is Helm's own, and makes the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallOptions {
    /// The namespace is made if it is missing.
    pub create_namespace: bool,
    /// How long each thing that Helm waits for may take.
    pub timeout: Duration,
    /// It is done when its objects are ready.
    pub wait: bool,
    /// And its Jobs completed; only with `wait`.
    pub wait_for_jobs: bool,
    /// A release that fails is removed.
    pub atomic: bool,
    /// The name of a release that was removed or has failed is used again.
    pub replace: bool,
    /// The CRDs of the chart are left out.
    pub skip_crds: bool,
    /// The hooks of the chart are not run.
    pub disable_hooks: bool,
}

/// How a release is upgraded. Its values are what is given, and nothing of those before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeOptions {
    /// How long each thing that Helm waits for may take.
    pub timeout: Duration,
    /// It is done when its objects are ready.
    pub wait: bool,
    /// And its Jobs completed; only with `wait`.
    pub wait_for_jobs: bool,
    /// An upgrade that fails is rolled back.
    pub atomic: bool,
    /// Objects are replaced where they cannot be updated.
    pub force: bool,
    /// The CRDs of the chart are left out.
    pub skip_crds: bool,
    /// The hooks of the chart are not run.
    pub disable_hooks: bool,
}

/// How a release is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UninstallOptions {
    /// How long each thing that Helm waits for may take.
    pub timeout: Duration,
    /// It is done when its objects are gone.
    pub wait: bool,
    /// The hooks of the chart are not run.
    pub disable_hooks: bool,
}

impl From<&HelmOptions> for InstallOptions {
    fn from(options: &HelmOptions) -> Self {
        Self {
            create_namespace: options.create_namespace.unwrap_or(true),
            timeout: timeout(options),
            wait: options.wait.unwrap_or_default(),
            wait_for_jobs: options.wait_for_job.unwrap_or_default(),
            atomic: options.atomic.unwrap_or_default(),
            replace: options.replace.unwrap_or_default(),
            skip_crds: options.skip_crds.unwrap_or_default(),
            disable_hooks: options.disable_hooks.unwrap_or_default(),
        }
    }
}

impl From<&HelmOptions> for UpgradeOptions {
    fn from(options: &HelmOptions) -> Self {
        Self {
            timeout: timeout(options),
            wait: options.wait.unwrap_or_default(),
            wait_for_jobs: options.wait_for_job.unwrap_or_default(),
            atomic: options.upgrade_atomic.unwrap_or_default(),
            force: options.force.unwrap_or_default(),
            skip_crds: options.skip_crds.unwrap_or_default(),
            disable_hooks: options.disable_hooks.unwrap_or_default(),
        }
    }
}

impl From<&HelmOptions> for UninstallOptions {
    fn from(options: &HelmOptions) -> Self {
        Self {
            timeout: timeout(options),
            wait: options.wait.unwrap_or_default(),
            disable_hooks: options.disable_hooks.unwrap_or_default(),
        }
    }
}

impl Default for InstallOptions {
    fn default() -> Self {
        Self::from(&HelmOptions::default())
    }
}

impl Default for UpgradeOptions {
    fn default() -> Self {
        Self::from(&HelmOptions::default())
    }
}

impl Default for UninstallOptions {
    fn default() -> Self {
        Self::from(&HelmOptions::default())
    }
}

impl InstallOptions {
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = common(self.timeout);
        let switches = [
            (self.create_namespace, "--create-namespace"),
            (self.wait, "--wait"),
            (self.wait_for_jobs, "--wait-for-jobs"),
            (self.atomic, "--atomic"),
            (self.replace, "--replace"),
            (self.skip_crds, "--skip-crds"),
            (self.disable_hooks, "--no-hooks"),
        ];
        flags.extend(chosen(&switches));
        flags
    }

    /// When the process has failed by not ending: hooks before, the wait, hooks after, and the removal of what failed.
    pub(crate) fn deadline(&self) -> Duration {
        self.timeout * if self.atomic { 4 } else { 3 } + MARGIN
    }
}

impl UpgradeOptions {
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = common(self.timeout);
        flags.push(String::from("--history-max"));
        flags.push(String::from(HISTORY));
        // What is given is all: neither the values before nor a guess of which are meant.
        flags.push(String::from("--reset-values"));
        let switches = [
            (self.wait, "--wait"),
            (self.wait_for_jobs, "--wait-for-jobs"),
            (self.atomic, "--atomic"),
            (self.force, "--force"),
            (self.skip_crds, "--skip-crds"),
            (self.disable_hooks, "--no-hooks"),
        ];
        flags.extend(chosen(&switches));
        flags
    }

    pub(crate) fn rollback_flags(&self) -> Vec<String> {
        let mut flags = common(self.timeout);
        flags.push(String::from("--history-max"));
        flags.push(String::from(HISTORY));
        let switches = [
            (self.wait, "--wait"),
            (self.wait_for_jobs, "--wait-for-jobs"),
            (self.force, "--force"),
            (self.disable_hooks, "--no-hooks"),
        ];
        flags.extend(chosen(&switches));
        flags
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.timeout * if self.atomic { 6 } else { 3 } + MARGIN
    }
}

impl UninstallOptions {
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = common(self.timeout);
        flags.extend(chosen(&[(self.wait, "--wait"), (self.disable_hooks, "--no-hooks")]));
        flags
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.timeout * 3 + MARGIN
    }
}

fn timeout(options: &HelmOptions) -> Duration {
    let seconds = options
        .timeout_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0);
    seconds.map_or(TIMEOUT, Duration::from_secs)
}

fn common(timeout: Duration) -> Vec<String> {
    vec![String::from("--timeout"), format!("{}s", timeout.as_secs().max(1))]
}

fn chosen<'a>(switches: &'a [(bool, &'a str)]) -> impl Iterator<Item = String> + 'a {
    switches.iter().filter(|(on, _)| *on).map(|(_, flag)| (*flag).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> HelmOptions {
        HelmOptions {
            timeout_seconds: Some(7),
            create_namespace: Some(true),
            wait: Some(true),
            wait_for_job: Some(true),
            replace: Some(true),
            atomic: Some(true),
            upgrade_atomic: Some(true),
            skip_crds: Some(true),
            disable_hooks: Some(true),
            force: Some(true),
            ..HelmOptions::default()
        }
    }

    #[test]
    fn each_option_is_the_flag_it_means() {
        let install = InstallOptions::from(&every()).flags().join(" ");
        let expected = "--timeout 7s --create-namespace --wait --wait-for-jobs --atomic --replace --skip-crds --no-hooks";
        assert_eq!(install, expected);
        let upgrade = UpgradeOptions::from(&every()).flags().join(" ");
        let expected = "--timeout 7s --history-max 5 --reset-values --wait --wait-for-jobs --atomic --force --skip-crds --no-hooks";
        assert_eq!(upgrade, expected);
        assert_eq!(UninstallOptions::from(&every()).flags().join(" "), "--timeout 7s --wait --no-hooks");
    }

    #[test]
    fn what_is_not_said_is_the_contracts_default() {
        assert_eq!(InstallOptions::default().flags().join(" "), "--timeout 300s --create-namespace");
        assert_eq!(
            UpgradeOptions::default().flags().join(" "),
            "--timeout 300s --history-max 5 --reset-values"
        );
        let odd = HelmOptions { timeout_seconds: Some(-3), ..HelmOptions::default() };
        assert_eq!(UninstallOptions::from(&odd).timeout, TIMEOUT);
    }

    #[test]
    fn atomic_means_the_installation_there_and_the_upgrade_here() {
        let only = HelmOptions { atomic: Some(true), ..HelmOptions::default() };
        assert!(InstallOptions::from(&only).atomic && !UpgradeOptions::from(&only).atomic);
    }
}
