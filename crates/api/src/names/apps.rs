//! Names of what is deployed to clusters (contract sections 2.1, 2.2, 2.4, 2.7 and 2.8).

/// The namespace of all Manifests, unless the hub is told another.
pub const RESERVED_NAMESPACE: &str = "clusternet-reserved";
/// The name of the scheduler that a Subscription without a `schedulerName` is for.
pub const DEFAULT_SCHEDULER: &str = "default";
/// The priority of a Globalization or Localization that sets none.
pub const DEFAULT_PRIORITY: i32 = 500;
/// The longest name of a Subscription that fits into a label of its Bases.
pub const LONGEST_LABELLED_SUBSCRIPTION: usize = 57;

/// Label keys and values.
pub mod labels {
    /// The API group of the object that is wrapped; empty for the core group.
    pub const CONFIG_GROUP: &str = "apps.clusternet.io/config.group";
    /// The API version of the object that is wrapped.
    pub const CONFIG_VERSION: &str = "apps.clusternet.io/config.version";
    /// The kind of the object that is wrapped; on Bases, Descriptions and HelmReleases the kind of their owner.
    pub const CONFIG_KIND: &str = "apps.clusternet.io/config.kind";
    /// The name of the object that is wrapped.
    pub const CONFIG_NAME: &str = "apps.clusternet.io/config.name";
    /// The namespace of the object that is wrapped; maybe empty.
    pub const CONFIG_NAMESPACE: &str = "apps.clusternet.io/config.namespace";
    /// The UID of the owner of a Base, Description or HelmRelease.
    pub const CONFIG_UID: &str = "apps.clusternet.io/config.uid";
    /// The UID of the Subscription something belongs to.
    pub const SUBSCRIPTION_UID: &str = "apps.clusternet.io/subs.uid";
    /// The name of that Subscription.
    pub const SUBSCRIPTION_NAME: &str = "apps.clusternet.io/subs.name";
    /// The namespace of that Subscription.
    pub const SUBSCRIPTION_NAMESPACE: &str = "apps.clusternet.io/subs.namespace";
    /// Value of [`CREATED_BY`](crate::names::labels::CREATED_BY) on what came through the shadow API: on the Manifest and in
    /// its template. Drift is looked for on objects with it.
    pub const CREATED_BY_HUB: &str = "clusternet-hub";
}

/// Annotation keys.
pub mod annotations {
    /// On a Manifest or HelmChart: why it cannot be deleted, for people.
    pub const FEED_PROTECTION: &str = "apps.clusternet.io/feed-protection";
    /// On an object sent to the shadow API: `"true"` stores it without a dry run against the parent.
    pub const SKIP_VALIDATING: &str = "apps.clusternet.io/skip-validating";
    /// On every object applied in a child: namespace and name of its Description, with a dot between.
    pub const OWNED_BY_DESCRIPTION: &str = "apps.clusternet.io/owned-by-description";
    /// On every object applied in a child: the object as it was last applied, JSON.
    pub const LAST_APPLIED: &str = "clusternet.io/last-applied-configuration";
    /// The same, of kubectl. It is never sent to a child.
    pub const KUBECTL_LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    /// On a Subscription or Base: `"true"` initialises new clusters with it.
    pub const IS_DEFAULT_CLUSTER_INIT: &str = "apps.clusternet.io/is-default-cluster-init";
    /// On a ManagedCluster: the name of the Base that initialises it.
    pub const CLUSTER_INIT_BASE: &str = "apps.clusternet.io/cluster-init-base";
    /// On a ManagedCluster: `"true"` leaves it uninitialised.
    pub const SKIP_CLUSTER_INIT: &str = "clusters.clusternet.io/skip-cluster-init";
}

/// Finalizers.
pub mod finalizers {
    /// On every kind of the group but FeedInventory: something else has to go first.
    pub const APPS: &str = "apps.clusternet.io/finalizer";
    /// On a Manifest or HelmChart: a Subscription still deploys it.
    pub const FEED_PROTECTION: &str = "apps.clusternet.io/feed-protection";
}

/// The name of the Manifest that wraps an object: `deployments.qux.web`, `namespaces.qux`.
///
/// ```
/// use api::names::apps::manifest;
/// assert_eq!(manifest("deployments", Some("qux"), "web"), "deployments.qux.web");
/// assert_eq!(manifest("namespaces", None, "qux"), "namespaces.qux");
/// ```
pub fn manifest(plural: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{plural}.{namespace}.{name}"),
        _ => format!("{plural}.{name}"),
    }
}

/// The name of the Description of a Base's ordinary objects.
pub fn generic_description(base: &str) -> String {
    format!("{base}-generic")
}

/// The name of the Description of a Base's charts.
pub fn helm_description(base: &str) -> String {
    format!("{base}-helm")
}

/// The name of the HelmRelease of a chart in a Description.
pub fn helm_release(description: &str, chart_namespace: &str, chart: &str) -> String {
    format!("{description}-{chart_namespace}-{chart}")
}

/// The value of [`annotations::OWNED_BY_DESCRIPTION`].
pub fn owned_by_description(namespace: &str, description: &str) -> String {
    format!("{namespace}.{description}")
}
