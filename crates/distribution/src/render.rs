//! From a Base's feeds to what its cluster gets. Pure.

use std::sync::Arc;

use api::apps::{ChartReference, Deployer, DescriptionSpec, Feed};
use k8s_openapi::ByteString;
use placement::{
    Cluster,
    fingerprint::fingerprint,
    overrides::{
        self, FeedFacts, LARGEST_DESCRIPTION as LARGEST, Limits, OverrideError, Rule, Skipped, in_order,
    },
};
use serde_json::Value;

use crate::{
    outcome::{Problem, Sort},
    world::{FeedRecord, identity},
};

/// A feed and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) feed: Feed,
    pub(crate) from: From,
}

/// Where a feed comes from.
#[derive(Debug, Clone)]
pub(crate) enum From {
    /// Its Manifest, or the HelmChart.
    There(Arc<FeedRecord>),
    /// There is none. `elsewhere`: the API version under which one of the same kind and name exists.
    Nowhere { elsewhere: Option<String> },
}

/// What one deployer of a cluster gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rendered {
    /// In the order of the feeds.
    pub(crate) spec: DescriptionSpec,
    pub(crate) problems: Vec<Problem>,
}

impl Rendered {
    fn nothing(deployer: Deployer) -> Self {
        Self { spec: nothing(deployer), problems: Vec::new() }
    }

    /// Whether nothing of it may be written.
    pub(crate) fn is_blocked(&self) -> bool {
        self.problems.iter().any(|problem| problem.sort.blocks())
    }
}

/// A digest of everything whose change is a reason to render again at once: the feeds, the overrides that are to be applied
/// now, what templates of overrides may know of the cluster, and whether large objects may be apart from the Description.
pub(crate) fn inputs(sources: &[Source], cluster: &Cluster, rules: &[Arc<Rule>], apart: bool) -> String {
    let mut uses_facts = false;
    let feeds: Vec<_> = sources
        .iter()
        .map(|Source { feed, from }| match from {
            From::There(manifest) => {
                let rules = rules_for(feed, manifest, cluster, rules);
                let templates = rules.iter().flat_map(|rule| &rule.overrides);
                uses_facts |= templates.into_iter().any(|config| config.template == Some(true));
                (feed, manifest.digest.as_str(), Some(Rule::at_once(&rules)))
            }
            From::Nowhere { .. } => (feed, "", None),
        })
        .collect();
    let facts = (&cluster.key.as_str(), &cluster.id, &cluster.labels, &cluster.annotations);
    fingerprint(&(feeds, uses_facts.then_some(facts), apart))
}

fn rules_for<'r>(
    feed: &Feed,
    manifest: &FeedRecord,
    cluster: &Cluster,
    rules: &'r [Arc<Rule>],
) -> Vec<&'r Rule> {
    let facts = FeedFacts { feed, labels: &manifest.labels };
    in_order(rules.iter().map(AsRef::as_ref), facts, cluster)
}

/// Renders for a deployer the feeds that are its own. `kept` is what the cluster has by now: of a feed that is gone it stays.
pub(crate) fn render(
    deployer: Deployer,
    sources: &[Source],
    cluster: &Cluster,
    rules: &[Arc<Rule>],
    kept: &DescriptionSpec,
    limits: &Limits,
) -> Rendered {
    let mut rendered = Rendered::nothing(deployer);
    for Source { feed, from } in sources {
        match from {
            From::There(source) => {
                let rules = rules_for(feed, source, cluster, rules);
                // It was JSON when it was kept.
                let template: Value = serde_json::from_slice(&source.template).unwrap_or_default();
                let result = match deployer {
                    Deployer::Generic => object(&mut rendered.spec, &template, cluster, &rules, limits),
                    Deployer::Helm => chart(&mut rendered.spec, feed, &template, cluster, &rules, limits),
                };
                rendered.problems.extend(problems(feed, result));
            }
            From::Nowhere { elsewhere } => {
                let stays = keep(&mut rendered.spec, kept, feed);
                rendered.problems.push(nowhere(feed, elsewhere.as_deref(), stays));
            }
        }
    }
    let DescriptionSpec { raw, chart_raw, .. } = &rendered.spec;
    if raw.iter().chain(chart_raw).map(|bytes| bytes.0.len()).sum::<usize>() > LARGEST {
        rendered.problems.push(Problem {
            sort: Sort::Whole,
            reason: String::from("TooLarge"),
            message: format!(
                "The feeds of a cluster are larger than {LARGEST} bytes together after overrides, more than one Description can \
                 hold; divide them between several Subscriptions."
            ),
        });
    }
    rendered
}

