//! Well-known names: labels, annotations, taints, headers and object names (contract sections 2.1 to 2.7), of search and
//! synchronisation in [`search`], of import policies in [`policy`], of what is deployed in [`apps`] and applied in [`deployer`].

pub mod apps;
pub mod deployer;
pub mod helm;
pub mod policy;
pub mod search;

/// Where hub and agent live.
pub const SYSTEM_NAMESPACE: &str = "clusternet-system";
/// The agent's Lease; its UID is the cluster id.
pub const AGENT_LEASE: &str = "clusternet-agent";
/// The Secret in the child that holds its credential for the parent, and the agent's private key.
pub const PARENT_SECRET: &str = "parent-cluster";
/// The child's ServiceAccount in its dedicated namespace. A fixed name, so that a shipped role can name it.
pub const CHILD_SERVICE_ACCOUNT: &str = "clusternet-managedcluster";
/// The shipped ClusterRole bound for the child in its dedicated namespace; the RoleBinding has the same name.
pub const CHILD_ROLE: &str = "clusternet-managedcluster-role";
/// The shipped ClusterRole the hub binds for itself in every dedicated namespace; the RoleBinding has the same name.
pub const HUB_NAMESPACE_ROLE: &str = "clusterway:hub:namespace";
/// The hub's ServiceAccount in the parent.
pub const HUB_SERVICE_ACCOUNT: &str = "clusternet-hub";
/// The user whom everybody may impersonate on the way to a child (contract 2.5).
pub const PROXY_USER: &str = "clusternet";
/// The group of bootstrap tokens that may register clusters.
pub const BOOTSTRAP_GROUP: &str = "system:bootstrappers:clusternet:register-cluster-token";

/// The ValidatingAdmissionPolicy, and its binding, that fences what the hub may write in the parent.
pub const HUB_POLICY: &str = "clusterway-hub";
/// The field manager of everything the hub writes in the parent.
pub const HUB_FIELD_MANAGER: &str = "clusterway-hub";
/// Begins the name of a ManagedCluster whose agent asked for none.
pub const CLUSTER_NAME_PREFIX: &str = "clusternet-cluster";
/// Begins the name of a dedicated namespace whose agent asked for none.
pub const NAMESPACE_PREFIX: &str = "clusternet";

/// Who reads a child for the search.
pub mod reader {
    /// The ServiceAccount in the child, in the agent's namespace. Its tokens never leave the child.
    pub const SERVICE_ACCOUNT: &str = "clusterway-reader";
    /// ClusterRoles in the child with this label set to `true` are what it may read.
    pub const AGGREGATE_LABEL: &str = "search.clusterway.io/aggregate-to-reader";
}

/// The name of the registration request, ClusterRole and ClusterRoleBinding of a cluster.
pub fn of_cluster(cluster_id: &str) -> String {
    format!("clusternet-{cluster_id}")
}

/// Label keys and values.
pub mod labels {
    /// The child's id, on everything that belongs to it.
    pub const CLUSTER_ID: &str = "clusters.clusternet.io/cluster-id";
    /// The child's name.
    pub const CLUSTER_NAME: &str = "clusters.clusternet.io/cluster-name";
    /// Who made the registration request.
    pub const REGISTERED_BY: &str = "clusters.clusternet.io/registered-by";
    /// Marks generated RBAC objects and Secrets.
    pub const BOOTSTRAPPING: &str = "clusters.clusternet.io/bootstrapping";
    /// Value of [`BOOTSTRAPPING`] on generated RBAC objects.
    pub const RBAC_DEFAULTS: &str = "rbac-defaults";
    /// Value of [`BOOTSTRAPPING`] on generated Secrets.
    pub const CREDENTIALS_AUTO: &str = "credentials-auto";
    /// Which program made the object.
    pub const CREATED_BY: &str = "clusternet.io/created-by";
    /// Value of [`CREATED_BY`] on namespaces, ManagedClusters and ServiceAccounts of children.
    pub const AGENT: &str = "clusternet-agent";
    /// Value of [`CREATED_BY`] on generated RBAC objects.
    pub const CONTROLLER_MANAGER: &str = "clusternet-controller-manager";
    /// Keys with this prefix are aggregated from the child's nodes.
    pub const NODE_PREFIX: &str = "node.clusternet.io/";
    /// Keys with this prefix an agent may set freely.
    pub const AGENT_PREFIX: &str = "agent.clusterway.io/";
    /// Keys with this prefix are the hub's; never taken from a request.
    pub const RESERVED_PREFIX: &str = "clusters.clusternet.io/";
}

