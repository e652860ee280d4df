//! FeedInventories: the replicas there are to divide (contract 1.10).

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Feed, schema};

/// The replicas of a Subscription's feeds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusternet.io",
    version = "v1alpha1",
    kind = "FeedInventory",
    plural = "feedinventories",
    shortname = "finv",
    category = "clusternet",
    namespaced,
    doc = "A FeedInventory tells how many replicas each feed of the Subscription of the same name has, and what one replica \
           needs. The hub writes it where the Subscription divides; so may a program of one's own, for kinds the hub does \
           not know."
)]
#[serde(rename_all = "camelCase")]
pub struct FeedInventorySpec {
    /// The feeds, in the order of the Subscription.
    pub feeds: Vec<FeedOrder>,
}

/// The replicas of one feed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedOrder {
    /// The feed.
    #[serde(flatten)]
    pub feed: Feed,
    /// How many replicas there are to divide. It is not set for feeds that have no replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
    /// Where the number of replicas is in the object: /spec/replicas. It is needed beside desiredReplicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_json_path: Option<String>,
    /// What one replica needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_requirements: Option<ReplicaRequirements>,
}

/// What one replica needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaRequirements {
    /// The labels of the nodes it can run on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub node_selector: BTreeMap<String, String>,
    /// The taints of nodes that it tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours it wants, as in core/v1. It is kept for others that read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub affinity: Option<Affinity>,
    /// The resources it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_requirements")]
    pub resources: Option<ResourceRequirements>,
}
