//! The search API: `clusterpedia.io/v1beta1`, served by the hub and stored nowhere (contract `clusterpedia.md`,
//! section 1.8), and `search.clusterway.io/v1alpha1`, collections that users define.

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The API group of [`Resources`] and [`CollectionResource`].
pub const GROUP: &str = "clusterpedia.io";
/// Their API version.
pub const VERSION: &str = "v1beta1";
/// The API group they had long ago, which is served as well.
pub const OLD_GROUP: &str = "pedia.clusterpedia.io";
/// The API version in [`OLD_GROUP`].
pub const OLD_VERSION: &str = "v1alpha1";

/// A placeholder for the Kubernetes API of all clusters, behind `resources`. It is never returned: it exists so that
/// there is something to discover and to route to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources;

impl Resources {
    /// The kind.
    pub const KIND: &'static str = "Resources";
    /// The plural name.
    pub const PLURAL: &'static str = "resources";
    /// The singular name: the same.
    pub const SINGULAR: &'static str = "resources";
}

/// A collection: objects of several kinds. In a list it is a definition only; read by its name, it has the objects.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionResource {
    /// `clusterpedia.io/v1beta1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `CollectionResource`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Only the name is set.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// In a list: what belongs to the collection; none of them means that the query decides. Else: the types of the
    /// objects returned. Always written.
    #[serde(default)]
    pub resource_types: Vec<CollectionResourceType>,
    /// Whole objects, or as much of them as was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Box<RawValue>>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "continue")]
    pub continue_: Option<String>,
    /// How many objects follow behind this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_item_count: Option<i64>,
}

impl CollectionResource {
    /// The kind.
    pub const KIND: &'static str = "CollectionResource";
    /// The plural name.
    pub const PLURAL: &'static str = "collectionresources";
    /// The singular name: the same.
    pub const SINGULAR: &'static str = "collectionresources";

    /// The definition of a collection, without objects.
    pub fn definition(name: impl Into<String>, resource_types: Vec<CollectionResourceType>) -> Self {
        Self {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: Self::KIND.to_owned(),
            metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
            resource_types,
            items: Vec::new(),
            continue_: None,
            remaining_item_count: None,
        }
    }
}

/// Some of the types of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CollectionResourceType {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version; empty for every version.
    pub version: String,
    /// The kind; only told of objects that are returned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The plural name; empty for the whole group.
    pub resource: String,
}

/// The definitions of all collections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionResourceList {
    /// `clusterpedia.io/v1beta1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `CollectionResourceList`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Empty: there are no pages.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The definitions, without objects.
    pub items: Vec<CollectionResource>,
}

impl CollectionResourceList {
    /// The kind.
    pub const KIND: &'static str = "CollectionResourceList";

    /// The list of these definitions.
    pub fn new(items: Vec<CollectionResource>) -> Self {
        Self {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: Self::KIND.to_owned(),
            metadata: ListMeta::default(),
            items,
        }
    }
}

/// What belongs to a collection of one's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "search.clusterway.io",
    version = "v1alpha1",
    kind = "ResourceCollection",
    plural = "resourcecollections",
    doc = "A ResourceCollection defines a collection: several types of objects that can be searched as one. The collection \
           appears under the same name among the collectionresources of clusterpedia.io.",
    validation = Rule::new("!(self.metadata.name in ['any', 'workloads', 'kuberesources'])")
        .message("metadata.name: any, workloads and kuberesources are collections that are always there; choose another name")
)]
#[serde(rename_all = "camelCase")]
pub struct ResourceCollectionSpec {
    /// The types of the objects in the collection. An object belongs to it when it is of one of them.
    #[schemars(length(min = 1, max = 256))]
    pub resource_types: Vec<CollectedType>,
}

/// Some types of objects in a collection: one resource, or all of an API group.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct CollectedType {
    /// The API group; the empty text is the core group.
    #[schemars(
        length(max = 253),
        regex(pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$")
    )]
    pub group: String,
    /// The version. It is every version when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub version: Option<String>,
    /// The plural name of the resource, such as deployments. It is every resource of the group when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub resource: Option<String>,
}
