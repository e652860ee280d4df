//! How a Subscription stands, summed over its clusters (contract 1.4, 5.10). Pure.
//!
//! A Subscription of a thousand clusters has a status of a bounded size: then only clusters that are not fine have details.
//! The others are in their Descriptions.

use std::{collections::BTreeSet, sync::Arc};

use api::{
    apps::{
        AggregatedStatus, Deployer, Feed, FeedStatus, FeedStatusPerCluster, ReplicaStatus, SubscriptionStatus,
    },
    conditions::{self, Wanted},
    names::apps::conditions::{DEGRADED, FEEDS_FOUND, OVERRIDES_APPLIED, PROGRESSING, READY},
};
use jiff::Timestamp;

use crate::{
    description::deployer_of,
    outcome::{Outcome, Problem, Sort},
    report::Standing,
    world::{DescriptionRecord, SubscriptionRecord},
};

/// How many details a status has, over all feeds.
const DETAILS: usize = 500;
/// How many sentences a message has.
const SENTENCES: usize = 5;
/// What the schema allows for the name of a cluster.
const CLUSTER_NAME: usize = 30;

/// A bound cluster.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// `namespace/name`.
    pub(crate) cluster: String,
    pub(crate) id: Option<String>,
    /// Whether it has stopped reporting.
    pub(crate) lost: bool,
    /// What became of its Base; none where there is no Base yet.
    pub(crate) outcome: Option<Arc<Outcome>>,
    /// The Description of each deployer that has a feed; none where there is no Description yet.
    pub(crate) descriptions: Vec<(Deployer, Option<Arc<DescriptionRecord>>)>,
    /// Why it has no Base.
    pub(crate) refusal: Option<String>,
}

impl Place {
    fn standing(&self) -> Standing {
        if let Some(why) = &self.refusal {
            return Standing::Failed(format!("its Base cannot be written: {why}"));
        }
        let Some(outcome) = &self.outcome else {
            return Standing::Waiting(String::from("its Base is being made"));
        };
        let problem = outcome.problems().find(|problem| problem.sort.fails());
        match (self.reported(), problem) {
            // What is wrong with feeds and overrides has conditions of its own; what a cluster reports has none.
            (Standing::Failed(why), _) => Standing::Failed(why),
            (_, Some(problem)) => Standing::Failed(problem.reason.clone()),
            (reported, None) => reported,
        }
    }

    fn reported(&self) -> Standing {
        if self.lost {
            return Standing::Failed(String::from(
                "the cluster is not ready, what it has reported may be old",
            ));
        }
        let all = self.descriptions.iter().map(|(_, there)| of_description(there.as_deref()));
        // What will not get better by itself is told first.
        all.max_by_key(|standing| match standing {
            Standing::Fine => 0,
            Standing::Waiting(_) => 1,
            Standing::Failed(_) => 2,
        })
        .unwrap_or_else(|| of_description(None))
    }

    /// The Description that a feed is in.
    fn description_with(&self, feed: &Feed) -> Option<&DescriptionRecord> {
        let wanted = deployer_of(feed);
        let mut all = self.descriptions.iter();
        all.find(|(deployer, _)| *deployer == wanted)?.1.as_deref()
    }

    fn name(&self) -> &str {
        self.cluster.split_once('/').map_or("", |(_, name)| name)
    }
}

fn of_description(there: Option<&DescriptionRecord>) -> Standing {
    match there {
        Some(there) if there.meta.deleting => {
            Standing::Waiting(String::from("its Description is being deleted"))
        }
        Some(there) => there.report.standing(there.generation),
        None => Standing::Waiting(String::from("its Description is being made")),
    }
}

