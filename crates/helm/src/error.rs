//! What can go wrong, by what the caller can do about it.

use std::time::Duration;

use crate::process::Failure;

/// Why an operation did not do what it was to do.
///
/// A message is what Helm says, shortened, and without credentials and values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The repository answers and does not have the chart, or not this version of it. It may have it later.
    #[error("the repository has no such chart: {0}")]
    NoSuchChart(String),
    /// The repository does not answer, its certificate cannot be verified, or it is no repository. Worth another try.
    #[error("the repository cannot be reached: {0}")]
    Unreachable(String),
    /// The repository wants other credentials.
    #[error("the repository refuses the credentials: {0}")]
    Refused(String),
    /// The chart, its name or the values cannot be used as they are. The same again gives the same.
    #[error("the chart or its values cannot be used: {0}")]
    Unusable(String),
    /// An index, a chart or what becomes of it is larger than the bounds. The same again gives the same.
    #[error("the chart is too large: {0}")]
    TooLarge(String),
    /// There is no such release, or no such revision of it.
    #[error("there is no such release")]
    NoRelease,
    /// Another operation on the release is under way, or was killed. [`Release::phase`](crate::Release) tells which.
    #[error("another operation on the release is in progress")]
    InProgress,
    /// The cluster does not let this identity do it.
    #[error("the cluster does not allow it: {0}")]
    Forbidden(String),
    /// The API server of the cluster does not answer. Worth another try.
    #[error("the cluster cannot be reached: {0}")]
    ClusterUnreachable(String),
    /// It took longer than it may. What was begun may go on in the cluster.
    #[error("it was not finished within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Helm tried, and the release failed.
    #[error("the release failed: {0}")]
    Failed(String),
    /// The executable cannot be run here: an administrator has to look.
    #[error("helm cannot be run: {0}")]
    Program(String),
}

/// How Helm begins to say why it has no index.
const UPDATE: &str = "Unable to get an update from the";
/// The longest message.
const LONGEST: usize = 1000;

/// What Helm was asked for when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The index of a repository.
    Index,
    /// A chart of a repository.
    Pull,
    /// What is in a chart that was fetched.
    Read,
    /// Something with a release in a cluster.
    Release,
}

impl Error {
    /// What a failure means for the caller.
    pub(crate) fn of(failure: Failure, step: Step) -> Self {
        match failure {
            Failure::Start(why) => Self::Program(why),
            Failure::TimedOut(limit) => Self::TimedOut(limit),
            Failure::TooMuch(what) => Self::TooLarge(what),
            // Of an index, the reason stands among what it prints.
            Failure::Exit { printed, .. } if step == Step::Index && printed.contains(UPDATE) => {
                let reason = printed.split_once(UPDATE).and_then(|(_, rest)| rest.split_once("):"));
                Self::said(reason.map_or("", |(_, reason)| reason), step)
            }
            Failure::Exit { said, .. } => Self::said(&said, step),
        }
    }

    fn said(said: &str, step: Step) -> Self {
        let message = shortened(said);
        let text = said.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&[
            "out of memory",
            "cannot allocate memory",
            "file too large",
            "larger than the maximum",
            "exceeds the maximum",
        ]) {
            return Self::TooLarge(message);
        }
        match step {
            Step::Index | Step::Pull
                if has(&["401 ", "403 ", "unauthorized", "forbidden", "access denied", "credential"]) =>
            {
                Self::Refused(message)
            }
            Step::Pull
                if has(&[
                    " not found",
                    "no chart name found",
                    "no chart version found",
                    "404 ",
                    "constraint",
                    "name unknown",
                    "manifest unknown",
                ]) =>
            {
                Self::NoSuchChart(message)
            }
            Step::Index | Step::Pull => Self::Unreachable(message),
            Step::Read => Self::Unusable(message),
            Step::Release if has(&["release: not found", "has no deployed releases", "has no 0 version"]) => {
                Self::NoRelease
            }
            Step::Release if text.contains("release has no ") && text.ends_with(" version") => {
                Self::NoRelease
            }
            Step::Release if has(&["another operation (install/upgrade/rollback) is in progress"]) => {
                Self::InProgress
            }
            Step::Release
                if has(&[
                    "is forbidden: user",
                    "forbidden: user",
                    "cannot create resource",
                    "cannot get resource",
                ]) =>
            {
                Self::Forbidden(message)
            }
            Step::Release
                if has(&[
                    "kubernetes cluster unreachable",
                    "connection refused",
                    "no route to host",
                    "i/o timeout",
                ]) =>
            {
                Self::ClusterUnreachable(message)
            }
            Step::Release
                if has(&[
                    "execution error at",
                    "parse error",
                    "error calling ",
                    "values don't meet the specifications",
                    "error converting yaml to json",
                    "yaml parse error",
                    "unable to build kubernetes objects",
                    "chart requires kubeversion",
                    "cannot be overwritten",
                ]) =>
            {
                Self::Unusable(message)
            }
            Step::Release => Self::Failed(message),
        }
    }
}

