//! What is kept of each object: what decisions are made of, and no more.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    apps::{
        Base, Content, Deployer, Description, DescriptionPhase, DescriptionSpec, Feed, Globalization,
        HelmChart, Localization, Manifest, Subscription, SubscriptionSpec, SubscriptionStatus,
    },
    clusters::{ManagedCluster, reads_contents},
    names::{
        apps::annotations::{FEED_PROTECTION, IS_DEFAULT_CLUSTER_INIT, RENDERED},
        deployer::annotations::{PAUSED, SUBSCRIPTION_PAUSED},
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::{Resource as _, ResourceExt as _};
use placement::{Cluster, overrides::Rule};
use serde_json::Value;

use super::Table;
use crate::{key::Name, marks::is_uid, report::Report};

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
    /// Whether everything it deploys is to be left as it is.
    pub(crate) paused: bool,
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
            paused: annotations.and_then(|all| all.get(PAUSED)).is_some_and(|value| value == "true"),
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
    /// Whether whoever applies its Descriptions reads Contents.
    pub(crate) reads_contents: bool,
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
            reads_contents: reads_contents(cluster),
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
    /// Whether it says that its Subscription is paused.
    pub(crate) paused: bool,
    parts: Arc<[Part]>,
    /// What stands beside the parts, by digests.
    others: Arc<[String]>,
    /// What is in it, by a digest.
    pub(crate) content: String,
    /// The objects or charts that are applied, in their order.
    pub(crate) objects: Vec<Feed>,
    pub(crate) report: Report,
}

/// One object or chart of a Description.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Here {
        digest: String,
        feed: Feed,
    },
    /// In a Content.
    Apart(Name),
}

impl DescriptionRecord {
    /// A Description, whose large objects are among the Contents that are known.
    pub(super) fn new(description: &Description, contents: &Table<ContentRecord>) -> Self {
        let (metadata, spec) = (&description.metadata, &description.spec);
        let owner = metadata.owner_references.iter().flatten().find(|owner| owner.kind == "Base");
        let annotations = metadata.annotations.as_ref();
        Self {
            meta: Meta::new(metadata),
            generation: metadata.generation.unwrap_or_default(),
            deployer: spec.deployer,
            owner: owner.map(|owner| owner.uid.clone()),
            rendered: annotations.and_then(|all| all.get(RENDERED)).cloned(),
            paused: annotations
                .and_then(|all| all.get(SUBSCRIPTION_PAUSED))
                .is_some_and(|value| value == "true"),
            parts: parts(spec).into(),
            others: spec.chart_raw.iter().map(|bytes| digest(&bytes.0)).collect(),
            content: String::new(),
            objects: Vec::new(),
            report: description.status.as_ref().map(Report::from).unwrap_or_default(),
        }
        .with(contents)
    }

    /// The same, where other Contents are known.
    pub(super) fn with(mut self, contents: &Table<ContentRecord>) -> Self {
        let (mut digests, mut objects) = (Vec::new(), Vec::new());
        for part in &*self.parts {
            let (digest, feed) = match part {
                Part::Here { digest, feed } => (digest.clone(), feed.clone()),
                Part::Apart(name) => match contents.get(name) {
                    Some(there) => (there.digest.clone(), there.feed.clone()),
                    None => (format!("missing {name}"), Feed::default()),
                },
            };
            digests.push(digest);
            objects.push(feed);
        }
        digests.extend(self.others.iter().cloned());
        (self.content, self.objects) = (placement::fingerprint::fingerprint(&digests), objects);
        self
    }

    /// The Contents it refers to.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &Name> {
        self.parts.iter().filter_map(|part| match part {
            Part::Apart(name) => Some(name),
            Part::Here { .. } => None,
        })
    }

    /// Whether an object or a chart of it is in the cluster.
    pub(crate) fn is_available(&self, feed: &Feed) -> bool {
        match self.deployer {
            Deployer::Generic => self.report.is_available(feed, self.is_applied()),
            // What a chart installs is not reported; that it is installed is.
            Deployer::Helm => self.is_applied() && self.objects.contains(feed),
        }
    }

    /// Whether everything in it has been applied as it is now.
    pub(crate) fn is_applied(&self) -> bool {
        let phase = || self.report.phase == Some(DescriptionPhase::Success);
        self.report.applied(self.generation).unwrap_or_else(phase)
    }
}

/// A digest of one object.
pub(crate) fn digest(json: &[u8]) -> String {
    placement::fingerprint::fingerprint(&String::from_utf8_lossy(json))
}

