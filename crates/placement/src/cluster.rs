//! What is known of a cluster.

use std::{collections::BTreeMap, fmt};

use api::clusters::ManagedCluster;
use k8s_openapi::api::core::v1::Taint;
use serde_json::{Value, json};

/// A cluster as `namespace/name` of its ManagedCluster, the form of `status.bindingClusters`. Keys are ordered as these
/// texts are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey(String);

impl ClusterKey {
    /// The key of a ManagedCluster.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}"))
    }

    /// Reads `namespace/name`.
    ///
    /// ```
    /// use placement::ClusterKey;
    /// assert_eq!(ClusterKey::parse("n1/c1").unwrap().namespace(), "n1");
    /// assert!(ClusterKey::parse("c1").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let whole = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
        whole.then(|| Self(text.to_owned()))
    }

    /// `namespace/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The dedicated namespace.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }
}

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What decisions and overrides may know of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Namespace and name of the ManagedCluster.
    pub key: ClusterKey,
    /// The name of the ManagedCluster.
    pub name: String,
    /// The cluster's identity, a UUID.
    pub id: String,
    /// The labels of the ManagedCluster.
    pub labels: BTreeMap<String, String>,
    /// The annotations of the ManagedCluster.
    pub annotations: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether the ManagedCluster is being deleted.
    pub deleting: bool,
}

impl Cluster {
    /// The facts that templates of overrides may use.
    pub(crate) fn facts(&self) -> Value {
        json!({ "cluster": {
            "name": self.name,
            "namespace": self.key.namespace(),
            "id": self.id,
            "labels": self.labels,
            "annotations": self.annotations,
        } })
    }
}

impl From<&ManagedCluster> for Cluster {
    fn from(cluster: &ManagedCluster) -> Self {
        let metadata = &cluster.metadata;
        let name = metadata.name.clone().unwrap_or_default();
        Self {
            key: ClusterKey::new(metadata.namespace.as_deref().unwrap_or_default(), &name),
            name,
            id: cluster.spec.cluster_id.clone(),
            labels: metadata.labels.clone().unwrap_or_default(),
            annotations: metadata.annotations.clone().unwrap_or_default(),
            taints: cluster.spec.taints.clone(),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }
}
