//! `cluster.clusterpedia.io/v1alpha2`: which objects of which cluster can be searched (contract `clusterpedia.md`,
//! sections 1.2 to 1.5).
//!
//! Beyond the contract are `clusterId`, the ConfigMap as the source of a CA, and in the rules `namespaces`,
//! `labelSelector`, `fieldSelector`, `excludeResources` and `secretData`. What the contract reports as a condition (no
//! credentials, a wrong address) the schema lets pass; it refuses what contradicts itself.

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How to reach a cluster and what of it can be searched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "cluster.clusterpedia.io",
    version = "v1alpha2",
    kind = "PediaCluster",
    plural = "pediaclusters",
    status = "PediaClusterStatus",
    doc = "A PediaCluster makes objects of one cluster searchable: it tells how to reach the cluster and which of its \
           resources are synchronised. Its name is the name of the cluster in every search.",
    validation = Rule::new("!(self.metadata.name in ['all', 'api', 'apis', 'clusters', 'version'])")
        .message("metadata.name: all, api, apis, clusters and version are words of the search URLs; choose another name"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type == 'Ready')].status","description":"Whether the cluster is synchronised and healthy"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".status.version","description":"The cluster's Kubernetes version"}"#,
    printcolumn = r#"{"name":"APIServer","type":"string","jsonPath":".status.apiserver","description":"The address of the cluster's API server"}"#,
    printcolumn = r#"{"name":"Validated","type":"string","jsonPath":".status.conditions[?(@.type == 'Validated')].reason","priority":10,"description":"Whether address, credentials and rules can be used"}"#,
    printcolumn = r#"{"name":"SynchroRunning","type":"string","jsonPath":".status.conditions[?(@.type == 'SynchroRunning')].reason","priority":10,"description":"Whether the cluster is synchronised"}"#,
    printcolumn = r#"{"name":"ClusterHealthy","type":"string","jsonPath":".status.conditions[?(@.type == 'ClusterHealthy')].reason","priority":10,"description":"Whether the cluster's API server is healthy"}"#,
    printcolumn = r#"{"name":"ShardingName","type":"string","jsonPath":".status.shardingName","priority":10,"description":"The shard that synchronises the cluster"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(ONE_WAY_TO_A_CHILD)
        .message("clusterId: a registered cluster is reached through its tunnel and needs no address and no credentials; remove apiserver, kubeconfig, caData, tokenData, certData, keyData and authenticationFrom, or clusterId"),
    validation = Rule::new(ONE_WAY_OF_AUTHENTICATION)
        .message("authenticationFrom: credentials come from Secrets or stand here, not both; remove kubeconfig, tokenData, certData and keyData, or authenticationFrom"),
    validation = Rule::new("(has(self.certData) && size(self.certData) > 0) == (has(self.keyData) && size(self.keyData) > 0)")
        .message("certData, keyData: a client certificate and its key belong together; set both or none"),
)]
pub struct PediaClusterSpec {
    /// The id of a cluster that is registered here: spec.clusterId of its ManagedCluster. The cluster is reached through
    /// its tunnel, and neither an address nor credentials are needed or allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
    ))]
    pub cluster_id: Option<String>,
    /// A whole kubeconfig in base64, of which the current context is used. It wins over apiserver, caData, tokenData, certData and
    /// keyData.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::base64")]
    pub kubeconfig: Option<ByteString>,
    /// The URL of the cluster's API server. It is needed where there is neither a clusterId nor a kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apiserver: Option<String>,
    /// The CA certificates of the cluster's API server, base64 of PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::base64")]
    pub ca_data: Option<ByteString>,
    /// A bearer token for the cluster, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::base64")]
    pub token_data: Option<ByteString>,
    /// A client certificate for the cluster, base64 of PEM. It needs keyData.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::base64")]
    pub cert_data: Option<ByteString>,
    /// The private key of certData, base64 of PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::base64")]
    pub key_data: Option<ByteString>,
    /// Secrets that hold the credentials, so that they need not stand here. They are in the namespace of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_from: Option<AuthenticationFrom>,
    /// The rules that select what is synchronised. A resource is synchronised when one of them selects it.
    pub sync_resources: Vec<SyncRule>,
    /// Whether every custom resource of the cluster is synchronised, in all served versions, whatever the rules select.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sync_all_custom_resources: bool,
    /// The name of a ClusterSyncResources, whose rules are added to those of syncResources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_resources_ref_name: Option<String>,
    /// The shard that synchronises the cluster. It is the default shard when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharding_name: Option<String>,
}

const ONE_WAY_TO_A_CHILD: &str = "!has(self.clusterId) || !((has(self.apiserver) && size(self.apiserver) > 0) \
    || (has(self.kubeconfig) && size(self.kubeconfig) > 0) || (has(self.caData) && size(self.caData) > 0) \
    || (has(self.tokenData) && size(self.tokenData) > 0) || (has(self.certData) && size(self.certData) > 0) \
    || (has(self.keyData) && size(self.keyData) > 0) || has(self.authenticationFrom))";

const ONE_WAY_OF_AUTHENTICATION: &str = "!has(self.authenticationFrom) \
    || !((has(self.kubeconfig) && size(self.kubeconfig) > 0) || (has(self.tokenData) && size(self.tokenData) > 0) \
    || (has(self.certData) && size(self.certData) > 0) || (has(self.keyData) && size(self.keyData) > 0))";

