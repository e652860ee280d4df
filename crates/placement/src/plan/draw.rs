//! What a cluster gets of some feeds.

use std::collections::BTreeMap;

use api::apps::Feed;
use serde_json::Value;

use super::{charts::DrawnChart, sources::Sources};
use crate::{
    Cluster,
    fingerprint::fingerprint,
    overrides::{self, FeedFacts, LARGEST_DESCRIPTION, Limits, Provenance, Rule, Skipped, in_order},
};

/// An object as a cluster gets it.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) feed: Feed,
    pub(super) template: Value,
    pub(super) object: Value,
    pub(super) provenance: Provenance,
}

/// What a cluster gets.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    pub(super) objects: Vec<Drawn>,
    pub(super) charts: Vec<DrawnChart>,
    /// The bytes of all of it.
    size: usize,
    /// Another one when there is a reason to render again at once.
    pub(super) inputs: String,
    /// Another one when an override differs that waits.
    pub(super) waiting: String,
    /// Overrides that cannot be applied.
    pub(super) errors: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Why nothing of it may be written.
    pub(super) blocked: Option<String>,
}

/// Renders feeds for a cluster: objects, or HelmCharts.
pub(super) fn draw(
    sources: &Sources,
    rules: &[Rule],
    feeds: &[Feed],
    cluster: &Cluster,
    limits: &Limits,
) -> Drawing {
    let mut drawing = Drawing::default();
    let (mut inputs, mut waiting) = (Vec::new(), Vec::new());
    for feed in feeds {
        let Some(template) = sources.templates.get(feed) else {
            let among = if feed.is_chart() { "in the parent" } else { "among the templates" };
            drawing.notes.push(format!(
                "There is no {} {among}; what runs of it stays, the other feeds are deployed.",
                feed.key()
            ));
            inputs.push(fingerprint(&feed));
            continue;
        };
        let labels = labels(template);
        let rules = in_order(rules, FeedFacts { feed, labels: &labels }, cluster);
        inputs.push(fingerprint(&(feed, template, Rule::at_once(&rules))));
        let all: Vec<_> =
            rules.iter().map(|it| (&it.namespace, &it.name, it.priority, &it.overrides)).collect();
        waiting.push(fingerprint(&all));
        if feed.is_chart() {
            drawing.chart(feed, template, cluster, &rules, limits);
        } else {
            drawing.object(feed, template, cluster, &rules, limits);
        }
    }
    if drawing.size > LARGEST_DESCRIPTION {
        drawing.blocked = Some(String::from("the feeds are too large."));
        drawing.errors.push(format!(
            "{}: the feeds are larger than {LARGEST_DESCRIPTION} bytes together; divide them between several Subscriptions.",
            cluster.key
        ));
    }
    drawing.inputs = fingerprint(&inputs);
    drawing.waiting = fingerprint(&waiting);
    drawing
}

impl Drawing {
    fn object(&mut self, feed: &Feed, template: &Value, cluster: &Cluster, rules: &[&Rule], limits: &Limits) {
        match overrides::object(template, cluster, rules, limits) {
            Ok(rendered) => {
                self.skipped(feed, &rendered.skipped);
                self.size += rendered.object.to_string().len();
                self.objects.push(Drawn {
                    feed: feed.clone(),
                    template: template.clone(),
                    object: rendered.object,
                    provenance: rendered.provenance,
                });
            }
            Err(error) => self.refused(feed, &error),
        }
    }

    fn chart(&mut self, feed: &Feed, template: &Value, cluster: &Cluster, rules: &[&Rule], limits: &Limits) {
        match overrides::chart(template, cluster, rules, limits) {
            Ok(rendered) => {
                self.skipped(feed, &rendered.skipped);
                self.size += rendered.chart.to_string().len() + rendered.values_raw().len();
                match DrawnChart::new(feed, template, rendered) {
                    Some(chart) => self.charts.push(chart),
                    None => self.refused(
                        feed,
                        &format!(
                            "cluster {}: after its overrides it is no HelmChart any more; correct those with overrideChart.",
                            cluster.key
                        ),
                    ),
                }
            }
            Err(error) => self.refused(feed, &error),
        }
    }

    fn skipped(&mut self, feed: &Feed, skipped: &[Skipped]) {
        self.errors.extend(skipped.iter().map(|skipped| format!("{}: {skipped}", feed.key())));
    }

    fn refused(&mut self, feed: &Feed, why: &impl std::fmt::Display) {
        self.errors.push(format!("{}: {why}", feed.key()));
        self.blocked = Some(String::from("an override cannot be applied."));
    }
}

fn labels(template: &Value) -> BTreeMap<String, String> {
    let labels = template["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
