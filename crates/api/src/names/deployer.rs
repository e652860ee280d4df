//! Names of what is applied in a child, and of the brakes on it (contract sections 2.2, 3.8 to 3.10).

/// The ServiceAccount in the child, in the agent's namespace, in whose name everything is applied. Its tokens never leave the
/// child.
pub const SERVICE_ACCOUNT: &str = "clusternet-app-deployer";
/// ClusterRoles in the child with this label set to `true` are what it may do.
pub const AGGREGATE_LABEL: &str = "apps.clusterway.io/aggregate-to-deployer";
/// The field manager of everything that is applied in a child.
pub const FIELD_MANAGER: &str = "clusterway";

/// Label keys.
pub mod labels {
    /// `"true"` on every object applied in a child: what is watched there.
    pub const DEPLOYED: &str = "apps.clusterway.io/deployed";
}

/// Annotation keys.
pub mod annotations {
    /// On every object applied in a child: a digest of what was applied.
    pub const APPLIED: &str = "apps.clusterway.io/applied";
    /// On an object that is deployed: fields that are set when it is made and left alone afterwards, as JSON pointers with
    /// commas between: `/spec/replicas,/metadata/labels/tier`.
    pub const IGNORED_FIELDS: &str = "apps.clusterway.io/ignored-fields";
    /// On a ManagedCluster, a Subscription or a Description: `"true"` leaves what it deploys in the cluster as it is.
    pub const PAUSED: &str = "apps.clusterway.io/paused";
    /// On a Description, by the hub: `"true"` while its Subscription is paused, with the same effect.
    pub const SUBSCRIPTION_PAUSED: &str = "apps.clusterway.io/subscription-paused";
    /// On the agent's namespace in the child: `"true"` leaves everything in the cluster as it is, whatever the parent says.
    pub const FROZEN: &str = "apps.clusterway.io/frozen";
    /// On a Description: its generation; the deletions that this generation asks for are carried out, however many they are.
    pub const CONFIRM_DELETION: &str = "apps.clusterway.io/confirm-deletion";
}

/// Types of the conditions of a Description.
pub mod conditions {
    /// Whether everything is in the cluster as the Description says.
    pub const APPLIED: &str = "Applied";
    /// Whether what is there is healthy.
    pub const READY: &str = "Ready";
    /// True while deletions wait to be confirmed.
    pub const DELETION_HELD: &str = "DeletionHeld";
}

/// Reasons of conditions and Events of a Description.
pub mod reasons {
    /// Applied, and Event: everything is applied.
    pub const DEPLOYED: &str = "SuccessfullyDeployed";
    /// Event: something could not be applied.
    pub const NOT_DEPLOYED: &str = "UnSuccessfullyDeployed";
    /// Event: objects that the Description no longer has were deleted.
    pub const PRUNED: &str = "SuccessfullyPruningFeed";
    /// Event: one of them could not be deleted.
    pub const NOT_PRUNED: &str = "UnsuccessfullyPruningFeed";
    /// Event: a change made in the cluster was taken back.
    pub const DRIFT: &str = "DriftCorrected";
    /// Applied: a right is missing in the cluster.
    pub const FORBIDDEN: &str = "Forbidden";
    /// Applied: the cluster does not accept an object.
    pub const REFUSED: &str = "Refused";
    /// Applied: the cluster has no such kind.
    pub const UNKNOWN_KIND: &str = "UnknownKind";
    /// Applied: the cluster cannot be reached.
    pub const UNREACHABLE: &str = "ClusterUnreachable";
    /// Applied: an object is being deleted there and comes afterwards.
    pub const TERMINATING: &str = "Terminating";
    /// Applied: what is to be applied is no object, or one that no API server can read.
    pub const INVALID: &str = "InvalidObject";
    /// Applied: an object of the Description is in a Content that cannot be read.
    pub const CONTENT_MISSING: &str = "ContentMissing";
    /// Applied: another Description wants the object otherwise.
    pub const CONFLICT: &str = "Conflict";
    /// Applied: a HelmChart is among the objects.
    pub const CHARTS: &str = "ChartsNotSupported";
    /// Applied: something is too large or there is too much of it.
    pub const TOO_MUCH: &str = "TooMuch";
    /// Applied: the parent's people have paused it.
    pub const PAUSED: &str = "Paused";
    /// Applied: the cluster's owner has frozen it.
    pub const FROZEN: &str = "Frozen";
    /// DeletionHeld: more would go than goes without being confirmed.
    pub const MASS_DELETION: &str = "MassDeletion";
    /// DeletionHeld: nothing waits.
    pub const NOTHING_HELD: &str = "NothingHeld";
    /// Ready: everything is healthy.
    pub const HEALTHY: &str = "Healthy";
    /// Ready: something is on its way.
    pub const PROGRESSING: &str = "Progressing";
    /// Ready: something will not get there by itself.
    pub const FAILED: &str = "Failed";
    /// Ready: not everything has been seen in the cluster.
    pub const UNKNOWN: &str = "Unknown";
}
