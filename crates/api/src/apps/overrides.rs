//! Globalizations and Localizations: how feeds differ between clusters (contract 1.7).

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Feed, schema};

const ONE_CHOICE_OF_FEEDS: &str = "!(has(self.feed) && has(self.feedSelector))";
const ONE_CHOICE_OF_FEEDS_MESSAGE: &str =
    "feed, feedSelector: feeds are named or selected, not both; remove one of them";

/// Overrides for the clusters that a selector chooses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusternet.io",
    version = "v1alpha1",
    kind = "Globalization",
    plural = "globalizations",
    shortname = "glob",
    shortname = "global",
    category = "clusternet",
    doc = "A Globalization changes feeds in the clusters it selects. All Globalizations are applied before any \
           Localization.",
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the Globalization was made"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(ONE_CHOICE_OF_FEEDS).message(ONE_CHOICE_OF_FEEDS_MESSAGE))]
pub struct GlobalizationSpec {
    /// Selects ManagedClusters by their labels. It is every cluster when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub cluster_affinity: Option<LabelSelector>,
    /// Which feeds are changed, and how.
    #[serde(flatten)]
    pub changes: Changes,
}

/// Overrides for one cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusternet.io",
    version = "v1alpha1",
    kind = "Localization",
    plural = "localizations",
    shortname = "loc",
    shortname = "local",
    category = "clusternet",
    namespaced,
    doc = "A Localization changes feeds in the cluster whose dedicated namespace it is in.",
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the Localization was made"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(ONE_CHOICE_OF_FEEDS).message(ONE_CHOICE_OF_FEEDS_MESSAGE))]
pub struct LocalizationSpec {
    /// Which feeds are changed, and how.
    #[serde(flatten)]
    pub changes: Changes,
}

/// Which feeds are changed, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// When a change of this object takes effect. ApplyNow: at once. ApplyLater: when a feed is deployed again for another
    /// reason.
    #[serde(default)]
    #[schemars(extend("default" = "ApplyLater"))]
    pub override_policy: OverridePolicy,
    /// Lower priorities are applied first, so that higher ones win.
    #[serde(default = "default_priority")]
    #[schemars(extend("default" = 500), range(min = 0, max = 1000))]
    pub priority: i32,
    /// The feed that is changed. Without feed and feedSelector it is every feed of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<Feed>,
    /// Selects the feeds that are changed by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub feed_selector: Option<LabelSelector>,
    /// The changes, in the order in which they are made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverrideConfig>,
}

fn default_priority() -> i32 {
    crate::names::apps::DEFAULT_PRIORITY
}

/// When a change of overrides takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OverridePolicy {
    /// At once.
    ApplyNow,
    /// With the next deployment for another reason.
    #[default]
    ApplyLater,
}

/// One change of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverrideConfig {
    /// A name for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The change, YAML or JSON. Blank, it changes nothing.
    pub value: String,
    /// What value is. JSONPatch and MergePatch: a patch of an object, or of the values of a chart. Helm: values of a chart.
    /// FieldJSONPatch and FieldMergePatch: a patch of a document in a text of the object.
    #[serde(rename = "type")]
    pub type_: OverrideType,
    /// Whether a change of type Helm is one of the HelmChart, for example of spec.version, and not of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_chart: Option<bool>,
    /// Where the text with the document is in the object: data/app.yaml. A slash in a name is written ~1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_path: Option<String>,
    /// How the document in the text is written. It is YAML when this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FieldFormat")]
    pub field_format: Option<FieldFormat>,
    /// Whether value is a Go template that may use facts of the cluster: .cluster.name, .cluster.namespace, .cluster.id,
    /// .cluster.labels and .cluster.annotations. Where there is no such label or annotation, it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<bool>,
}

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OverrideType {
    /// Values of a chart, merged.
    Helm,
    /// A JSON patch.
    #[serde(rename = "JSONPatch")]
    JsonPatch,
    /// A JSON merge patch.
    MergePatch,
    /// A JSON patch of a document in a text.
    #[serde(rename = "FieldJSONPatch")]
    FieldJsonPatch,
    /// A JSON merge patch of a document in a text.
    FieldMergePatch,
}

/// How a document in a text is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FieldFormat {
    /// YAML.
    #[default]
    #[serde(rename = "YAML")]
    Yaml,
    /// JSON, indented by four spaces.
    #[serde(rename = "JSON")]
    Json,
}