/// Annotation keys.
pub mod annotations {
    /// `"true"`: the object is kept as generated; anything else: it is left alone.
    pub const AUTOUPDATE: &str = "clusternet.io/autoupdate";
    /// On a request: the agent's X25519 public key, base64.
    pub const PUBLIC_KEY: &str = "clusterway.io/public-key";
    /// On a request: the user name that made it; admission holds it to the truth.
    pub const REQUESTER: &str = "clusterway.io/requester";
    /// On a ManagedCluster: the first approved public key of its cluster id. Written once by the hub.
    pub const PINNED_KEY: &str = "clusterway.io/pinned-key";
    /// On a ManagedCluster: the keys, comma-separated, of the labels that were taken from its agent although they lie
    /// outside the prefixes an agent may set freely.
    pub const AGENT_LABELS: &str = "clusterway.io/agent-labels";
    /// On the Lease of the hub that holds the store of the search: where other hubs reach it, an IP address and a port.
    pub const HUB_ADDRESS: &str = "clusterway.io/hub-address";
    /// On the agent's Lease: replaces the Lease's UID as the cluster id.
    pub const LEGACY_CLUSTER_ID: &str = "legacy-cluster-id";
}

/// Finalizers.
pub mod finalizers {
    /// On a ManagedCluster: the hub has yet to take back what it gave to this child. Needs the parent only, never the
    /// child.
    pub const DEREGISTER: &str = "clusterway.io/deregister";
}

/// Values of `status.result` of a registration request.
pub mod results {
    /// The cluster is registered.
    pub const APPROVED: &str = "Approved";
    /// The cluster is not registered; `status.errorMessage` says why.
    pub const DENIED: &str = "Denied";
}

/// Taints of ManagedClusters (contract 2.3).
pub mod taints {
    /// The cluster is not ready, or does not report.
    pub const UNSCHEDULABLE: &str = "clusters.clusternet.io/unschedulable";
    /// The cluster is not initialised yet.
    pub const INITIALIZATION: &str = "clusters.clusternet.io/initialization";
}

/// Condition types and reasons (contract 3.6, 5.3).
pub mod conditions {
    /// Whether the cluster is ready.
    pub const READY: &str = "Ready";
    /// Whether the cluster is initialised.
    pub const CLUSTER_INIT: &str = "ClusterInit";
    /// Whether a registration request is approved.
    pub const APPROVED: &str = "Approved";
    /// Present while the agent's clock and the parent's disagree.
    pub const CLOCK_SKEW: &str = "ClockSkew";
    /// ClockSkew: the agent's clock is ahead.
    pub const CLOCK_AHEAD: &str = "AgentClockAhead";
    /// ClockSkew: the agent's clock is behind.
    pub const CLOCK_BEHIND: &str = "AgentClockBehind";
    /// Ready: the API server is healthy.
    pub const MANAGED_CLUSTER_READY: &str = "ManagedClusterReady";
    /// Ready: the API server is not healthy.
    pub const MANAGED_CLUSTER_NOT_READY: &str = "ManagedClusterNotReady";
    /// Ready: the agent has never reported.
    pub const STATUS_NEVER_UPDATED: &str = "ClusterStatusNeverUpdated";
    /// Ready: the agent has stopped reporting.
    pub const STATUS_UNKNOWN: &str = "ClusterStatusUnknown";
    /// ClusterInit: no initialisation is asked for.
    pub const CLUSTER_INIT_DISABLED: &str = "ClusterInitDisabled";
}

