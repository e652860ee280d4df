//! `clusters.clusternet.io/v1beta1`: how a cluster registers and what is known of it.

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Taint,
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{Condition, Time},
    },
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Who applies what a parent deploys: the parent, the child, or whichever is able to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncMode {
    /// The parent applies through the tunnel.
    Push,
    /// The agent in the child applies.
    #[default]
    Pull,
    /// The parent applies when the child allows it, else the agent.
    Dual,
}

/// What a child asks for: who it is and how it wants to be known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "clusters.clusternet.io",
    version = "v1beta1",
    kind = "ClusterRegistrationRequest",
    plural = "clusterregistrationrequests",
    shortname = "clsrr",
    category = "clusternet",
    status = "ClusterRegistrationRequestStatus",
    doc = "A ClusterRegistrationRequest is a child's request to be registered. The agent of the child makes it, the hub \
           answers it in the status. Its name is clusternet- followed by spec.clusterId.",
    printcolumn = r#"{"name":"CLUSTER ID","type":"string","jsonPath":".spec.clusterId","description":"The unique id of the cluster"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.result","description":"The hub's answer"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the request was made"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRegistrationRequestSpec {
    /// The identity of the child, a UUID: the UID of its agent's Lease. It belongs to the first public key that the
    /// hub approves for it.
    #[schemars(regex(
        pattern = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    ))]
    pub cluster_id: String,
    /// The kind of cluster, for people and label selectors: StandardCluster or EdgeCluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_type: Option<String>,
    /// The wanted name of the ManagedCluster. The request is denied when another cluster has this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 30),
        regex(pattern = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([a-z0-9]([-a-z0-9]*[a-z0-9]))*")
    )]
    pub cluster_name: Option<String>,
    /// The wanted dedicated namespace in the parent. The request is denied when this namespace exists and does not
    /// belong to the cluster. The hub chooses a name when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"))]
    pub cluster_namespace: Option<String>,
    /// Labels wanted on the ManagedCluster. The hub always takes keys under node.clusternet.io/ and
    /// agent.clusterway.io/, takes other keys at the first approval only, and never takes keys under
    /// clusters.clusternet.io/.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cluster_labels: BTreeMap<String, String>,
    /// Who applies what the parent deploys. Push: the parent, through the tunnel. Pull: the agent in the child. Dual:
    /// the parent when the child allows it, else the agent.
    #[serde(default)]
    #[schemars(extend("default" = "Pull"))]
    pub sync_mode: SyncMode,
}

/// The answer of the hub.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRegistrationRequestStatus {
    /// The namespace in the parent that belongs to this child. It holds the ManagedCluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated_namespace: Option<String>,
    /// The child's token for the parent, in clear. It is set only for requests without a public key, and only where the
    /// hub was told to give such tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes")]
    pub token: Option<ByteString>,
    /// The child's token for the parent, sealed to the public key of the request, so that only the owner of the private
    /// key can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes")]
    pub sealed_token: Option<ByteString>,
    /// When the sealed token expires. The agent renews it well before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub token_expiration_timestamp: Option<Time>,
    /// The CA certificates of the parent's API server, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bytes")]
    pub ca_certificate: Option<ByteString>,
    /// The answer: Approved or Denied. It is unset while the hub has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Why the request is not approved, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The name of the ManagedCluster that stands for this child, in the dedicated namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_cluster_name: Option<String>,
    /// The state of the request. The condition Approved carries the reason of a denial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What the parent decides about a child.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "clusters.clusternet.io",
    version = "v1beta1",
    kind = "ManagedCluster",
    plural = "managedclusters",
    shortname = "mcls",
    category = "clusternet",
    namespaced,
    status = "ManagedClusterStatus",
    doc = "A ManagedCluster is a registered child. It stands in the child's dedicated namespace. The hub makes it when it \
           approves the child's request; the agent reports into its status.",
    printcolumn = r#"{"name":"CLUSTER ID","type":"string","jsonPath":".spec.clusterId","description":"The unique id of the cluster"}"#,
    printcolumn = r#"{"name":"CLUSTER TYPE","type":"string","jsonPath":".spec.clusterType","priority":100,"description":"The type of the cluster"}"#,
    printcolumn = r#"{"name":"SYNC MODE","type":"string","jsonPath":".spec.syncMode","description":"Who applies what the parent deploys"}"#,
    printcolumn = r#"{"name":"KUBERNETES","type":"string","jsonPath":".status.k8sVersion","description":"The child's Kubernetes version"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status","description":"Whether the cluster is ready"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the cluster was registered"}"#,
    printcolumn = r#"{"name":"AGENT VERSION","type":"string","jsonPath":".status.agentVersion","priority":100,"description":"The version of the agent"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.clusterInitBaseName) || has(self.clusterInitBaseName)")
    .message("clusterInitBaseName cannot be unset once set"))]