/// Sums into `status` what the clusters report. What stands against feeds and overrides, each once.
pub(crate) fn sum(
    subscription: &SubscriptionRecord,
    places: &[Place],
    status: &mut SubscriptionStatus,
    now: Timestamp,
) -> Vec<Problem> {
    let standings: Vec<Standing> = places.iter().map(Place::standing).collect();
    let fine = standings.iter().filter(|standing| **standing == Standing::Fine).count();
    status.completed_releases = i32::try_from(fine).unwrap_or(i32::MAX);
    let feeds = &subscription.spec.feeds;
    status.aggregated_statuses =
        feeds.iter().map(|feed| of_feed(feed, feeds.len(), places, &standings)).collect();
    let problems: BTreeSet<&Problem> = places
        .iter()
        .filter_map(|place| place.outcome.as_ref())
        .flat_map(|outcome| outcome.problems())
        .collect();
    let overall = Overall { subscription, places, standings: &standings, fine };
    for wanted in
        [found(&problems), overridden(&problems), overall.ready(), overall.progressing(), overall.degraded()]
    {
        let generation = Some(subscription.generation);
        conditions::set(&mut status.conditions, Wanted { generation, ..wanted }, now);
    }
    problems.into_iter().cloned().collect()
}

fn of_feed(feed: &Feed, feeds: usize, places: &[Place], standings: &[Standing]) -> AggregatedStatus {
    let everybody = places.len() * feeds <= DETAILS;
    let mut details = Vec::new();
    let mut all = FeedStatus { available: Some(!places.is_empty()), replica_status: None };
    for (place, standing) in places.iter().zip(standings) {
        let there = place.description_with(feed);
        let available = there.is_some_and(|there| there.is_available(feed));
        let replicas = there.and_then(|there| there.report.replicas(feed));
        all.available = all.available.map(|so_far| so_far && available);
        if let Some(replicas) = replicas {
            add(all.replica_status.get_or_insert_default(), replicas);
        }
        let told = everybody || (*standing != Standing::Fine && details.len() < DETAILS / feeds.max(1));
        if told {
            details.push(FeedStatusPerCluster {
                cluster_id: place.id.clone(),
                cluster_name: Some(place.name().to_owned()).filter(|name| name.len() <= CLUSTER_NAME),
                status: FeedStatus { available: Some(available), replica_status: replicas.cloned() },
            });
        }
    }
    AggregatedStatus { feed: feed.clone(), feed_status_summary: Some(all), feed_status_details: details }
}

/// Sums, and of generations the highest.
fn add(sum: &mut ReplicaStatus, one: &ReplicaStatus) {
    sum.observed_generation = sum.observed_generation.max(one.observed_generation);
    let pairs = [
        (&mut sum.replicas, one.replicas),
        (&mut sum.updated_replicas, one.updated_replicas),
        (&mut sum.current_replicas, one.current_replicas),
        (&mut sum.ready_replicas, one.ready_replicas),
        (&mut sum.available_replicas, one.available_replicas),
        (&mut sum.unavailable_replicas, one.unavailable_replicas),
        (&mut sum.active, one.active),
        (&mut sum.succeeded, one.succeeded),
        (&mut sum.failed, one.failed),
    ];
    for (sum, one) in pairs {
        if let Some(one) = one {
            *sum = Some(sum.unwrap_or(0).saturating_add(one));
        }
    }
}

/// Whether there is something for every feed.
fn found(problems: &BTreeSet<&Problem>) -> Wanted {
    let missing: Vec<&Problem> = problems.iter().copied().filter(|it| it.sort == Sort::Feed).collect();
    match missing.first() {
        None => condition(FEEDS_FOUND, true, "Found", "Every feed can be deployed."),
        Some(first) => condition(FEEDS_FOUND, false, &first.reason, &sentences(&missing)),
    }
}

/// Whether every override is applied.
fn overridden(problems: &BTreeSet<&Problem>) -> Wanted {
    let mut refused: Vec<&Problem> =
        problems.iter().copied().filter(|it| !matches!(it.sort, Sort::Feed)).collect();
    refused.sort_by_key(|problem| !problem.sort.blocks());
    match refused.first() {
        None => condition(OVERRIDES_APPLIED, true, "Applied", "Every override is applied."),
        Some(first) => condition(OVERRIDES_APPLIED, false, &first.reason, &sentences(&refused)),
    }
}