/// Helm's last error without its prefixes, on one line.
fn shortened(said: &str) -> String {
    let from = said.rfind("Error: ").map_or(said, |at| said.get(at + 7..).unwrap_or_default());
    let mut line = from.split_whitespace().collect::<Vec<_>>().join(" ");
    for prefix in ["INSTALLATION FAILED: ", "UPGRADE FAILED: "] {
        if let Some(rest) = line.strip_prefix(prefix) {
            line = rest.to_owned();
        }
    }
    if line.is_empty() {
        return String::from("helm did not say why");
    }
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &str, step: Step) -> Error {
        Error::of(Failure::Exit { said: said.to_owned(), printed: String::new() }, step)
    }

    #[test]
    fn why_there_is_no_index_stands_among_what_is_printed() {
        let printed = "Hang tight while we grab the latest from your chart repositories...\n...Unable to get an update from the \
                       \"repository\" chart repository (http://127.0.0.1:1):\n\tfailed to fetch http://127.0.0.1:1/index.yaml : 401 \
                       Unauthorized\n";
        let said = "Error: Failed to update the following repositories: [http://127.0.0.1:1]";
        let failure = Failure::Exit { said: said.to_owned(), printed: printed.to_owned() };
        let error = Error::of(failure, Step::Index);
        let expected = "failed to fetch http://127.0.0.1:1/index.yaml : 401 Unauthorized";
        assert_eq!(error, Error::Refused(expected.to_owned()));
    }

    #[test]
    fn a_chart_that_is_missing_is_told_from_a_repository_that_is() {
        let missing = "Error: chart \"nope\" matching  not found in r index. (try 'helm repo update'): no chart name found";
        assert!(matches!(of(missing, Step::Pull), Error::NoSuchChart(_)));
        let version = "Error: chart \"web\" matching 9.9.9 not found in r index. (try 'helm repo update'): no chart version found for web-9.9.9";
        assert!(matches!(of(version, Step::Pull), Error::NoSuchChart(_)));
        let tag =
            "Error: failed to perform \"FetchReference\" on source: 127.0.0.1:18999/x/web:1.0.0: not found";
        assert!(matches!(of(tag, Step::Pull), Error::NoSuchChart(_)));
        let down =
            "Error: Get \"http://127.0.0.1:1/index.yaml\": dial tcp 127.0.0.1:1: connect: connection refused";
        assert!(matches!(of(down, Step::Index), Error::Unreachable(_)));
        let no_index = "Error: failed to fetch http://127.0.0.1:1/index.yaml : 404 Not Found";
        assert!(matches!(of(no_index, Step::Index), Error::Unreachable(_)));
        let refused = "Error: failed to fetch http://127.0.0.1:1/index.yaml : 401 Unauthorized";
        assert!(matches!(of(refused, Step::Index), Error::Refused(_)));
    }

    #[test]
    fn what_helm_says_of_a_release_is_told_apart() {
        assert_eq!(
            of("Error: uninstall: Release not loaded: nope: release: not found", Step::Release),
            Error::NoRelease
        );
        assert_eq!(
            of("Error: UPGRADE FAILED: \"nope\" has no deployed releases", Step::Release),
            Error::NoRelease
        );
        assert_eq!(of("Error: release has no 9 version", Step::Release), Error::NoRelease);
        let busy = "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress";
        assert_eq!(of(busy, Step::Release), Error::InProgress);
        let template = "Error: INSTALLATION FAILED: template: web/templates/a.yaml:1:2: executing \"a\" at <fail>: error calling fail: no";
        assert!(
            matches!(of(template, Step::Release), Error::Unusable(message) if message.starts_with("template: web"))
        );
        let memory = "fatal error: runtime: out of memory\n\ngoroutine 1 [running]:";
        assert!(matches!(of(memory, Step::Release), Error::TooLarge(_)));
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let Error::Failed(message) = of(&format!("Error: a\n\n  b {}", "c".repeat(5000)), Step::Release)
        else {
            panic!("not failed");
        };
        assert!(
            message.starts_with("a b c") && message.chars().count() == LONGEST + 1 && message.ends_with('…')
        );
    }
}
