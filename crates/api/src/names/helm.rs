//! Names around charts and their releases (contract sections 1.8, 2.8 and 5.9).

/// The Secret in a dedicated namespace with the credentials of chart repositories that this one cluster needs. Its keys are the
/// names of HelmReleases, its values JSON: `username`, `password`, and maybe `ca.crt`.
pub const CREDENTIALS: &str = "clusterway-chart-credentials";

/// Annotation keys.
pub mod annotations {
    /// On a HelmRelease, before anything is installed for it: namespace and name of the release in the child, with a slash
    /// between. What stands here is removed when the HelmRelease is deleted or wants another name.
    pub const INSTALLED_AS: &str = "apps.clusterway.io/installed-as";
}

/// Types of the conditions of a HelmRelease, and of a Description of charts.
pub mod conditions {
    /// Whether the release is in the cluster as the HelmRelease wants it.
    pub const READY: &str = "Ready";
    /// On a Description: whether all its charts are deployed.
    pub const APPLIED: &str = "Applied";
}

/// Reasons of conditions and Events.
pub mod reasons {
    /// Ready: it is as it is wanted.
    pub const DEPLOYED: &str = "Deployed";
    /// Ready: it is on its way.
    pub const PROGRESSING: &str = "Progressing";
    /// Ready: the repository does not have the chart.
    pub const NO_SUCH_CHART: &str = "ChartNotFound";
    /// Ready: the repository cannot be reached.
    pub const REPOSITORY_UNREACHABLE: &str = "RepositoryUnreachable";
    /// Ready: the repository does not accept the credentials.
    pub const CREDENTIALS_REFUSED: &str = "CredentialsRefused";
    /// Ready: the credentials of the repository are not there.
    pub const CREDENTIALS_MISSING: &str = "CredentialsMissing";
    /// Ready: chart or values cannot be used.
    pub const UNUSABLE: &str = "ChartUnusable";
    /// Ready: the chart or what becomes of it is too large.
    pub const TOO_LARGE: &str = "ChartTooLarge";
    /// Ready: another operation on the release is under way.
    pub const IN_PROGRESS: &str = "OperationInProgress";
    /// Ready: a right is missing in the cluster.
    pub const FORBIDDEN: &str = "Forbidden";
    /// Ready: the cluster cannot be reached.
    pub const UNREACHABLE: &str = "ClusterUnreachable";
    /// Ready: it took too long.
    pub const TIMED_OUT: &str = "TimedOut";
    /// Ready: Helm could not do it.
    pub const FAILED: &str = "ReleaseFailed";
    /// Ready: there is no helm executable that can be run.
    pub const NO_HELM: &str = "HelmUnavailable";
    /// Ready: the cluster's owner has frozen it, or the parent's people have paused it.
    pub const HALTED: &str = "Paused";
    /// Event: a release is as it is wanted, after something was done for it.
    pub const UPDATED: &str = "HelmReleaseUpdated";
    /// Event: a release could not be made as it is wanted.
    pub const FAILURE: &str = "HelmReleaseFailure";
    /// Event: a chart could not be fetched.
    pub const LOCATE_FAILURE: &str = "ChartLocateFailure";
    /// Event: a chart is looked for.
    pub const VERIFYING: &str = "VerifyingHelmChart";
    /// Event: a chart is not there.
    pub const CHART_NOT_FOUND: &str = "HelmChartNotFound";
}
