//! What is known of the clusters beside their objects.

use std::{collections::BTreeMap, sync::Arc};

use meta::CrdColumns;
use store::{ClusterName, Resource, ResourcePattern};

/// What the clusters are and what their resources are called. [`Catalogue::follow`] fills it in; where it says
/// nothing, the search finds out from Kubernetes' own names and from what is stored.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// The clusters that can be searched. One of which nothing is stored yet is only known from here.
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// Collections beside those that are always there: their names and what belongs to them.
    pub collections: BTreeMap<String, Vec<ResourcePattern>>,
}

/// One cluster.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// What is synchronised, in the version it is stored in.
    pub resources: BTreeMap<Resource, Kind>,
    /// Why its objects may be out of date, in words for a person; `None` while it is healthy.
    pub unhealthy: Option<String>,
    /// Its Kubernetes version, such as `v1.37.0`.
    pub version: Option<String>,
}

/// A kind as discovery tells of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kind {
    /// The kind, such as `Pod`.
    pub kind: String,
    /// The singular name, such as `pod`.
    pub singular: String,
    /// Short names, such as `po`.
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What is printed of a custom resource, by its definition. Without it the definition is looked for in the store.
    pub columns: Option<Arc<CrdColumns>>,
}
