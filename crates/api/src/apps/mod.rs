//! `apps.clusternet.io/v1alpha1`: what is deployed to which clusters (contract sections 1.4 to 1.10).
//!
//! A [`Subscription`] names feeds and clusters. Each feed is a [`Manifest`], which wraps an ordinary object, or a
//! [`HelmChart`]. For every chosen cluster there is a [`Base`], and for every Base up to two [`Description`]s: what the
//! cluster gets after the overrides of [`Globalization`]s and [`Localization`]s, and how that went. A [`HelmRelease`] is a
//! chart in one cluster. A [`FeedInventory`] tells how many replicas a Subscription has to divide.
//!
//! Beyond the contract is [`Content`], of the group `apps.clusterway.io`: a large object that Descriptions refer to. So are the conditions of Subscriptions and Descriptions, and in the overrides `feedSelector` and
//! `template`. `matchLabels` and `matchExpressions` of selectors are checked by who uses them, as in Kubernetes.

mod content;
mod description;
mod helm;
mod inventory;
mod manifest;
mod overrides;
mod schema;
mod subscription;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use content::{Content, ContentSpec};
pub use description::{
    Base, BaseSpec, ChartReference, ContentReference, Deployer, Description, DescriptionPhase,
    DescriptionSpec, DescriptionStatus, ManifestStatus,
};
pub use helm::{
    ChartPhase, ChartPullSecret, HelmChart, HelmChartSpec, HelmChartStatus, HelmOptions, HelmRelease,
    HelmReleaseSpec, HelmReleaseStatus,
};
pub use inventory::{FeedInventory, FeedInventorySpec, FeedOrder, ReplicaRequirements};
pub use manifest::Manifest;
pub use overrides::{
    Changes, FieldFormat, Globalization, GlobalizationSpec, Localization, LocalizationSpec, OverrideConfig,
    OverridePolicy, OverrideType,
};
pub use subscription::{
    AggregatedStatus, DividingScheduling, DividingStrategy, DividingType, DynamicDividing, FeedStatus,
    FeedStatusPerCluster, PreemptionPolicy, ReplicaStatus, SchedulingStrategy, SubGroupStrategy, Subscriber,
    Subscription, SubscriptionSpec, SubscriptionStatus,
};

/// The API group.
pub const GROUP: &str = "apps.clusternet.io";
/// The API version.
pub const VERSION: &str = "v1alpha1";

/// An object that is deployed: a HelmChart, or any other object, of which a Manifest exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Feed {
    /// The kind of the object.
    pub kind: String,
    /// The API version of the object, with its group: apps/v1.
    pub api_version: String,
    /// The namespace of the object. Objects without a namespace have none here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of the object.
    pub name: String,
}

impl Feed {
    /// The key of the feed in `status.replicas` of a Subscription (contract 2.8).
    ///
    /// ```
    /// let feed = api::apps::Feed {
    ///     kind: "Deployment".to_owned(),
    ///     api_version: "apps/v1".to_owned(),
    ///     namespace: Some("qux".to_owned()),
    ///     name: "web".to_owned(),
    /// };
    /// assert_eq!(feed.key(), "apps/v1/Deployment/qux/web");
    /// ```
    pub fn key(&self) -> String {
        let Self { kind, api_version, name, .. } = self;
        match self.namespace() {
            Some(namespace) => format!("{api_version}/{kind}/{namespace}/{name}"),
            None => format!("{api_version}/{kind}/{name}"),
        }
    }

    /// Which object this is, as a feed; none where it has no API version, kind or name.
    ///
    /// ```
    /// let web = serde_json::json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" }, "spec": {} });
    /// assert_eq!(api::apps::Feed::of(&web).unwrap().key(), "v1/Service/web");
    /// ```
    pub fn of<'de>(object: impl Deserializer<'de>) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Object {
            api_version: String,
            kind: String,
            metadata: Names,
        }
        #[derive(Deserialize)]
        struct Names {
            name: String,
            #[serde(default)]
            namespace: Option<String>,
        }
        let Object { api_version, kind, metadata: Names { name, namespace } } =
            Object::deserialize(object).ok()?;
        Some(Self { kind, api_version, namespace, name }.normalised())
    }

    /// The feed, without an empty namespace.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.namespace = self.namespace.filter(|namespace| !namespace.is_empty());
        self
    }

    /// The namespace; none where it is empty.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty())
    }

    /// Whether it is a HelmChart, and no object to be wrapped in a Manifest.
    pub fn is_chart(&self) -> bool {
        self.kind == "HelmChart"
            && self.api_version.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'))
    }
}