pub struct ManagedClusterSpec {
    /// The identity of the child, a UUID. Its request and its RBAC objects are named after it.
    #[schemars(regex(
        pattern = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    ))]
    pub cluster_id: String,
    /// The kind of cluster, for people and label selectors: StandardCluster or EdgeCluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_type: Option<String>,
    /// The name of the Base that initialises the cluster. It is set once and never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("clusterInitBaseName is immutable"))]
    pub cluster_init_base_name: Option<String>,
    /// Who applies what the parent deploys. Push: the parent, through the tunnel. Pull: the agent in the child. Dual:
    /// the parent when the child allows it, else the agent.
    pub sync_mode: SyncMode,
    /// Taints keep workloads that do not tolerate them away from the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::taints")]
    pub taints: Vec<Taint>,
}

/// What the agent reports of its cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterStatus {
    /// When the agent last collected this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_observed_time: Option<Time>,
    /// The Kubernetes version of the child's API server, for example v1.33.1.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "k8sVersion")]
    pub k8s_version: Option<String>,
    /// The version of the agent in the child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// What the agent can do that not every agent can, for example DescriptionContents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agent_features: Vec<String>,
    /// The platform of the child's API server, for example linux/amd64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The address of the child's API server, as the agent uses it.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "apiserverURL")]
    pub apiserver_url: Option<String>,
    /// Whether the child's API server answers /healthz with 200.
    #[serde(default)]
    pub healthz: bool,
    /// Whether the child's API server answers /livez with 200.
    #[serde(default)]
    pub livez: bool,
    /// Whether the child's API server answers /readyz with 200.
    #[serde(default)]
    pub readyz: bool,
    /// Whether the child lets the parent deploy into it, as sync mode Push and Dual need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_pusher: Option<bool>,
    /// Whether the agent opens a tunnel, through which the child can be visited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_socket: Option<bool>,
    /// How many requests per second the parent may send to this child when it deploys.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "kubeQPS")]
    pub kube_qps: Option<f64>,
    /// How many requests the parent may send to this child at once when it deploys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_burst: Option<i32>,
    /// The sum of what all nodes can give to pods, by resource name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub allocatable: BTreeMap<String, Quantity>,
    /// The sum of what all nodes have, by resource name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub capacity: BTreeMap<String, Quantity>,
    /// The address range of the child's pods.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "clusterCIDR")]
    pub cluster_cidr: Option<String>,
    /// The address range of the child's services.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "serviceCIDR")]
    pub service_cidr: Option<String>,
    /// How many of the child's nodes are in which state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_statistics: Option<NodeStatistics>,
    /// How many pods the child has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_statistics: Option<PodStatistics>,
    /// What the nodes of the child use at the moment, as its metrics server tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_usage: Option<ResourceUsage>,
    /// The state of the cluster. Ready tells whether its API server is healthy and the agent reports; ClusterInit tells
    /// whether it is initialised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// How many seconds lie between two reports of the agent. After three of them without a report the cluster counts as
    /// lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_frequency_seconds: Option<i64>,
    /// Whether the child answers the scheduler's questions about free capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor_enabled: Option<bool>,
    /// The address at which the child answers the scheduler's questions about free capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor_address: Option<String>,
    /// Whether the scheduler can reach the predictor's address without the tunnel.
    #[serde(default)]
    pub predictor_direct_access: bool,
}

