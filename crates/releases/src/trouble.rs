//! What a failure means for people. Pure.

use api::names::helm::reasons;
use helm::Error;

/// Why a release is not as it is wanted: a reason, and full sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The values are no JSON object.
    pub(crate) fn values() -> Self {
        Self::new(
            reasons::UNUSABLE,
            "The values (spec.overrides) are no JSON object; correct the overrides they are made of.",
        )
    }

    /// The process was given no executable.
    pub(crate) fn no_helm(cluster: &str, program: &str) -> Self {
        let message = format!(
            "No chart is installed in {cluster}: {program} was started without a helm executable. Start it with --helm FILE."
        );
        Self::new(reasons::NO_HELM, message)
    }

    /// The credentials of the repository are not there.
    pub(crate) fn credentials(secret: &str, namespace: &str) -> Self {
        let copy = api::names::helm::CREDENTIALS;
        let message = format!(
            "The chart needs the pull secret {secret}, whose credentials are not in the Secret {copy} of the namespace \
             {namespace}. It is looked for again after a while."
        );
        Self::new(reasons::CREDENTIALS_MISSING, message)
    }

    /// What Helm could not do in a cluster with a chart.
    pub(crate) fn of(error: &Error, chart: &str, cluster: &str) -> Self {
        let again = "It is tried again after a while.";
        let (reason, message) = match error {
            Error::NoSuchChart(why) => (
                reasons::NO_SUCH_CHART,
                format!("The repository does not have {chart}: {why}. It is looked for again after a while."),
            ),
            Error::Unreachable(why) => (
                reasons::REPOSITORY_UNREACHABLE,
                format!("The repository of {chart} cannot be reached: {why}. {again}"),
            ),
            Error::Refused(why) => (
                reasons::CREDENTIALS_REFUSED,
                format!(
                    "The repository of {chart} does not accept the credentials: {why}. Correct the pull secret."
                ),
            ),
            Error::Unusable(why) => (
                reasons::UNUSABLE,
                format!(
                    "{chart} cannot be used as it is: {why}. Correct the chart, its version or the values."
                ),
            ),
            Error::TooLarge(why) => {
                (reasons::TOO_LARGE, format!("{chart} is larger than what is taken: {why}."))
            }
            Error::InProgress => (
                reasons::IN_PROGRESS,
                format!("Another operation on the release is in progress in {cluster}. {again}"),
            ),
            // The agent of a cluster that is frozen answers nothing the hub asks as its deployer, and says why.
            Error::Forbidden(why) | Error::ClusterUnreachable(why) | Error::Failed(why)
                if why.contains(api::names::deployer::annotations::FROZEN) =>
            {
                (
                    reasons::HALTED,
                    format!("Nothing is changed in {cluster}: its owner has frozen it. {again}"),
                )
            }
            Error::Forbidden(why) => (
                reasons::FORBIDDEN,
                format!(
                    "{cluster} does not let its deployer do this: {why}. Give it the right with a ClusterRole there that has the \
                     label apps.clusterway.io/aggregate-to-deployer=true."
                ),
            ),
            Error::ClusterUnreachable(why) => (
                reasons::UNREACHABLE,
                format!("The API server of {cluster} cannot be reached: {why}. {again}"),
            ),
            Error::TimedOut(limit) => (
                reasons::TIMED_OUT,
                format!("{chart} was not finished in {cluster} within {} s. {again}", limit.as_secs()),
            ),
            Error::NoRelease => {
                (reasons::FAILED, format!("The release went away in {cluster} meanwhile. {again}"))
            }
            Error::Failed(why) => (reasons::FAILED, format!("{chart} failed in {cluster}: {why}. {again}")),
            Error::Program(why) => {
                (reasons::NO_HELM, format!("Helm cannot be run for {cluster}: {why}. {again}"))
            }
        };
        Self::new(reason, message)
    }
}
