//! Names of search and synchronisation (contract `clusterpedia.md`, section 2).

/// The PediaCluster name that stands for all clusters in a search URL, `resources/all/proxy/…`.
pub const ALL_CLUSTERS: &str = "all";

/// The member of a resource's description in the store that has the printer columns of its definition, as they are
/// there.
pub const PRINTER_COLUMNS: &str = "additionalPrinterColumns";

/// Label keys inside `labelSelector` that are conditions of the search and never matched against objects. Each does
/// what the query parameter in its description does.
pub mod labels {
    /// Keys that begin with one of these are conditions, never labels of objects.
    pub const PREFIXES: [&str; 2] = ["search.clusterpedia.io/", "internalstorage.clusterpedia.io/"];
    /// `names`.
    pub const NAMES: &str = "search.clusterpedia.io/names";
    /// `clusters`.
    pub const CLUSTERS: &str = "search.clusterpedia.io/clusters";
    /// `namespaces`.
    pub const NAMESPACES: &str = "search.clusterpedia.io/namespaces";
    /// `orderby`; `_desc` at the end of a value turns the order round.
    pub const ORDER_BY: &str = "search.clusterpedia.io/orderby";
    /// `ownerUID`.
    pub const OWNER_UID: &str = "search.clusterpedia.io/owner-uid";
    /// `ownerName`.
    pub const OWNER_NAME: &str = "search.clusterpedia.io/owner-name";
    /// `ownerGR`.
    pub const OWNER_GROUP_RESOURCE: &str = "search.clusterpedia.io/owner-gr";
    /// `ownerSeniority`.
    pub const OWNER_SENIORITY: &str = "search.clusterpedia.io/owner-seniority";
    /// `since`.
    pub const SINCE: &str = "search.clusterpedia.io/since";
    /// `before`.
    pub const BEFORE: &str = "search.clusterpedia.io/before";
    /// `limit`.
    pub const LIMIT: &str = "search.clusterpedia.io/limit";
    /// The old name of [`LIMIT`].
    pub const SIZE: &str = "search.clusterpedia.io/size";
    /// `continue`, as a number of objects to pass over.
    pub const OFFSET: &str = "search.clusterpedia.io/offset";
    /// `withContinue`.
    pub const WITH_CONTINUE: &str = "search.clusterpedia.io/with-continue";
    /// `withRemainingCount`.
    pub const WITH_REMAINING_COUNT: &str = "search.clusterpedia.io/with-remaining-count";
    /// `injectEvents`.
    pub const INJECT_EVENTS: &str = "search.clusterpedia.io/inject-events";
    /// The header [`FORWARD`](super::headers::FORWARD).
    pub const FORWARD: &str = "search.clusterpedia.io/forward";
    /// No parameter: texts that all occur in the name.
    pub const FUZZY_NAME: &str = "internalstorage.clusterpedia.io/fuzzy-name";
}

/// Names of query parameters.
pub mod parameters {
    /// Names of objects, separated by commas.
    pub const NAMES: &str = "names";
    /// Names of clusters, separated by commas.
    pub const CLUSTERS: &str = "clusters";
    /// Names of namespaces, separated by commas.
    pub const NAMESPACES: &str = "namespaces";
    /// Fields to order by, separated by commas, each with ` desc` behind it or not.
    pub const ORDER_BY: &str = "orderby";
    /// The UID of the controlling owner.
    pub const OWNER_UID: &str = "ownerUID";
    /// The name of the controlling owner.
    pub const OWNER_NAME: &str = "ownerName";
    /// The resource and group of the controlling owner, `deployments.apps`.
    pub const OWNER_GROUP_RESOURCE: &str = "ownerGR";
    /// How many generations lie between: 0 for the owner, 1 for the owner's owner.
    pub const OWNER_SENIORITY: &str = "ownerSeniority";
    /// Created at or after this time.
    pub const SINCE: &str = "since";
    /// Created before this time.
    pub const BEFORE: &str = "before";
    /// How many objects at most.
    pub const LIMIT: &str = "limit";
    /// Where to go on: a token, or a number of objects to pass over.
    pub const CONTINUE: &str = "continue";
    /// Whether the answer tells where to go on.
    pub const WITH_CONTINUE: &str = "withContinue";
    /// Whether the answer tells how many objects follow.
    pub const WITH_REMAINING_COUNT: &str = "withRemainingCount";
    /// Whether objects come with their Events.
    pub const INJECT_EVENTS: &str = "injectEvents";
    /// Whether objects come with their metadata only.
    pub const ONLY_METADATA: &str = "onlyMetadata";
    /// Requirements on labels, and conditions of the search among them.
    pub const LABEL_SELECTOR: &str = "labelSelector";
    /// Requirements on any fields.
    pub const FIELD_SELECTOR: &str = "fieldSelector";
    /// The groups of the collection `any`.
    pub const GROUPS: &str = "groups";
    /// The resources of the collection `any`.
    pub const RESOURCES: &str = "resources";
    /// Raw SQL, which is refused.
    pub const RAW_SQL: [&str; 4] = ["whereSQL", "whereSQLStatement", "whereSQLParam", "whereSQLJSONParams"];
}

/// Annotation keys.
pub mod annotations {
    /// On every object found: the PediaCluster it comes from.
    pub const CLUSTER_NAME: &str = "shadow.clusterpedia.io/cluster-name";
    /// On every object found: its resourceVersion in the cluster it comes from. The one in `metadata` is the search's own.
    pub const CHILD_RESOURCE_VERSION: &str = "search.clusterway.io/resource-version";
    /// On objects of a list, where it was asked for: their Events, as a JSON array.
    pub const EVENTS: &str = "shadow.clusterpedia.io/events";
    /// The resource an object was found as.
    pub const GVR: &str = "shadow.clusterpedia.io/gvr";
    /// Removed from every object before it is stored.
    pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
}