fn sentences(problems: &[&Problem]) -> String {
    let first: Vec<&str> = problems.iter().take(SENTENCES).map(|it| it.message.as_str()).collect();
    match problems.len().saturating_sub(SENTENCES) {
        0 => first.join(" "),
        more => format!("{} And {more} more.", first.join(" ")),
    }
}

fn condition(type_: &'static str, holds: bool, reason: &str, message: &str) -> Wanted {
    Wanted {
        type_,
        status: if holds { "True" } else { "False" },
        reason: reason.to_owned(),
        message: message.to_owned(),
        generation: None,
    }
}

struct Overall<'s> {
    subscription: &'s SubscriptionRecord,
    places: &'s [Place],
    standings: &'s [Standing],
    fine: usize,
}

impl Overall<'_> {
    /// `2 of 3 clusters have everything, and it is ready.`
    fn share(&self) -> String {
        let all = self.places.len();
        let clusters = if all == 1 { "cluster" } else { "clusters" };
        format!("{} of {all} {clusters} have everything, and it is ready.", self.fine)
    }

    fn ready(&self) -> Wanted {
        let share = self.share();
        if self.places.is_empty() {
            let message = "No cluster is chosen; the condition Scheduled tells why.";
            return condition(READY, false, "NotScheduled", message);
        }
        if self.fine == self.places.len() {
            return condition(READY, true, "Ready", &share);
        }
        condition(READY, false, "ClustersNotReady", &share)
    }

    fn progressing(&self) -> Wanted {
        let waiting = self.which(|standing| match standing {
            Standing::Waiting(why) => Some(why),
            _ => None,
        });
        match waiting {
            Some(waiting) => condition(PROGRESSING, true, "ClustersInProgress", &waiting),
            None => condition(PROGRESSING, false, "Settled", "No cluster is on the way to a newer state."),
        }
    }

    fn degraded(&self) -> Wanted {
        let failed = self.which(|standing| match standing {
            Standing::Failed(why) => Some(why),
            _ => None,
        });
        match failed {
            Some(failed) => condition(DEGRADED, true, "ClustersFailed", &failed),
            None if self.places.is_empty() && self.subscription.status.binding_clusters.is_empty() => {
                condition(DEGRADED, false, "NotScheduled", "There is no cluster that could be degraded.")
            }
            None => condition(DEGRADED, false, "AsExpected", "No cluster reports a failure."),
        }
    }

    /// The clusters that something is said of.
    fn which(&self, said: impl Fn(&Standing) -> Option<&String>) -> Option<String> {
        let all: Vec<String> = self
            .places
            .iter()
            .zip(self.standings)
            .filter_map(|(place, standing)| Some(format!("{}: {}", place.cluster, said(standing)?)))
            .collect();
        listed(&all)
    }
}

/// Words about several clusters, in a sentence of which only the first are named; nothing if there are none.
fn listed(all: &[String]) -> Option<String> {
    all.first()?;
    let shown = all.iter().take(SENTENCES).map(|one| one.trim_end_matches('.'));
    let shown = shown.collect::<Vec<_>>().join("; ");
    Some(match all.len().saturating_sub(SENTENCES) {
        0 => format!("{shown}."),
        more => format!("{shown}; and {more} more."),
    })
}

/// Says what a Subscription that is being deleted waits for, if it is more than that the clusters take their time. `clusters`
/// are those that hold on to something, each with why.
pub(crate) fn withdrawing(
    subscription: &SubscriptionRecord,
    clusters: &[String],
    status: &mut SubscriptionStatus,
    now: Timestamp,
) {
    let Some(clusters) = listed(clusters) else { return };
    let message = format!("It goes when every cluster has let go of what it got. {clusters}");
    let generation = Some(subscription.generation);
    let wanted = Wanted { generation, ..condition(PROGRESSING, true, "Withdrawing", &message) };
    conditions::set(&mut status.conditions, wanted, now);
}
