//! Bases and Descriptions: what one cluster gets (contract 1.5 and 1.6).

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Feed, schema};
use crate::names::deployer::annotations::{PAUSED, SUBSCRIPTION_PAUSED};

/// The feeds for one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusternet.io",
    version = "v1alpha1",
    kind = "Base",
    plural = "bases",
    category = "clusternet",
    namespaced,
    doc = "A Base holds what the cluster of its namespace gets, before overrides. The hub makes one for each Subscription \
           and chosen cluster; others may be made by hand.",
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the Base was made"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct BaseSpec {
    /// What is deployed.
    pub feeds: Vec<Feed>,
}

/// What is applied in one cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusternet.io",
    version = "v1alpha1",
    kind = "Description",
    plural = "descriptions",
    shortname = "desc",
    category = "clusternet",
    namespaced,
    status = "DescriptionStatus",
    doc = "A Description holds what is applied in the cluster of its namespace, after overrides. The hub makes it from a \
           Base.",
    printcolumn = r#"{"name":"DEPLOYER","type":"string","jsonPath":".spec.deployer","description":"How it is applied"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.phase","description":"How that went"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the Description was made"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct DescriptionSpec {
    /// How it is applied. Generic: as objects. Helm: as releases of charts.
    pub deployer: Deployer,
    /// The HelmCharts, for the deployer Helm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<ChartReference>,
    /// For the deployer Generic: each object, JSON in base64. For the deployer Helm: the values of each chart, JSON in
    /// base64, or a space where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::list_of_bytes")]
    pub raw: Vec<ByteString>,
    /// Where the objects are that are too large to be stored once for each cluster; a space stands in their places in raw. None
    /// if the agent of the cluster cannot read them there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<ContentReference>,
    /// For the deployer Helm: each HelmChart after overrides, JSON in base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::list_of_bytes")]
    pub chart_raw: Vec<ByteString>,
}

impl DescriptionSpec {
    /// Objects that are applied as such.
    pub fn generic(raw: Vec<ByteString>) -> Self {
        let (charts, contents, chart_raw) = (Vec::new(), Vec::new(), Vec::new());
        Self { deployer: Deployer::Generic, charts, raw, contents, chart_raw }
    }
}

impl Description {
    /// Whether nothing of it is to be changed in its cluster, as it or its Subscription is paused.
    pub fn is_paused(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        let is_true = |key| annotations.and_then(|all| all.get(key)).is_some_and(|value| value == "true");
        is_true(PAUSED) || is_true(SUBSCRIPTION_PAUSED)
    }
}

/// Where an object of a Description is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentReference {
    /// Which place in raw the object has, from 0 on.
    pub index: u32,
    /// The namespace of the Content.
    pub namespace: String,
    /// The name of the Content.
    pub name: String,
}

impl ContentReference {
    /// The place, as an index of `raw`; one that nothing has where this machine cannot count so far.
    pub fn place(&self) -> usize {
        usize::try_from(self.index).unwrap_or(usize::MAX)
    }
}

/// How a Description is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Deployer {
    /// As releases of charts.
    Helm,
    /// As objects.
    Generic,
}

/// A HelmChart, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ChartReference {
    /// The namespace of the HelmChart.
    pub namespace: String,
    /// The name of the HelmChart.
    pub name: String,
}

/// How applying went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DescriptionStatus {
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DescriptionPhase")]
    pub phase: Option<DescriptionPhase>,
    /// Why it is not further, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The status of each object, as it is in the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifest_statuses: Vec<ManifestStatus>,
    /// The state of the Description.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// How far a Description is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DescriptionPhase {
    /// Not begun.
    Pending,
    /// Everything is applied.
    Success,
    /// Something could not be applied.
    Failure,
    /// A chart is being installed.
    Installing,
    /// A chart is being upgraded.
    Upgrading,
    /// A chart is being uninstalled.
    Uninstalling,
    /// A newer release has taken over.
    Superseded,
    /// Nothing is known.
    Unknown,
}

/// An object in the cluster, and its status there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestStatus {
    /// The object.
    #[serde(flatten)]
    pub feed: Feed,
    /// Its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub observed_status: Option<Value>,
    /// True while nothing was ever applied, as the cluster has refused every attempt for want of a right: there is nothing
    /// that would have to be deleted. Not set otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_applied: Option<bool>,
}