/// The feature of agents that read the Contents that Descriptions refer to.
pub const DESCRIPTION_CONTENTS: &str = "DescriptionContents";

/// Who applies what the parent deploys into a cluster (contract 3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The agent in the child.
    Agent,
    /// The hub, through the tunnel.
    Hub,
}

impl Side {
    /// Hub and agent both decide with this, from the same object: it is never both and never neither.
    pub fn of(cluster: &ManagedCluster) -> Self {
        // Without a tunnel the hub has no way there, whatever it may do.
        let lets_push = cluster
            .status
            .as_ref()
            .is_some_and(|status| status.app_pusher == Some(true) && status.use_socket != Some(false));
        match cluster.spec.sync_mode {
            SyncMode::Pull => Self::Agent,
            SyncMode::Dual if !lets_push => Self::Agent,
            SyncMode::Push | SyncMode::Dual => Self::Hub,
        }
    }
}

/// Whether Descriptions for a cluster may refer to Contents: whoever applies them can read those.
pub fn reads_contents(cluster: &ManagedCluster) -> bool {
    let features = cluster.status.iter().flat_map(|status| &status.agent_features);
    Side::of(cluster) == Side::Hub || features.into_iter().any(|feature| feature == DESCRIPTION_CONTENTS)
}

/// How many nodes are in which state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatistics {
    /// The number of nodes whose Ready condition is True.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ready_nodes: i32,
    /// The number of nodes whose Ready condition is False.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_ready_nodes: i32,
    /// The number of nodes whose Ready condition is Unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_nodes: i32,
    /// The number of nodes without a Ready condition.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_nodes: i32,
}

/// How many pods there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodStatistics {
    /// The number of pods that run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub running_pods: i32,
    /// The number of all pods.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total_pods: i32,
}

/// What the nodes use at the moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUsage {
    /// The CPU in use on all nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub cpu_usage: Option<Quantity>,
    /// The memory in use on all nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub memory_usage: Option<Quantity>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &i32) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_hub_and_agent_exactly_one_applies() {
        let side = |mode, app_pusher| {
            let mut cluster =
                ManagedCluster::new("c", ManagedClusterSpec { sync_mode: mode, ..Default::default() });
            cluster.status = Some(ManagedClusterStatus { app_pusher, ..ManagedClusterStatus::default() });
            Side::of(&cluster)
        };
        for app_pusher in [None, Some(false), Some(true)] {
            assert_eq!(side(SyncMode::Pull, app_pusher), Side::Agent);
            assert_eq!(side(SyncMode::Push, app_pusher), Side::Hub);
        }
        assert_eq!(side(SyncMode::Dual, Some(true)), Side::Hub);
        assert_eq!(side(SyncMode::Dual, Some(false)), Side::Agent);
        assert_eq!(side(SyncMode::Dual, None), Side::Agent);
        let mut cut_off = ManagedCluster::new(
            "c",
            ManagedClusterSpec { sync_mode: SyncMode::Dual, ..ManagedClusterSpec::default() },
        );
        let (app_pusher, use_socket) = (Some(true), Some(false));
        cut_off.status =
            Some(ManagedClusterStatus { app_pusher, use_socket, ..ManagedClusterStatus::default() });
        assert_eq!(Side::of(&cut_off), Side::Agent);
    }

    #[test]
    fn contents_are_for_whoever_says_to_read_them() {
        let with = |mode, features: &[&str]| {
            let mut cluster =
                ManagedCluster::new("c", ManagedClusterSpec { sync_mode: mode, ..Default::default() });
            let agent_features = features.iter().map(ToString::to_string).collect();
            cluster.status = Some(ManagedClusterStatus { agent_features, ..ManagedClusterStatus::default() });
            reads_contents(&cluster)
        };
        assert!(with(SyncMode::Pull, &[DESCRIPTION_CONTENTS]));
        assert!(!with(SyncMode::Pull, &["Another"]) && !with(SyncMode::Dual, &[]));
        assert!(with(SyncMode::Push, &[]), "the hub applies, and reads them");
    }
}
