//! `policy.clusterpedia.io/v1alpha1`: clusters of other platforms, made searchable by themselves (contract
//! `clusterpedia.md`, sections 1.6, 1.7 and 8).
//!
//! Beyond the contract are `source.namespace` and the numbers in the status of a policy. Whether a template is one is
//! for the controller to say, in a condition, and not for the schema.

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// The API group.
pub const GROUP: &str = "policy.clusterpedia.io";

/// How objects of another platform become PediaClusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "policy.clusterpedia.io",
    version = "v1alpha1",
    kind = "ClusterImportPolicy",
    plural = "clusterimportpolicies",
    status = "ClusterImportPolicyStatus",
    doc = "A ClusterImportPolicy makes the clusters of another platform searchable: for every object that stands for a \
           cluster there, it makes a PediaCluster and keeps its address and credentials in step. Templates are those of Go \
           with the functions of sprig.",
    printcolumn = r#"{"name":"Validated","type":"string","jsonPath":".status.conditions[?(@.type == 'Validated')].reason","description":"Whether the policy can be used"}"#,
    printcolumn = r#"{"name":"Reconciling","type":"string","jsonPath":".status.conditions[?(@.type == 'Reconciling')].reason","description":"Whether the clusters are in step with their sources"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the policy was made"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterImportPolicySpec {
    /// The objects that stand for clusters on the other platform.
    pub source: PolicySource,
    /// Objects that are needed beside the source, such as the Secret with a cluster's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub references: Vec<PolicyReference>,
    /// A template for the name of the PediaCluster and of its PediaClusterLifecycle. It sees .source.
    pub name_template: String,
    /// A template for the PediaCluster, in YAML or JSON. It sees .source and the references, as .references.KEY. Name, apiVersion
    /// and kind may be left out.
    pub template: String,
    /// A template that has to render to true before the PediaCluster is made. It sees .source and the references, as
    /// .references.KEY.
    pub creation_condition: String,
}

/// Which objects stand for clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySource {
    /// The API group; the empty text is the core group.
    pub group: String,
    /// The versions that may be used, in any order. Where there are none, it is the one the API server prefers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// The plural name of the resource.
    pub resource: String,
    /// The namespace whose objects are taken. Where there is none, it is every namespace. The hub needs the right to read them
    /// there only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// A template that has to render to true for an object to be taken. It sees .source. Where there is none, every object is
    /// taken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector_template: String,
}

/// An object that is needed beside the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReference {
    /// What templates call the object: .references.KEY.
    pub key: String,
    /// The API group; the empty text is the core group.
    pub group: String,
    /// The versions that may be used, in any order. Where there are none, it is the one the API server prefers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// The plural name of the resource.
    pub resource: String,
    /// A template for the namespace of the object, empty for one that has none. It sees .source and the references before this
    /// one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace_template: String,
    /// A template for the name of the object. It sees .source and the references before this one.
    pub name_template: String,
}

/// How a policy stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterImportPolicyStatus {
    /// The state of the policy. Validated tells whether it can be used, Reconciling whether the clusters are in step with their
    /// sources and what of them is imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// How many source objects there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<i64>,
    /// How many of them are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<i64>,
    /// How many PediaClusters there are for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<i64>,
}

/// One cluster of a policy: which objects its PediaCluster is made from, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "policy.clusterpedia.io",
    version = "v1alpha1",
    kind = "PediaClusterLifecycle",
    plural = "pediaclusterlifecycles",
    status = "PediaClusterLifecycleStatus",
    doc = "A PediaClusterLifecycle leads from one source object to the PediaCluster of the same name. A ClusterImportPolicy makes \
           it and keeps it; its status tells why there is no PediaCluster yet, or how it stands.",
    printcolumn = r#"{"name":"Created","type":"string","jsonPath":".status.conditions[?(@.type == 'Created')].reason","description":"Whether there is a PediaCluster, or why not"}"#,
    printcolumn = r#"{"name":"Updating","type":"string","jsonPath":".status.conditions[?(@.type == 'Updating')].reason","description":"Whether the PediaCluster is in step with its source"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the source object was found"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PediaClusterLifecycleSpec {
    /// The source object.
    pub source: LifecycleSource,
    /// Objects that are needed beside the source, as the policy says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub references: Vec<LifecycleReference>,
    /// The template for the PediaCluster, from the policy.
    pub template: String,
    /// The template that has to render to true before the PediaCluster is made, from the policy.
    pub creation_condition: String,
}

/// The object a cluster is imported from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LifecycleSource {
    /// The API group; the empty text is the core group.
    pub group: String,
    /// The version in which it is read.
    pub version: String,
    /// The plural name of the resource.
    pub resource: String,
    /// The namespace of the object, if it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the object.
    pub name: String,
}

/// An object that is needed beside the source, with the version that was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleReference {
    /// What templates call the object: .references.KEY.
    pub key: String,
    /// The API group; the empty text is the core group.
    pub group: String,
    /// The version in which it is read.
    pub version: String,
    /// The plural name of the resource.
    pub resource: String,
    /// The template for the namespace of the object, empty for one that has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace_template: String,
    /// The template for the name of the object.
    pub name_template: String,
}

/// How one cluster stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PediaClusterLifecycleStatus {
    /// The state of the PediaCluster. Created tells whether it is there, Updating whether it is in step with its source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The references that were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<ResolvedReference>,
}

/// An object that a reference leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedReference {
    /// The API group; the empty text is the core group.
    pub group: String,
    /// The version in which it is read.
    pub version: String,
    /// The plural name of the resource.
    pub resource: String,
    /// The namespace of the object, if it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the object.
    pub name: String,
}