/// Finalizers.
pub mod finalizers {
    /// On a PediaCluster: its objects have yet to be removed from the store.
    pub const SYNC: &str = "clusterpedia.io/cluster-synchro-controller";
}

/// Header names, lower case as on the wire of HTTP/2.
pub mod headers {
    /// `true` in any case: the child answers the request, not the store.
    pub const FORWARD: &str = "x-clusterpedia-forward";
    /// Base64 of the CA certificates (PEM) of the child.
    pub const PROXY_CA: &str = "x-clusterpedia-proxy-ca";
    /// A bearer token for the child.
    pub const PROXY_TOKEN: &str = "x-clusterpedia-proxy-token";
    /// Base64 of a client certificate (PEM) for the child.
    pub const PROXY_CLIENT_CERT: &str = "x-clusterpedia-proxy-client-cert";
    /// Base64 of its private key (PEM).
    pub const PROXY_CLIENT_KEY: &str = "x-clusterpedia-proxy-client-key";
}

/// Environment variables.
pub mod environment {
    /// The namespace of the Secrets that PediaClusters refer to.
    pub const NAMESPACE: &str = "CLUSTERPEDIA_NAMESPACE";
    /// The kind of database.
    pub const DB_TYPE: &str = "DB_TYPE";
    /// The data source name of the database.
    pub const DB_DSN: &str = "DB_DSN";
    /// The network of the database.
    pub const DB_NETWORK: &str = "DB_NETWORK";
    /// The host of the database.
    pub const DB_HOST: &str = "DB_HOST";
    /// The port of the database.
    pub const DB_PORT: &str = "DB_PORT";
    /// The user of the database.
    pub const DB_USER: &str = "DB_USER";
    /// That user's password.
    pub const DB_PASSWORD: &str = "DB_PASSWORD";
    /// The name of the database.
    pub const DB_DATABASE: &str = "DB_DATABASE";
}

/// Types and reasons of a PediaCluster's conditions (contract 1.3).
pub mod conditions {
    /// Whether address, credentials and rules can be used.
    pub const VALIDATED: &str = "Validated";
    /// Whether the cluster is synchronised.
    pub const SYNCHRO_RUNNING: &str = "SynchroRunning";
    /// Whether the cluster's API server is healthy.
    pub const CLUSTER_HEALTHY: &str = "ClusterHealthy";
    /// Whether the three others are True.
    pub const READY: &str = "Ready";
    /// A type of old versions, removed whenever the status is written.
    pub const LEGACY_INITIALIZED: &str = "ClusterSynchroInitialized";

    /// Validated, SynchroRunning: no client can be made of address and credentials.
    pub const INVALID_CONFIG: &str = "InvalidConfig";
    /// Validated, SynchroRunning: the rules cannot be used.
    pub const INVALID_SYNC_RESOURCES: &str = "InvalidSyncResources";
    /// SynchroRunning: valid, not begun.
    pub const WAIT_INIT: &str = "WaitInit";
    /// SynchroRunning: it could not begin; tried again for ever.
    pub const INITIAL_FAILED: &str = "InitialFailed";
    /// SynchroRunning: begun, not running.
    pub const PENDING: &str = "Pending";
    /// SynchroRunning: running.
    pub const RUNNING: &str = "Running";
    /// SynchroRunning: stopped.
    pub const SHUTDOWN: &str = "Shutdown";
    /// ClusterHealthy: the last probe was answered well.
    pub const HEALTHY: &str = "Healthy";
    /// ClusterHealthy: the last probe was answered badly.
    pub const UNHEALTHY: &str = "Unhealthy";
    /// ClusterHealthy: the last probe was not answered.
    pub const NOT_REACHABLE: &str = "NotReachable";
    /// ClusterHealthy: nobody probes.
    pub const MONITOR_STOP: &str = "MonitorStop";
    /// Ready: one of the others is not True.
    pub const NOT_READY: &str = "NotReady";
}

/// Reasons of the state of one resource of a PediaCluster (contract 1.4).
pub mod sync_reasons {
    /// Pending: chosen, about to begin.
    pub const CREATING: &str = "SynchroCreating";
    /// Pending: it could not begin.
    pub const CREATE_FAILED: &str = "SynchroCreateFailed";
    /// Stop: the cluster is unhealthy; what is stored is kept.
    pub const PAUSE: &str = "Pause";
    /// Stop: the store does not answer. Misspelt as it always was.
    pub const STORAGE_OUTAGE: &str = "StorageExpection";
    /// Stop: no rule selects it any more.
    pub const REMOVED: &str = "SynchroRemoved";
    /// Stop: what is stored could not be removed.
    pub const CLEAN_FAILED: &str = "CleanResourceFailed";
    /// Error: a list or watch failed.
    pub const WATCH_FAILED: &str = "ResourceWatchFailed";
    /// Unknown: nothing is known of this version.
    pub const NOT_FOUND: &str = "ResourceSynchroNotFound";
}

/// Names of the collections that are always there (contract 6.1).
pub mod collections {
    /// What the parameters `groups` and `resources` name.
    pub const ANY: &str = "any";
    /// Deployments, DaemonSets and StatefulSets.
    pub const WORKLOADS: &str = "workloads";
    /// Every API group of Kubernetes itself.
    pub const KUBE_RESOURCES: &str = "kuberesources";
}