/// A Description in which nothing is.
pub(crate) fn nothing(deployer: Deployer) -> DescriptionSpec {
    DescriptionSpec { deployer, ..DescriptionSpec::generic(Vec::new()) }
}

fn object(
    spec: &mut DescriptionSpec,
    template: &Value,
    cluster: &Cluster,
    rules: &[&Rule],
    limits: &Limits,
) -> Result<Vec<Skipped>, OverrideError> {
    let result = overrides::object(template, cluster, rules, limits)?;
    spec.raw.push(ByteString(result.object.to_string().into_bytes()));
    Ok(result.skipped)
}

fn chart(
    spec: &mut DescriptionSpec,
    feed: &Feed,
    template: &Value,
    cluster: &Cluster,
    rules: &[&Rule],
    limits: &Limits,
) -> Result<Vec<Skipped>, OverrideError> {
    let result = overrides::chart(template, cluster, rules, limits)?;
    spec.raw.push(ByteString(result.values_raw()));
    spec.chart_raw.push(ByteString(result.chart.to_string().into_bytes()));
    spec.charts.push(reference(feed));
    Ok(result.skipped)
}

fn reference(feed: &Feed) -> ChartReference {
    ChartReference { namespace: feed.namespace().unwrap_or_default().to_owned(), name: feed.name.clone() }
}

/// What stands against a feed after its overrides.
fn problems(feed: &Feed, result: Result<Vec<Skipped>, OverrideError>) -> Vec<Problem> {
    match result {
        Ok(skipped) => skipped
            .iter()
            .map(|skipped| Problem {
                sort: Sort::Skipped,
                reason: skipped.0.problem.reason().to_owned(),
                message: format!("{} of {}: {skipped}", feed.kind, place(feed)),
            })
            .collect(),
        Err(error) => vec![Problem {
            sort: Sort::Override,
            reason: error.problem.reason().to_owned(),
            message: format!("{} {}: {error}", feed.kind, place(feed)),
        }],
    }
}

/// Takes over what the cluster has of a feed; whether it has anything of it.
fn keep(spec: &mut DescriptionSpec, kept: &DescriptionSpec, feed: &Feed) -> bool {
    if kept.deployer == Deployer::Generic {
        let found = kept.raw.iter().find(|json| identity(&json.0).as_ref() == Some(feed));
        spec.raw.extend(found.cloned());
        return found.is_some();
    }
    let Some(at) = kept.charts.iter().position(|chart| *chart == reference(feed)) else { return false };
    let (Some(values), Some(chart)) = (kept.raw.get(at), kept.chart_raw.get(at)) else { return false };
    spec.charts.push(kept.charts[at].clone());
    spec.raw.push(values.clone());
    spec.chart_raw.push(chart.clone());
    true
}

fn nowhere(feed: &Feed, elsewhere: Option<&str>, kept: bool) -> Problem {
    let (kind, api_version) = (cut(&feed.kind), cut(&feed.api_version));
    // Who reads reasons takes them for words, and a schema takes no long ones.
    let is_word = kind.len() <= KIND && kind.chars().all(|letter| letter.is_ascii_alphanumeric());
    let reason = format!("Nonexistent{}", if is_word { kind } else { "Feed" });
    let (among, remedy) = match elsewhere {
        Some(other) => ("", format!("there is one of {other}; correct apiVersion in spec.feeds")),
        None if feed.is_chart() => ("", String::from("create it in the parent: kubectl apply -f FILE")),
        None => (
            " among the Manifests",
            String::from("send it to the shadow API: kubectl clusterway apply -f FILE"),
        ),
    };
    let stays = if kept { " What runs of it stays as it is." } else { "" };
    Problem {
        sort: Sort::Feed,
        reason,
        message: format!("There is no {kind} {} of {api_version}{among}; {remedy}.{stays}", place(feed)),
    }
}

/// Namespace and name.
fn place(feed: &Feed) -> String {
    match feed.namespace() {
        Some(namespace) => format!("{}/{}", cut(namespace), cut(&feed.name)),
        None => cut(&feed.name).to_owned(),
    }
}

/// The longest kind that becomes a part of a reason.
const KIND: usize = 63;

/// What a feed says as far as it is repeated: nobody has looked at it, and a message that is too long is not taken.
fn cut(text: &str) -> &str {
    const SHOWN: usize = 253;
    text.char_indices().nth(SHOWN).map_or(text, |(end, _)| &text[..end])
}
