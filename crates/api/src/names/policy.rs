//! Names of import policies (contract `clusterpedia.md`, sections 1.6, 1.7 and 2.4).

/// ClusterRoles with this label set to `true` are added to the rights of the hub: what policies read, their source objects
/// and references, somebody has to let it read.
pub const AGGREGATE_LABEL: &str = "policy.clusterway.io/aggregate-to-hub";

/// Finalizers.
pub mod finalizers {
    /// On a ClusterImportPolicy: its PediaClusterLifecycles have yet to go.
    pub const POLICY: &str = "clusterpedia.io/cluster-import-policy-controller";
    /// On a PediaClusterLifecycle: its PediaCluster has yet to go.
    pub const LIFECYCLE: &str = "clusterpedia.io/pediacluster-lifecycle-controller";
}

/// Types and reasons of a ClusterImportPolicy's conditions.
pub mod conditions {
    /// Whether the policy can be used.
    pub const VALIDATED: &str = "Validated";
    /// Whether what there is, is what the policy says.
    pub const RECONCILING: &str = "Reconciling";

    /// Validated: it can.
    pub const SUCCESS: &str = "Success";
    /// Validated: nameTemplate is no template.
    pub const NAME_UNPARSED: &str = "FailedParseLifecycleName";
    /// Validated: source.selectorTemplate is no template.
    pub const SELECTOR_UNPARSED: &str = "FailedParseSourceSelector";
    /// Validated: another template is none, or the policy contradicts itself. Misspelt as it always was.
    pub const INVALID: &str = "InvalaidPolicy";
    /// Validated: the API server has no such source resource.
    pub const NO_SOURCE_RESOURCE: &str = "FailedNegotiateSourceResource";
    /// Validated: the API server has no such referenced resource.
    pub const NO_REFERENCE_RESOURCE: &str = "FailedNegotiateReferenceResource";

    /// Reconciling: there is a PediaClusterLifecycle for every source object that is taken, and no other.
    pub const RECONCILED: &str = "ReconcileSourceResourceAndLifecycle";
    /// Reconciling: sources and references have yet to be listed.
    pub const WAIT_SYNCED: &str = "WaitResourceSynced";
    /// Reconciling: references cannot be listed.
    pub const NOT_SYNCED: &str = "FailedCheckResourceSync";
    /// Reconciling: source objects cannot be listed.
    pub const SOURCES_UNLISTED: &str = "FailedListSourceResources";
    /// Reconciling: PediaClusterLifecycles cannot be listed.
    pub const LIFECYCLES_UNLISTED: &str = "FailedListLifecycles";
    /// Reconciling: some source objects cannot be taken; the others are.
    pub const FAILED: &str = "FailedReconcile";
}

/// Types and reasons of a PediaClusterLifecycle's conditions.
pub mod lifecycle {
    /// Whether there is a PediaCluster.
    pub const CREATED: &str = "Created";
    /// Whether the PediaCluster is in step with its source. Absent while there is none.
    pub const UPDATING: &str = "Updating";

    /// Created: it was made for this lifecycle.
    pub const CLUSTER_CREATED: &str = "PediaClusterCreated";
    /// Created: somebody else had made it.
    pub const CLUSTER_EXISTED: &str = "PediaClusterExisted";
    /// Updating: it is in step.
    pub const CLUSTER_UPDATED: &str = "PediaClusterUpdated";
    /// Updating: the API server refuses the change.
    pub const PATCH_FAILED: &str = "FailedPatchPediaCluster";

    /// No ClusterImportPolicy owns the lifecycle.
    pub const ORPHAN: &str = "OrphanLifecycle";
    /// Sources and references have yet to be listed, or cannot be read.
    pub const WAIT_DEPENDENT: &str = "WaitDependentResourceSynced";
    /// There is no such source object.
    pub const SOURCE_NOT_FOUND: &str = "SourceResourceNotFound";
    /// Namespace or name of a reference cannot be rendered.
    pub const REFERENCE_UNPARSED: &str = "FailedReferenceResourceParse";
    /// There is no such reference.
    pub const REFERENCE_NOT_FOUND: &str = "ReferenceResourceNotFound";
    /// The creation condition is not true.
    pub const WAIT_CONDITION: &str = "WaitCreationCondition";
    /// The template cannot be rendered, or what it renders to is no PediaCluster.
    pub const UNRESOLVED: &str = "FailedResolveAndDecodePediaCluster";
    /// The API server does not let the lifecycle own the PediaCluster.
    pub const OWNER_FAILED: &str = "FailedSetOwner";
    /// The API server refuses the PediaCluster.
    pub const CREATION_FAILED: &str = "CreationFailure";
}
