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

/// A child's request to be registered. Made by the agent of the child, answered by the hub.
///
/// The name is `clusternet-` followed by `spec.clusterId`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "clusters.clusternet.io",
    version = "v1beta1",
    kind = "ClusterRegistrationRequest",
    plural = "clusterregistrationrequests",
    shortname = "clsrr",
    category = "clusternet",
    status = "ClusterRegistrationRequestStatus",
    printcolumn = r#"{"name":"CLUSTER ID","type":"string","jsonPath":".spec.clusterId","description":"The unique id of the cluster"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.result","description":"The hub's answer"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRegistrationRequestSpec {
    /// The identity of the child: the UID of its agent's Lease. It belongs to the first key the hub approves for it.
    #[schemars(regex(
        pattern = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    ))]
    pub cluster_id: String,
    /// What kind of cluster it is, for people: StandardCluster or EdgeCluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_type: Option<String>,
    /// The wanted name of the ManagedCluster. Denied when another cluster has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 30),
        regex(pattern = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([a-z0-9]([-a-z0-9]*[a-z0-9]))*")
    )]
    pub cluster_name: Option<String>,
    /// The wanted dedicated namespace. Denied when it exists and does not belong to this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"))]
    pub cluster_namespace: Option<String>,
    /// Labels wanted on the ManagedCluster. Keys under node.clusternet.io/ and agent.clusterway.io/ are always taken,
    /// others at the first approval only, keys under clusters.clusternet.io/ never.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cluster_labels: BTreeMap<String, String>,
    /// Who applies what the parent deploys.
    #[serde(default)]
    #[schemars(extend("default" = "Pull"))]
    pub sync_mode: SyncMode,
}

/// The hub's answer to a registration request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRegistrationRequestStatus {
    /// The namespace in the parent that belongs to this child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated_namespace: Option<String>,
    /// A token in clear, only for requests without a public key and only where the hub was told to give such tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "base64_bytes")]
    pub token: Option<ByteString>,
    /// The token of the child's ServiceAccount in the parent, sealed to the request's public key: only its owner can
    /// read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "base64_bytes")]
    pub sealed_token: Option<ByteString>,
    /// When the sealed token expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expiration_timestamp: Option<Time>,
    /// The parent's CA certificates (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "base64_bytes")]
    pub ca_certificate: Option<ByteString>,
    /// Approved or Denied; unset while the hub has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Why the request is not approved, with the remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The ManagedCluster that stands for this child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_cluster_name: Option<String>,
    /// How the request stands; the type Approved carries the reason of a denial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A registered child. Lives in the child's dedicated namespace; the agent reports into its status.
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
    printcolumn = r#"{"name":"CLUSTER ID","type":"string","jsonPath":".spec.clusterId","description":"The unique id of the cluster"}"#,
    printcolumn = r#"{"name":"CLUSTER TYPE","type":"string","jsonPath":".spec.clusterType","priority":100,"description":"The type of the cluster"}"#,
    printcolumn = r#"{"name":"SYNC MODE","type":"string","jsonPath":".spec.syncMode","description":"Who applies what the parent deploys"}"#,
    printcolumn = r#"{"name":"KUBERNETES","type":"string","jsonPath":".status.k8sVersion","description":"The child's Kubernetes version"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status","description":"Whether the cluster is ready"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"AGENT VERSION","type":"string","jsonPath":".status.agentVersion","priority":100,"description":"The version of the agent"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(oldSelf.clusterInitBaseName) || has(self.clusterInitBaseName)")
    .message("clusterInitBaseName cannot be unset once set"))]
pub struct ManagedClusterSpec {
    /// The identity of the child.
    #[schemars(regex(
        pattern = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    ))]
    pub cluster_id: String,
    /// What kind of cluster it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_type: Option<String>,
    /// The Base that initialises the cluster. Set once, never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("clusterInitBaseName is immutable"))]
    pub cluster_init_base_name: Option<String>,
    /// Who applies what the parent deploys.
    pub sync_mode: SyncMode,
    /// Taints keep workloads that do not tolerate them away from the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
}

/// What the agent reports of its cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterStatus {
    /// When the agent last collected this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_observed_time: Option<Time>,
    /// The child's Kubernetes version.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "k8sVersion")]
    pub k8s_version: Option<String>,
    /// The agent's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
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
    /// Whether the child lets the parent deploy into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_pusher: Option<bool>,
    /// Whether the agent opens a tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_socket: Option<bool>,
    /// Requests per second the parent may send to this child.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "kubeQPS")]
    pub kube_qps: Option<f64>,
    /// Requests the parent may send at once to this child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_burst: Option<i32>,
    /// The sum of what the nodes can give to pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub allocatable: BTreeMap<String, Quantity>,
    /// The sum of what the nodes have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, Quantity>,
    /// The addresses of pods.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "clusterCIDR")]
    pub cluster_cidr: Option<String>,
    /// The addresses of services.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "serviceCIDR")]
    pub service_cidr: Option<String>,
    /// How many nodes are in which state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_statistics: Option<NodeStatistics>,
    /// How many pods there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_statistics: Option<PodStatistics>,
    /// What the nodes use at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_usage: Option<ResourceUsage>,
    /// How the cluster stands: Ready, ClusterInit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Seconds between two reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_frequency_seconds: Option<i64>,
    /// Whether the agent answers questions about free capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor_enabled: Option<bool>,
    /// Where such questions are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictor_address: Option<String>,
    /// Whether the scheduler may ask there without the tunnel.
    #[serde(default)]
    pub predictor_direct_access: bool,
}

/// How many nodes are in which state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatistics {
    /// Nodes whose Ready condition is True.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ready_nodes: i32,
    /// Nodes whose Ready condition is False.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_ready_nodes: i32,
    /// Nodes whose Ready condition is Unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_nodes: i32,
    /// Nodes without a Ready condition.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_nodes: i32,
}

/// How many pods there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodStatistics {
    /// Pods that run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub running_pods: i32,
    /// All pods.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total_pods: i32,
}

/// What the nodes use at the moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUsage {
    /// CPU in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_usage: Option<Quantity>,
    /// Memory in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_usage: Option<Quantity>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &i32) -> bool {
    *n == 0
}

/// A base64 string, `format: byte`.
fn base64_bytes(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "format": "byte" })
}
