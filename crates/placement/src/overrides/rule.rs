//! Globalizations and Localizations made ready, and which of them are for a feed in a cluster.

use std::collections::BTreeMap;

use api::apps::{Changes, Feed, Globalization, Localization, OverrideConfig, OverridePolicy, OverrideType};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector as Selector, ObjectMeta, Time};
use meta::LabelSelector;
use serde::Serialize;

use super::error::{NAME, OverrideRef};
use crate::{Cluster, schedule::selector, text};

/// A Globalization or Localization.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The namespace of a Localization, which is that of its cluster.
    pub namespace: Option<String>,
    /// The name of the object.
    pub name: String,
    /// Low ones are applied first.
    pub priority: i32,
    /// When a change of it takes effect.
    pub policy: OverridePolicy,
    /// The changes.
    pub overrides: Vec<OverrideConfig>,
    created: Option<Time>,
    deleting: bool,
    feeds: Result<Feeds, InvalidRuleError>,
    clusters: Result<LabelSelector, InvalidRuleError>,
}

/// The feeds a rule is for.
#[derive(Debug, Clone)]
enum Feeds {
    Named(Feed),
    Selected(LabelSelector),
}

/// What rules may know of a feed.
#[derive(Debug, Clone, Copy)]
pub struct FeedFacts<'f> {
    /// Which it is.
    pub feed: &'f Feed,
    /// The labels of the object, or of the HelmChart.
    pub labels: &'f BTreeMap<String, String>,
}

/// A selector of a rule is none. Until it is corrected nobody knows what the rule is for, so what it may be for is not
/// rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: expected {expected}")]
pub struct InvalidRuleError {
    /// The field, below spec.
    pub field: String,
    /// What should stand there.
    pub expected: &'static str,
}

impl From<&Globalization> for Rule {
    fn from(from: &Globalization) -> Self {
        let clusters = ready("clusterAffinity", from.spec.cluster_affinity.as_ref());
        Self::new(&from.metadata, None, clusters, &from.spec.changes)
    }
}

impl From<&Localization> for Rule {
    fn from(from: &Localization) -> Self {
        let namespace = from.metadata.namespace.clone().unwrap_or_default();
        Self::new(&from.metadata, Some(namespace), Ok(LabelSelector::default()), &from.spec.changes)
    }
}

/// A selector, which selects everything where there is none.
fn ready(field: &str, from: Option<&Selector>) -> Result<LabelSelector, InvalidRuleError> {
    let Some(from) = from else { return Ok(LabelSelector::default()) };
    selector(from).map_err(|error| InvalidRuleError {
        field: text::cut(&format!("{field}.{}", error.field), NAME),
        expected: error.expected,
    })
}

impl Rule {
    fn new(
        metadata: &ObjectMeta,
        namespace: Option<String>,
        clusters: Result<LabelSelector, InvalidRuleError>,
        changes: &Changes,
    ) -> Self {
        let feeds = match &changes.feed {
            Some(feed) => Ok(Feeds::Named(feed.clone())),
            None => ready("feedSelector", changes.feed_selector.as_ref()).map(Feeds::Selected),
        };
        Self {
            namespace,
            name: metadata.name.clone().unwrap_or_default(),
            priority: changes.priority,
            policy: changes.override_policy,
            overrides: changes.overrides.clone(),
            created: metadata.creation_timestamp.clone(),
            deleting: metadata.deletion_timestamp.is_some(),
            feeds,
            clusters,
        }
    }

    /// The first selector that is none.
    pub fn problem(&self) -> Option<&InvalidRuleError> {
        self.clusters.as_ref().err().or_else(|| self.feeds.as_ref().err())
    }

    /// Whether it is for this feed in this cluster, or may be: a selector that is none leaves nothing out. One that is being
    /// deleted is for nothing.
    pub fn applies(&self, feed: FeedFacts<'_>, cluster: &Cluster) -> bool {
        let place = self.namespace.as_deref().is_none_or(|namespace| namespace == cluster.key.namespace());
        let what = match &self.feeds {
            Err(_) => true,
            Ok(Feeds::Named(named)) => {
                (&named.kind, &named.api_version, named.namespace(), &named.name)
                    == (&feed.feed.kind, &feed.feed.api_version, feed.feed.namespace(), &feed.feed.name)
            }
            Ok(Feeds::Selected(selector)) => selector.matches(feed.labels),
        };
        let here = self.clusters.as_ref().map_or(true, |selector| selector.matches(&cluster.labels));
        !self.deleting && place && what && here
    }

    /// The feed it names, if it names one.
    pub fn feed(&self) -> Option<&Feed> {
        match &self.feeds {
            Ok(Feeds::Named(feed)) => Some(feed),
            Ok(Feeds::Selected(_)) | Err(_) => None,
        }
    }

    /// What decides whether a feed is rendered again at once: everything of the rules whose policy is `ApplyNow`, and
    /// nothing of the others, which wait for another reason; of every rule, that a selector of it is none. For
    /// [`fingerprint`](crate::fingerprint::fingerprint).
    pub fn at_once<'r>(rules: &[&'r Rule]) -> Vec<impl Serialize + use<'r>> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Reason<'r> {
            Change(&'r Option<String>, &'r str, i32, &'r [OverrideConfig]),
            Problem(&'r Option<String>, &'r str, String),
        }
        let reason = |rule: &&'r Rule| match rule.problem() {
            Some(problem) => Some(Reason::Problem(&rule.namespace, &rule.name, problem.to_string())),
            None if rule.policy == OverridePolicy::ApplyNow => {
                Some(Reason::Change(&rule.namespace, &rule.name, rule.priority, &rule.overrides))
            }
            None => None,
        };
        rules.iter().filter_map(reason).collect()
    }

    /// The overrides for a sort of feed, each with its name for messages. A rule that names no feed is for the sort its
    /// types are made for.
    pub(super) fn overrides_for(&self, chart: bool) -> impl Iterator<Item = (OverrideRef, &OverrideConfig)> {
        let named = matches!(self.feeds, Ok(Feeds::Named(_)));
        let meant = move |config: &OverrideConfig| named || chart == (config.type_ == OverrideType::Helm);
        self.overrides.iter().enumerate().filter(move |(_, config)| meant(config)).map(|(index, config)| {
            let name = config.name.clone();
            (OverrideRef { index: Some(index), name, ..self.reference() }, config)
        })
    }

    /// The rule as a whole, for messages.
    pub(super) fn reference(&self) -> OverrideRef {
        OverrideRef {
            kind: if self.namespace.is_some() { "Localization" } else { "Globalization" },
            namespace: self.namespace.clone(),
            object: self.name.clone(),
            index: None,
            name: None,
        }
    }
}

/// The rules for a feed in a cluster, in the order in which they are applied.
pub fn in_order<'r>(
    rules: impl IntoIterator<Item = &'r Rule>,
    feed: FeedFacts<'_>,
    cluster: &Cluster,
) -> Vec<&'r Rule> {
    let mut rules: Vec<&Rule> = rules.into_iter().filter(|rule| rule.applies(feed, cluster)).collect();
    // What is not created yet, as in a plan, is the newest.
    rules.sort_by(|a, b| {
        let key = |rule: &'r Rule| (rule.namespace.is_some(), rule.priority, rule.created.is_none());
        key(a).cmp(&key(b)).then_with(|| (&a.created, &a.name).cmp(&(&b.created, &b.name)))
    });
    rules
}