/// Reasons of a registration request's Approved condition.
pub mod approval {
    /// True: the cluster is registered.
    pub const APPROVED: &str = "Approved";
    /// False: the request's name is not `clusternet-` and the cluster id.
    pub const NAME_MISMATCH: &str = "NameMismatch";
    /// False: the cluster id is not a lower-case UUID.
    pub const CLUSTER_ID_INVALID: &str = "ClusterIdInvalid";
    /// False: the request carries no public key.
    pub const KEY_MISSING: &str = "KeyMissing";
    /// False: the request's public key cannot be used.
    pub const KEY_INVALID: &str = "KeyInvalid";
    /// False: the cluster id belongs to another key.
    pub const KEY_MISMATCH: &str = "KeyMismatch";
    /// False: the request does not say who made it.
    pub const REQUESTER_MISSING: &str = "RequesterMissing";
    /// False: the wanted name cannot be the name of a ManagedCluster.
    pub const CLUSTER_NAME_INVALID: &str = "ClusterNameInvalid";
    /// False: another cluster has the wanted name.
    pub const CLUSTER_NAME_TAKEN: &str = "ClusterNameTaken";
    /// False: the wanted namespace cannot be the name of a namespace.
    pub const CLUSTER_NAMESPACE_INVALID: &str = "ClusterNamespaceInvalid";
    /// False: the wanted namespace exists and does not belong to this cluster.
    pub const CLUSTER_NAMESPACE_TAKEN: &str = "ClusterNamespaceTaken";
    /// Unknown: the policy that fences the hub is missing or weakened.
    pub const POLICY_MISSING: &str = "PolicyMissing";
    /// Unknown: the ManagedCluster of this id is being deleted.
    pub const CLUSTER_BEING_DELETED: &str = "ClusterBeingDeleted";
    /// Unknown: the dedicated namespace is being deleted.
    pub const NAMESPACE_BEING_DELETED: &str = "NamespaceBeingDeleted";
    /// Unknown: the parent's CA certificates cannot be found.
    pub const CA_MISSING: &str = "CaMissing";
}

/// Header names, lower case as on the wire of HTTP/2.
pub mod headers {
    use http::{HeaderMap, HeaderName, header};

    /// The caller's credential for the child, in the form of an `Authorization` header's value.
    pub const CHILD_AUTHORIZATION: &str = "clusterway-child-authorization";
    /// Impersonation inside the child: user.
    pub const CHILD_IMPERSONATE_USER: &str = "clusterway-child-impersonate-user";
    /// Impersonation inside the child: uid.
    pub const CHILD_IMPERSONATE_UID: &str = "clusterway-child-impersonate-uid";
    /// Impersonation inside the child: group, repeated.
    pub const CHILD_IMPERSONATE_GROUP: &str = "clusterway-child-impersonate-group";
    /// Begins the names of the headers in which one hub tells another for whom it asks. They count from the hubs' own
    /// ServiceAccount only.
    pub const RELAYED_PREFIX: &str = "clusterway-relayed-";
    /// The name of the user for whom a hub asks.
    pub const RELAYED_USER: &str = "clusterway-relayed-user";
    /// The user's uid.
    pub const RELAYED_UID: &str = "clusterway-relayed-uid";
    /// A group of the user, repeated.
    pub const RELAYED_GROUP: &str = "clusterway-relayed-group";
    /// Begins the name of a header with an extra of the user; its percent-encoded key follows.
    pub const RELAYED_EXTRA_PREFIX: &str = "clusterway-relayed-extra-";
    /// The parent's audit id of a request.
    pub const AUDIT_ID: &str = "audit-id";
    /// Headers that belong to one connection only (RFC 9110, 7.6.1), beside those that `Connection` names. Whoever passes
    /// a message on ends them.
    pub const HOP_BY_HOP: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];

    /// Removes the headers that belong to one connection, and those that `Connection` names.
    ///
    /// Identity headers are set only after this: otherwise `Connection: Impersonate-User` would take them away again.
    pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        for name in HOP_BY_HOP {
            headers.remove(name);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_connection_names_ends_here() {
            let mut headers = HeaderMap::new();
            let given = [
                ("connection", "close, X-Secret-Hop"),
                ("x-secret-hop", "1"),
                ("te", "x"),
                ("accept", "*/*"),
            ];
            for (name, value) in given {
                headers.insert(name, value.parse().unwrap());
            }
            strip_hop_by_hop(&mut headers);
            assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
        }
    }
}

/// Extra keys of a caller's identity that speak of the child (contract 2.5). They hold credentials: they never
/// appear in a review, a cache key or a log.
pub mod extras {
    /// Every such key begins with this, in lower case.
    pub const PREFIX: &str = "clusternet-";
    /// A bearer token valid in the child.
    pub const TOKEN: &str = "clusternet-token";
    /// Base64 of a client certificate (PEM) for the child.
    pub const CERTIFICATE: &str = "clusternet-certificate";
    /// Base64 of its private key (PEM).
    pub const PRIVATE_KEY: &str = "clusternet-privatekey";
    /// Impersonation inside the child.
    pub const IMPERSONATE_USER: &str = "clusternet-impersonate-user";
    /// Impersonation inside the child.
    pub const IMPERSONATE_UID: &str = "clusternet-impersonate-uid";
    /// Impersonation inside the child.
    pub const IMPERSONATE_GROUP: &str = "clusternet-impersonate-group";
}
