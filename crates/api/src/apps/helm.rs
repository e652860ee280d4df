//! HelmCharts and HelmReleases (contract 1.8).

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A chart and how it is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusternet.io",
    version = "v1alpha1",
    kind = "HelmChart",
    plural = "helmcharts",
    shortname = "chart",
    shortname = "charts",
    category = "clusternet",
    namespaced,
    status = "HelmChartStatus",
    doc = "A HelmChart is a chart in a repository, and how it is installed where a Subscription deploys it.",
    printcolumn = r#"{"name":"CHART","type":"string","jsonPath":".spec.chart","description":"The name of the chart"}"#,
    printcolumn = r#"{"name":"VERSION","type":"string","jsonPath":".spec.version","description":"The version of the chart"}"#,
    printcolumn = r#"{"name":"REPO","type":"string","jsonPath":".spec.repo","description":"The repository of the chart"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.phase","description":"Whether the chart is there"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the HelmChart was made"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartSpec {
    /// The chart and the options of Helm.
    #[serde(flatten)]
    pub options: HelmOptions,
}

/// The chart and the options of Helm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmOptions {
    /// The URL of the repository: http, https, or oci for a registry.
    #[schemars(regex(pattern = r"^(http|https|oci)://[-a-zA-Z0-9+&@#/%?=~_|!:,.;\[\]]+$"))]
    pub repo: String,
    /// The Secret in the parent that holds username and password for the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart_pull_secret: Option<ChartPullSecret>,
    /// Whether a registry is asked without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "plainHTTP")]
    pub plain_http: Option<bool>,
    /// The name of the chart.
    pub chart: String,
    /// The version of the chart. It is the newest when this is not set; a registry needs a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the target namespace is made where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub create_namespace: Option<bool>,
    /// How many seconds an installation, an upgrade or a removal may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 300))]
    pub timeout_seconds: Option<i32>,
    /// Whether an installation or upgrade waits until its objects are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
    /// Whether it also waits until its Jobs are completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_for_job: Option<bool>,
    /// Whether the name of a release that was removed may be used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<bool>,
    /// Whether an installation that fails is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atomic: Option<bool>,
    /// Whether an upgrade that fails is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_atomic: Option<bool>,
    /// Whether the CRDs of the chart are not installed.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "skipCRDs")]
    pub skip_crds: Option<bool>,
    /// Whether the CRDs of the chart are replaced by an upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "replaceCRDs")]
    pub replace_crds: Option<bool>,
    /// Whether the hooks of the chart are not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_hooks: Option<bool>,
    /// Whether objects are replaced where they cannot be updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// The namespace of the release in the child.
    pub target_namespace: String,
}

/// A Secret in the parent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChartPullSecret {
    /// The name of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The namespace of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Whether the chart is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelmChartStatus {
    /// Whether the chart was found in its repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ChartPhase")]
    pub phase: Option<ChartPhase>,
    /// Why it was not, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a chart was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChartPhase {
    /// It was.
    Found,
    /// It was not.
    NotFound,
}

/// A chart in one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusternet.io",
    version = "v1alpha1",
    kind = "HelmRelease",
    plural = "helmreleases",
    shortname = "hr",
    category = "clusternet",
    namespaced,
    status = "HelmReleaseStatus",
    doc = "A HelmRelease is a chart in the cluster of its namespace. The hub makes it from a Description.",
    printcolumn = r#"{"name":"CHART","type":"string","jsonPath":".spec.chart","description":"The name of the chart"}"#,
    printcolumn = r#"{"name":"VERSION","type":"string","jsonPath":".spec.version","description":"The version of the chart"}"#,
    printcolumn = r#"{"name":"REPO","type":"string","jsonPath":".spec.repo","description":"The repository of the chart"}"#,
    printcolumn = r#"{"name":"STATUS","type":"string","jsonPath":".status.phase","description":"The state of the release, in Helm's words"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the HelmRelease was made"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseSpec {
    /// The chart and the options of Helm.
    #[serde(flatten)]
    pub options: HelmOptions,
    /// The name of the release in the child. It is the name of this object when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// The values, JSON in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::bytes")]
    pub overrides: Option<ByteString>,
}

/// How a release stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseStatus {
    /// When the chart was first installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::time")]
    pub first_deployed: Option<Time>,
    /// When the chart was last installed or upgraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::time")]
    pub last_deployed: Option<Time>,
    /// What Helm says of the last operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The state of the release in Helm's words: deployed, failed, pending-install, and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The notes of the chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The revision of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// Whether the release is as this object wants it, and why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
}
