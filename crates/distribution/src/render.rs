//! From a Base's feeds to what its cluster gets. Pure.

use std::sync::Arc;

use api::apps::Feed;
use placement::{
    Cluster,
    fingerprint::fingerprint,
    overrides::{self, FeedFacts, Limits, Rule, in_order},
};
use serde_json::Value;

use crate::{
    outcome::{Problem, Sort},
    world::ManifestRecord,
};

/// What one Description may hold. In base64 it is a third more; etcd takes 1.5 MiB.
pub(crate) const LARGEST: usize = 1 << 20;

/// A feed and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) feed: Feed,
    pub(crate) from: From,
}

/// Where a feed comes from.
#[derive(Debug, Clone)]
pub(crate) enum From {
    /// Its Manifest.
    Manifest(Arc<ManifestRecord>),
    /// There is no Manifest. `elsewhere`: the API version under which one of the same kind and name exists.
    Nowhere { elsewhere: Option<String> },
    /// It is a HelmChart.
    Chart,
}

/// What a cluster gets.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rendered {
    /// The objects, JSON, in the order of the feeds.
    pub(crate) objects: Vec<Vec<u8>>,
    pub(crate) problems: Vec<Problem>,
}

impl Rendered {
    /// Whether nothing of it may be written.
    pub(crate) fn is_blocked(&self) -> bool {
        self.problems.iter().any(|problem| problem.sort.blocks())
    }
}

/// A digest of everything whose change is a reason to render again at once: the feeds, the overrides that are to be applied
/// now, and what templates of overrides may know of the cluster.
pub(crate) fn inputs(sources: &[Source], cluster: &Cluster, rules: &[Arc<Rule>]) -> String {
    let mut uses_facts = false;
    let feeds: Vec<_> = sources
        .iter()
        .map(|Source { feed, from }| match from {
            From::Manifest(manifest) => {
                let rules = rules_for(feed, manifest, cluster, rules);
                let templates = rules.iter().flat_map(|rule| &rule.overrides);
                uses_facts |= templates.into_iter().any(|config| config.template == Some(true));
                (feed, manifest.digest.as_str(), Some(Rule::at_once(&rules)))
            }
            From::Nowhere { .. } => (feed, "", None),
            From::Chart => (feed, "chart", None),
        })
        .collect();
    let facts = (&cluster.key.as_str(), &cluster.id, &cluster.labels, &cluster.annotations);
    fingerprint(&(feeds, uses_facts.then_some(facts)))
}

fn rules_for<'r>(
    feed: &Feed,
    manifest: &ManifestRecord,
    cluster: &Cluster,
    rules: &'r [Arc<Rule>],
) -> Vec<&'r Rule> {
    let facts = FeedFacts { feed, labels: &manifest.labels };
    in_order(rules.iter().map(AsRef::as_ref), facts, cluster)
}

/// Renders. `kept` is what the cluster has by now of a feed that has no Manifest any more: it stays.
pub(crate) fn render(
    sources: &[Source],
    cluster: &Cluster,
    rules: &[Arc<Rule>],
    kept: impl Fn(&Feed) -> Option<Vec<u8>>,
    limits: &Limits,
) -> Rendered {
    let mut rendered = Rendered::default();
    for Source { feed, from } in sources {
        match from {
            From::Manifest(manifest) => object(&mut rendered, feed, manifest, cluster, rules, limits),
            From::Chart => rendered.problems.push(chart(feed)),
            From::Nowhere { elsewhere } => {
                let kept = kept(feed);
                rendered.problems.push(nowhere(feed, elsewhere.as_deref(), kept.is_some()));
                rendered.objects.extend(kept);
            }
        }
    }
    if rendered.objects.iter().map(Vec::len).sum::<usize>() > LARGEST {
        rendered.problems.push(Problem {
            sort: Sort::Whole,
            reason: String::from("TooLarge"),
            message: format!(
                "The feeds are larger than {LARGEST} bytes together after overrides, more than one Description can \
                 hold; divide them between several Subscriptions."
            ),
        });
    }
    rendered
}

fn object(
    rendered: &mut Rendered,
    feed: &Feed,
    manifest: &ManifestRecord,
    cluster: &Cluster,
    rules: &[Arc<Rule>],
    limits: &Limits,
) {
    // It was JSON when it was kept.
    let template: Value = serde_json::from_slice(&manifest.template).unwrap_or_default();
    let result = overrides::object(&template, cluster, &rules_for(feed, manifest, cluster, rules), limits);
    match result {
        Ok(result) => {
            rendered.objects.push(result.object.to_string().into_bytes());
            rendered.problems.extend(result.skipped.iter().map(|skipped| Problem {
                sort: Sort::Skipped,
                reason: skipped.0.problem.reason().to_owned(),
                message: format!("{} of {}: {skipped}", feed.kind, place(feed)),
            }));
        }
        Err(error) => rendered.problems.push(Problem {
            sort: Sort::Override,
            reason: error.problem.reason().to_owned(),
            message: format!("{} {}: {error}", feed.kind, place(feed)),
        }),
    }
}

fn chart(feed: &Feed) -> Problem {
    Problem {
        sort: Sort::Feed,
        reason: String::from("ChartsNotDeployed"),
        message: format!("HelmChart {}: charts are not deployed yet; the other feeds are.", place(feed)),
    }
}

fn nowhere(feed: &Feed, elsewhere: Option<&str>, kept: bool) -> Problem {
    let Feed { kind, api_version, .. } = feed;
    let remedy = match elsewhere {
        Some(other) => format!("there is one of {other}; correct apiVersion in spec.feeds"),
        None => String::from("send it to the shadow API: kubectl clusterway apply -f FILE"),
    };
    let stays = if kept { " What runs of it stays as it is." } else { "" };
    Problem {
        sort: Sort::Feed,
        reason: format!("Nonexistent{kind}"),
        message: format!(
            "There is no {kind} {} of {api_version} among the Manifests; {remedy}.{stays}",
            place(feed)
        ),
    }
}

/// Namespace and name.
fn place(feed: &Feed) -> String {
    match feed.namespace() {
        Some(namespace) => format!("{namespace}/{}", feed.name),
        None => feed.name.clone(),
    }
}