/// A digest of what is applied, where everything stands in the Description itself.
pub(crate) fn content(spec: &DescriptionSpec) -> String {
    let digests: Vec<String> = spec.raw.iter().chain(&spec.chart_raw).map(|bytes| digest(&bytes.0)).collect();
    placement::fingerprint::fingerprint(&digests)
}

/// What is in a Description: objects, or the values of charts.
fn parts(spec: &DescriptionSpec) -> Vec<Part> {
    let mut charts = spec.charts.iter().map(|it| chart(Some(it.namespace.clone()), &it.name));
    let raw = spec.raw.iter().map(|json| match spec.deployer {
        Deployer::Generic => (digest(&json.0), identity(&json.0)),
        Deployer::Helm => (digest(&json.0), charts.next()),
    });
    let mut parts: Vec<Part> =
        raw.map(|(digest, feed)| Part::Here { digest, feed: feed.unwrap_or_default() }).collect();
    for reference in &spec.contents {
        if let Some(part) = parts.get_mut(reference.place()) {
            *part = Part::Apart(Name::new(&reference.namespace, &reference.name));
        }
    }
    parts
}

/// A HelmChart as a feed.
fn chart(namespace: Option<String>, name: &str) -> Feed {
    Feed {
        kind: HelmChart::kind(&()).into_owned(),
        api_version: HelmChart::api_version(&()).into_owned(),
        namespace,
        name: name.to_owned(),
    }
}

/// Which object it is, as JSON.
pub(crate) fn identity(json: &[u8]) -> Option<Feed> {
    Feed::of(&mut serde_json::Deserializer::from_slice(json))
}

/// The feed, without an empty namespace.
pub(crate) fn normalised(feed: &Feed) -> Feed {
    feed.clone().normalised()
}

/// A Content, without the object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContentRecord {
    pub(crate) meta: Meta,
    /// The object by a digest.
    pub(crate) digest: String,
    /// Which object it is.
    pub(crate) feed: Feed,
}

impl From<&Content> for ContentRecord {
    fn from(content: &Content) -> Self {
        let raw = &content.spec.raw.0;
        Self {
            meta: Meta::new(&content.metadata),
            digest: digest(raw),
            feed: identity(raw).unwrap_or_default(),
        }
    }
}

/// What a feed is made of: a Manifest, or a HelmChart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FeedRecord {
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

impl From<&Manifest> for FeedRecord {
    fn from(manifest: &Manifest) -> Self {
        let text = manifest.template.to_string();
        let labels = manifest.template["metadata"]["labels"].as_object();
        let labels = labels.into_iter().flatten();
        Self {
            meta: Meta::new(&manifest.metadata),
            protection: manifest.annotations().get(FEED_PROTECTION).cloned(),
            feed: identity(text.as_bytes()),
            labels: labels
                .filter_map(|(key, value)| Some((key.clone(), Value::as_str(value)?.to_owned())))
                .collect(),
            digest: placement::fingerprint::fingerprint(&text),
            template: text.into_bytes().into(),
        }
    }
}

/// A HelmChart stands for itself, without the marks that are ours.
impl From<&HelmChart> for FeedRecord {
    fn from(chart: &HelmChart) -> Self {
        let mut labels = chart.labels().clone();
        labels.retain(|key, _| !is_uid(key));
        let text = placement::charts::template(chart).to_string();
        Self {
            meta: Meta::new(&chart.metadata),
            protection: chart.annotations().get(FEED_PROTECTION).cloned(),
            feed: Some(self::chart(chart.namespace(), &chart.name_any())),
            labels,
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
    pub(crate) rule: Arc<Rule>,
}

impl RuleRecord {
    fn new(metadata: &ObjectMeta, rule: Rule) -> Self {
        Self {
            meta: Meta::new(metadata),
            generation: metadata.generation.unwrap_or_default(),
            rule: Arc::new(rule),
        }
    }

    /// The feed it names.
    pub(crate) fn feed(&self) -> Option<Feed> {
        self.rule.feed().map(normalised)
    }
}

impl From<&Globalization> for RuleRecord {
    fn from(globalization: &Globalization) -> Self {
        Self::new(&globalization.metadata, Rule::from(globalization))
    }
}

impl From<&Localization> for RuleRecord {
    fn from(localization: &Localization) -> Self {
        Self::new(&localization.metadata, Rule::from(localization))
    }
}