/// Where credentials are kept: a kubeconfig, or else a token or a client certificate beside spec.apiserver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.kubeconfig) || has(self.token) || has(self.cert)")
        .message("authenticationFrom: no credentials are named; set kubeconfig, token, or cert and key"),
    validation = Rule::new("has(self.cert) == has(self.key)")
        .message("authenticationFrom: a client certificate and its key belong together; set both cert and key, or none"),
)]
pub struct AuthenticationFrom {
    /// The Secret that holds a whole kubeconfig. It wins over the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<SecretKey>,
    /// The Secret or ConfigMap that holds the CA certificates of the cluster's API server, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaKey>,
    /// The Secret that holds a client certificate, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<SecretKey>,
    /// The Secret that holds the private key of the client certificate, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretKey>,
    /// The Secret that holds a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretKey>,
}

/// One value of a Secret in the namespace of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKey {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in the data of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// One value of a Secret or ConfigMap in the namespace of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaKey {
    /// What name is the name of. It is a Secret when this is not set: CA certificates are no secret, and a ConfigMap will
    /// do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CaKind")]
    pub kind: Option<CaKind>,
    /// The name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in its data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Where CA certificates may be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaKind {
    /// In a Secret.
    #[default]
    Secret,
    /// In a ConfigMap.
    ConfigMap,
}

/// A rule selects resources of one API group, and which of their objects are synchronised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncRule {
    /// The API group; the empty text is the core group, * is every group.
    pub group: String,
    /// The versions in which custom resources are synchronised; * is all that are served. Where there are none, it is the
    /// first three. Resources of Kubernetes itself are synchronised in one version, whatever stands here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// The resources, by plural or singular name in any case; * is all of the group.
    #[schemars(length(min = 1))]
    pub resources: Vec<String>,
    /// The resources that this rule does not select although group and resources do, by plural or singular name in any
    /// case. Where group is *, a name may be followed by a dot and the group: leases.coordination.k8s.io.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 317)))]
    pub exclude_resources: Vec<String>,
    /// The namespaces whose objects are synchronised. Where there are none, it is every namespace. Objects without a
    /// namespace are not affected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    pub namespaces: Vec<String>,
    /// A label selector: only objects that satisfy it are synchronised. It has the form kubectl get -l takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub label_selector: Option<String>,
    /// A field selector: only objects that satisfy it are synchronised. It has the form kubectl get --field-selector takes,
    /// and may name the fields the cluster can select by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub field_selector: Option<String>,
    /// Of the resources that this rule selects, those whose Events are synchronised too, by plural or singular name in any
    /// case; * is all. The Events are found as events, and with the objects they are about where injectEvents is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events_involved_resources: Vec<String>,
    /// Whether the values in Secrets are synchronised. Drop: the keys are, the values are not. Keep: the values are too,
    /// and whoever may search the cluster can read them. It is Drop when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretData")]
    pub secret_data: Option<SecretData>,
}

/// What becomes of the values in Secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SecretData {
    /// They are dropped before anything is stored.
    #[default]
    Drop,
    /// They are stored, and can be read by whoever may search the cluster.
    Keep,
}

/// How the synchronisation of a cluster stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PediaClusterStatus {
    /// The address of the cluster's API server, from spec.apiserver or the kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apiserver: Option<String>,
    /// The Kubernetes version of the cluster, for example v1.33.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The state of the cluster. Validated tells whether address, credentials and rules can be used, SynchroRunning whether
    /// the cluster is synchronised, ClusterHealthy whether its API server is healthy, Ready whether all of that is so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The resources that are synchronised, by API group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sync_resources: Vec<GroupStatus>,
    /// The shard that synchronises the cluster. The empty text is the default shard; it is unset while no shard does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharding_name: Option<String>,
}

/// The synchronised resources of one API group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupStatus {
    /// The API group; the empty text is the core group.
    pub group: String,
    /// The resources of the group.
    pub resources: Vec<ResourceStatus>,
}

/// How the synchronisation of one resource stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatus {
    /// The plural name of the resource.
    pub name: String,
    /// The kind of its objects.
    pub kind: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// The state of each version, ordered by version.
    pub sync_conditions: Vec<SyncCondition>,
}

/// How the synchronisation of one version of a resource stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncCondition {
    /// The version that was chosen.
    pub version: String,
    /// The version that is listed and watched, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_version: Option<String>,
    /// The resource that is listed and watched, where it is another one: its plural name, a dot and its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_resource: Option<String>,
    /// The version in which the objects are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_version: Option<String>,
    /// The resource as which the objects are stored, where it is another one: its plural name, a dot and its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_resource: Option<String>,
    /// The state: Pending, Syncing, Stop, Unknown or Error.
    #[schemars(with = "String")]
    pub status: SyncState,
    /// The reason for the state, one CamelCase word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What there is to say about the state, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the first list is still being stored, so that not all objects can be found yet.
    #[serde(default, skip_serializing_if = "is_false")]
    pub initial_list_phase: bool,
    /// The last time the state changed.
    #[schemars(schema_with = "schema::time")]
    pub last_transition_time: Time,
}

/// The states of the synchronisation of a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncState {
    /// Not begun.
    #[default]
    Pending,
    /// What happens in the cluster is followed.
    Syncing,
    /// Halted; what is stored stays.
    Stop,
    /// A list or watch failed; it is tried again.
    Error,
    /// Nothing is known of it, or its state has a name this program does not know.
    #[serde(other)]
    Unknown,
}

/// Rules for several clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "cluster.clusterpedia.io",
    version = "v1alpha2",
    kind = "ClusterSyncResources",
    plural = "clustersyncresources",
    singular = "clustersyncresources",
    doc = "A ClusterSyncResources holds rules for several clusters. They are added to those of every PediaCluster whose \
           spec.syncResourcesRefName is its name."
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSyncResourcesSpec {
    /// The rules that select what is synchronised. A resource is synchronised when one of them selects it.
    pub sync_resources: Vec<SyncRule>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}
