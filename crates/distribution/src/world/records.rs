//! What is kept of each object: what decisions are made of, and no more.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    apps::{
        Base, Deployer, Description, DescriptionPhase, Feed, Globalization, Localization, Manifest,
        Subscription, SubscriptionSpec, SubscriptionStatus,
    },
    clusters::ManagedCluster,
    names::apps::annotations::{FEED_PROTECTION, IS_DEFAULT_CLUSTER_INIT, RENDERED},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use placement::{Cluster, overrides::Rule};
use serde::Deserialize;
use serde_json::Value;

use crate::{key::Name, report::Report};

/// What is kept of the metadata of every object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Meta {
    pub(crate) name: Name,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) finalizers: Vec<String>,
    pub(crate) deleting: bool,
}

impl Meta {
    pub(crate) fn new(metadata: &ObjectMeta) -> Self {
        Self {
            name: Name::new(
                metadata.namespace.clone().unwrap_or_default(),
                metadata.name.clone().unwrap_or_default(),
            ),
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            labels: metadata.labels.clone().unwrap_or_default(),
            finalizers: metadata.finalizers.clone().unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }

    pub(crate) fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }

    pub(crate) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|it| it == finalizer)
    }
}

/// A Subscription.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SubscriptionRecord {
    pub(crate) meta: Meta,
    pub(crate) generation: i64,
    pub(crate) spec: SubscriptionSpec,
    pub(crate) status: SubscriptionStatus,
    /// The value of the annotation that makes it the one new clusters are initialised with.
    pub(crate) initialises: Option<String>,
}

impl From<&Subscription> for SubscriptionRecord {
    fn from(subscription: &Subscription) -> Self {
        let metadata = &subscription.metadata;
        let annotations = metadata.annotations.as_ref();
        let mut spec = subscription.spec.clone();
        spec.feeds = spec.feeds.iter().map(normalised).collect();
        Self {
            meta: Meta::new(metadata),
            generation: metadata.generation.unwrap_or_default(),
            spec,
            status: subscription.status.clone().unwrap_or_default(),
            initialises: annotations.and_then(|all| all.get(IS_DEFAULT_CLUSTER_INIT)).cloned(),
        }
    }
}

impl SubscriptionRecord {
    /// Whether it is bound to a cluster of a namespace.
    pub(crate) fn is_bound_in(&self, namespace: &str) -> bool {
        let bound = self.status.binding_clusters.iter();
        bound.filter_map(|key| key.split_once('/')).any(|(it, _)| it == namespace)
    }
}

/// A ManagedCluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClusterRecord {
    pub(crate) meta: Meta,
    pub(crate) cluster: Cluster,
    /// Whether what is in it can still be reached and deleted (contract 5.10).
    pub(crate) lost: bool,
}

impl From<&ManagedCluster> for ClusterRecord {
    fn from(cluster: &ManagedCluster) -> Self {
        let conditions = cluster.status.as_ref().map_or(&[][..], |status| &status.conditions);
        let ready = |condition: &Condition| condition.type_ == "Ready" && condition.status == "True";
        let deleting = cluster.metadata.deletion_timestamp.is_some();
        Self {
            meta: Meta::new(&cluster.metadata),
            cluster: Cluster::from(cluster),
            lost: deleting || (!conditions.is_empty() && !conditions.iter().any(ready)),
        }
    }
}

/// A Base.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BaseRecord {
    pub(crate) meta: Meta,
    pub(crate) created: Option<jiff::Timestamp>,
    pub(crate) feeds: Arc<[Feed]>,
}

impl From<&Base> for BaseRecord {
    fn from(base: &Base) -> Self {
        Self {
            meta: Meta::new(&base.metadata),
            created: base.metadata.creation_timestamp.as_ref().map(|time| time.0),
            feeds: base.spec.feeds.iter().map(normalised).collect(),
        }
    }
}

/// A Description, without what is applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DescriptionRecord {
    pub(crate) meta: Meta,
    pub(crate) generation: i64,
    pub(crate) deployer: Deployer,
    /// The uid of the Base that owns it.
    pub(crate) owner: Option<String>,
    /// From what it was rendered, and what that gave.
    pub(crate) rendered: Option<String>,
    /// What is in it, by a digest.
    pub(crate) content: String,
    /// The objects that are applied, in their order.
    pub(crate) objects: Vec<Feed>,
    pub(crate) report: Report,
}

