//! Subscriptions: what is wanted where, and how that stands (contract 1.4).

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{PreferredSchedulingTerm, Toleration, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Feed, schema};

/// Which feeds are deployed to which clusters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusternet.io",
    version = "v1alpha1",
    kind = "Subscription",
    plural = "subscriptions",
    shortname = "sub",
    shortname = "subs",
    category = "clusternet",
    namespaced,
    status = "SubscriptionStatus",
    doc = "A Subscription deploys its feeds to the clusters its subscribers select.",
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the Subscription was made"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionSpec {
    /// The scheduler that chooses the clusters. Other schedulers leave the Subscription alone.
    #[serde(default = "default_scheduler")]
    #[schemars(extend("default" = "default"))]
    pub scheduler_name: String,
    /// Whether each subscriber is a group of which subGroupStrategy.minClusters clusters are chosen. Otherwise all clusters
    /// that a subscriber selects are chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling_by_sub_group: Option<bool>,
    /// How replicas come to the clusters. Replication: each chosen cluster gets the feeds as they are. Dividing: the
    /// replicas of a feed are divided between the chosen clusters.
    #[serde(default)]
    #[schemars(extend("default" = "Replication"))]
    pub scheduling_strategy: SchedulingStrategy,
    /// How replicas are divided. It is needed for the strategy Dividing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dividing_scheduling: Option<DividingScheduling>,
    /// The Subscription with the higher priority is scheduled first. It is 0 when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Whether a Subscription of lower priority may have to make room. It is kept for others that read it; nothing is
    /// preempted.
    #[serde(default)]
    #[schemars(extend("default" = "PreemptLowerPriority"))]
    pub preemption_policy: PreemptionPolicy,
    /// The clusters. A cluster is a candidate when one of the subscribers selects it.
    pub subscribers: Vec<Subscriber>,
    /// The taints of clusters that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub cluster_tolerations: Vec<Toleration>,
    /// What is deployed.
    pub feeds: Vec<Feed>,
}

fn default_scheduler() -> String {
    crate::names::apps::DEFAULT_SCHEDULER.to_owned()
}

/// How replicas come to the clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SchedulingStrategy {
    /// Each cluster gets the feeds as they are.
    #[default]
    Replication,
    /// The replicas are divided.
    Dividing,
}

/// Whether something of lower priority has to make room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PreemptionPolicy {
    /// It may have to.
    #[default]
    PreemptLowerPriority,
    /// It never has to.
    PreemptNever,
}

/// How replicas are divided.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DividingScheduling {
    /// By what replicas are divided. Static: by the weights of the subscribers. Dynamic: by what the clusters have room
    /// for.
    #[serde(rename = "type")]
    #[schemars(extend("default" = "Static"))]
    pub type_: DividingType,
    /// How replicas are divided by room. It is needed for the type Dynamic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_dividing: Option<DynamicDividing>,
}

/// By what replicas are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DividingType {
    /// By weights.
    #[default]
    Static,
    /// By room.
    Dynamic,
}

/// How replicas are divided by room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DynamicDividing {
    /// Spread: over many clusters. Binpack: into few.
    #[schemars(extend("default" = "Spread"))]
    pub strategy: DividingStrategy,
    /// How replicas are spread over groups of clusters. It is kept for others that read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::topology_spread_constraints")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Which clusters are preferred. It is kept for others that read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::preferred_scheduling_terms")]
    pub preferred_clusters: Vec<PreferredSchedulingTerm>,
    /// The least number of clusters. It is kept for others that read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_clusters: Option<i32>,
    /// The greatest number of clusters. It is kept for others that read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_clusters: Option<i32>,
}

/// Into how many clusters replicas are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DividingStrategy {
    /// Into many.
    #[default]
    Spread,
    /// Into few.
    Binpack,
}

/// A choice of clusters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscriber {
    /// Selects ManagedClusters of all namespaces by their labels. An empty selector selects every cluster.
    #[schemars(schema_with = "schema::label_selector")]
    pub cluster_affinity: LabelSelector,
    /// The weight of each of these clusters where replicas are divided by weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub weight: Option<i32>,
    /// How many of these clusters are chosen where subscribers are groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_group_strategy: Option<SubGroupStrategy>,
}

/// How many clusters of a group are chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubGroupStrategy {
    /// The number of clusters that are chosen, or all where there are fewer. It is 0 when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min_clusters: Option<i32>,
}

/// What was decided, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionStatus {
    /// The chosen clusters, each as namespace/name of its ManagedCluster, in ascending order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binding_clusters: Vec<String>,
    /// The replicas of each feed in each of bindingClusters, by apiVersion/kind/namespace/name of the feed. A feed without
    /// replicas has an empty list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replicas: BTreeMap<String, Vec<i32>>,
    /// Tells whether the spec has changed since the clusters were chosen. The number says nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<i64>,
    /// The number of chosen clusters.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub desired_releases: i32,
    /// The number of clusters in which all feeds are deployed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub completed_releases: i32,
    /// How each feed stands, in all clusters together and in each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregated_statuses: Vec<AggregatedStatus>,
    /// The state of the Subscription. Scheduled tells which clusters were chosen, which were refused and why; Ready,
    /// Progressing and Degraded tell how the feeds stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// How a feed stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AggregatedStatus {
    /// The feed.
    #[serde(flatten)]
    pub feed: Feed,
    /// How it stands in all clusters together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed_status_summary: Option<FeedStatus>,
    /// How it stands in each cluster, in the order of bindingClusters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feed_status_details: Vec<FeedStatusPerCluster>,
}

/// How a feed stands in one cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedStatusPerCluster {
    /// The identity of the cluster, a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    ))]
    pub cluster_id: Option<String>,
    /// The name of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 30),
        regex(pattern = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([a-z0-9]([-a-z0-9]*[a-z0-9]))*")
    )]
    pub cluster_name: Option<String>,
    /// How the feed stands there.
    #[serde(flatten)]
    pub status: FeedStatus,
}

/// Whether a feed is there, and its replicas.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedStatus {
    /// Whether the feed is deployed; of several clusters, whether it is in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
    /// How its replicas stand; of several clusters, the sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_status: Option<ReplicaStatus>,
}

/// How the replicas of a workload stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// The generation of the workload that its controller has seen; of several clusters, the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The number of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// The number of replicas with the newest template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_replicas: Option<i32>,
    /// The number of replicas of a StatefulSet's current revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_replicas: Option<i32>,
    /// The number of replicas that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// The number of replicas that are available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i32>,
    /// The number of replicas that are not available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_replicas: Option<i32>,
    /// The number of pods of a Job that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<i32>,
    /// The number of pods of a Job that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<i32>,
    /// The number of pods of a Job that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<i32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &i32) -> bool {
    *n == 0
}