impl From<&Description> for DescriptionRecord {
    fn from(description: &Description) -> Self {
        let metadata = &description.metadata;
        let raw = || description.spec.raw.iter().map(|bytes| bytes.0.as_slice());
        let owner = metadata.owner_references.iter().flatten().find(|owner| owner.kind == "Base");
        let annotations = metadata.annotations.as_ref();
        Self {
            meta: Meta::new(metadata),
            generation: metadata.generation.unwrap_or_default(),
            deployer: description.spec.deployer,
            owner: owner.map(|owner| owner.uid.clone()),
            rendered: annotations.and_then(|all| all.get(RENDERED)).cloned(),
            content: content(raw()),
            objects: raw().map(|json| identity(json).unwrap_or_default()).collect(),
            report: description.status.as_ref().map(Report::from).unwrap_or_default(),
        }
    }
}

impl DescriptionRecord {
    /// Whether everything in it has been applied as it is now.
    pub(crate) fn is_applied(&self) -> bool {
        let phase = || self.report.phase == Some(DescriptionPhase::Success);
        self.report.applied(self.generation).unwrap_or_else(phase)
    }
}

/// A digest of what is applied.
pub(crate) fn content<'r>(raw: impl Iterator<Item = &'r [u8]>) -> String {
    let parts: Vec<std::borrow::Cow<'r, str>> = raw.map(String::from_utf8_lossy).collect();
    placement::fingerprint::fingerprint(&parts)
}

/// Which object it is, as JSON.
pub(crate) fn identity(json: &[u8]) -> Option<Feed> {
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
        serde_json::from_slice(json).ok()?;
    Some(normalised(&Feed { kind, api_version, namespace, name }))
}

/// The feed, without an empty namespace.
pub(crate) fn normalised(feed: &Feed) -> Feed {
    Feed { namespace: feed.namespace().map(str::to_owned), ..feed.clone() }
}

/// A Manifest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ManifestRecord {
    pub(crate) meta: Meta,
    /// Why it cannot be deleted, as it was told last.
    pub(crate) protection: Option<String>,
    /// The object that is wrapped; none where it is no object.
    pub(crate) feed: Option<Feed>,
    /// The labels of the object.
    pub(crate) labels: BTreeMap<String, String>,
    /// The object, JSON.
    pub(crate) template: Arc<[u8]>,
    /// The object by a digest.
    pub(crate) digest: String,
}

impl From<&Manifest> for ManifestRecord {
    fn from(manifest: &Manifest) -> Self {
        let text = manifest.template.to_string();
        let labels = manifest.template["metadata"]["labels"].as_object();
        let labels = labels.into_iter().flatten();
        Self {
            meta: Meta::new(&manifest.metadata),
            protection: manifest
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(FEED_PROTECTION))
                .cloned(),
            feed: identity(text.as_bytes()),
            labels: labels
                .filter_map(|(key, value)| Some((key.clone(), Value::as_str(value)?.to_owned())))
                .collect(),
            digest: placement::fingerprint::fingerprint(&text),
            template: text.into_bytes().into(),
        }
    }
}

/// A Globalization or Localization.
#[derive(Debug, Clone)]
pub(crate) struct RuleRecord {
    pub(crate) meta: Meta,
    pub(crate) generation: i64,
    /// None where it is none: a selector is wrong.
    pub(crate) rule: Result<Arc<Rule>, String>,
}

impl RuleRecord {
    fn new(metadata: &ObjectMeta, rule: Result<Rule, placement::overrides::InvalidRuleError>) -> Self {
        Self {
            meta: Meta::new(metadata),
            generation: metadata.generation.unwrap_or_default(),
            rule: rule.map(Arc::new).map_err(|error| error.to_string()),
        }
    }

    /// The feed it names.
    pub(crate) fn feed(&self) -> Option<Feed> {
        self.rule.as_ref().ok().and_then(|rule| rule.feed()).map(normalised)
    }
}

impl From<&Globalization> for RuleRecord {
    fn from(globalization: &Globalization) -> Self {
        Self::new(&globalization.metadata, Rule::try_from(globalization))
    }
}

impl From<&Localization> for RuleRecord {
    fn from(localization: &Localization) -> Self {
        Self::new(&localization.metadata, Rule::try_from(localization))
    }
}
