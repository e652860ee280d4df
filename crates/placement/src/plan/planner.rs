//! From what stands in the parent, and what would, to the changes.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    apps::{Base, Description, Feed, HelmReleaseSpec, Subscription},
    names::{
        apps::{
            annotations::{KUBECTL_LAST_APPLIED, LAST_APPLIED, OWNED_BY_DESCRIPTION},
            generic_description, helm_description,
            labels::SUBSCRIPTION_UID,
        },
        deployer::annotations::{APPLIED, PAUSED},
        labels::CLUSTER_ID,
    },
};
use kube::ResourceExt as _;
use serde_json::Value;

use super::{
    Action, Change, Field, Parent, Plan, Sources, charts,
    draw::{Drawing, Drawn, draw},
};
use crate::{
    Cluster, ClusterKey,
    diff::diff,
    overrides::{Limits, Rule},
    schedule::{self, Request},
};

/// Fields that are shown of one object.
const FIELDS: usize = 100;

/// Works a plan out.
pub(super) struct Planner<'p> {
    parent: &'p Parent,
    after: &'p Sources,
    scheduler: &'p str,
    limits: &'p Limits,
    clusters: Vec<Cluster>,
    paused: BTreeSet<ClusterKey>,
    /// By the uid of their Subscription, the newest at last.
    bases: BTreeMap<String, Vec<&'p Base>>,
    /// By namespace and name.
    descriptions: BTreeMap<(String, String), &'p Description>,
    /// Before and after.
    rules: [Vec<Rule>; 2],
    same_rules: bool,
    /// Feeds whose objects differ.
    changed: BTreeSet<&'p Feed>,
    /// By namespace of the cluster and Description: what is in it afterwards.
    held: BTreeMap<(String, String), BTreeSet<Feed>>,
    /// Deletions that another Description may prevent, with the Description they are from.
    leaving: Vec<(String, String, Change)>,
    plan: Plan,
}

/// What a Subscription has in a cluster.
struct Deployed<'p> {
    base: &'p Base,
    objects: BTreeMap<Feed, Value>,
    order: Vec<Feed>,
    charts: Vec<(Feed, HelmReleaseSpec)>,
}

impl<'p> Planner<'p> {
    pub(super) fn new(
        parent: &'p Parent,
        after: &'p Sources,
        scheduler: &'p str,
        limits: &'p Limits,
    ) -> Self {
        let (before_rules, wrong_before) = parent.sources.rules();
        let (after_rules, wrong) = after.rules();
        let templates = after.templates.iter();
        let changed = templates.filter(|(feed, object)| parent.sources.templates.get(*feed) != Some(object));
        let live = parent.descriptions.iter().filter(|it| it.metadata.deletion_timestamp.is_none());
        let descriptions: BTreeMap<_, _> =
            live.map(|it| ((it.namespace().unwrap_or_default(), it.name_any()), it)).collect();
        let held = descriptions
            .iter()
            .map(|(name, it)| (name.clone(), objects(it).1.into_iter().collect()))
            .collect();
        Self {
            parent,
            after,
            scheduler,
            limits,
            clusters: parent.clusters.iter().map(Cluster::from).collect(),
            paused: parent
                .clusters
                .iter()
                .filter(|it| is_paused(*it))
                .map(|it| Cluster::from(it).key)
                .collect(),
            rules: [before_rules, after_rules],
            same_rules: after.has_rules_of(&parent.sources),
            changed: changed.map(|(feed, _)| feed).collect(),
            bases: bases(&parent.bases),
            descriptions,
            held,
            leaving: Vec::new(),
            plan: Plan {
                errors: wrong.difference(&wrong_before).cloned().collect(),
                notes: wrong.intersection(&wrong_before).cloned().collect(),
                ..Plan::default()
            },
        }
    }

    pub(super) fn subscription(&mut self, name: &str, before: Option<&Subscription>, after: &Subscription) {
        let feeds: Vec<Feed> = after.spec.feeds.iter().cloned().map(Feed::normalised).collect();
        let same = before.is_some_and(|before| before.spec == after.spec);
        if same && self.same_rules && !feeds.iter().any(|feed| self.changed.contains(feed)) {
            return;
        }
        if after.metadata.deletion_timestamp.is_some() {
            return self
                .note(format!("Subscription {name} is being deleted: nothing more is deployed by it."));
        }
        if is_paused(after) {
            self.note(format!("Subscription {name} is paused: the changes wait until it is resumed."));
        }
        let mut there = self.deployed(after);
        let before: Vec<Feed> = before
            .map(|before| before.spec.feeds.iter().cloned().map(Feed::normalised).collect())
            .unwrap_or_default();
        let mut seen = BTreeSet::new();
        for key in self.bound(name, after) {
            let Some(cluster) = self.clusters.iter().find(|cluster| cluster.key == key).cloned() else {
                continue;
            };
            let namespace = key.namespace().to_owned();
            if seen.insert(namespace.clone()) {
                let deployed = there.remove(&namespace);
                self.cluster(name, &cluster, &before, &feeds, deployed.as_ref());
            }
        }
        for (namespace, deployed) in there {
            self.withdrawn(name, &namespace, &deployed);
        }
    }

    /// Where it would be bound.
    fn bound(&mut self, name: &str, subscription: &Subscription) -> Vec<ClusterKey> {
        let status = subscription.status.clone().unwrap_or_default();
        let bound: BTreeSet<ClusterKey> =
            status.binding_clusters.iter().filter_map(|key| ClusterKey::parse(key)).collect();
        let request = Request { spec: &subscription.spec, clusters: &self.clusters, bound: &bound };
        let decision = match schedule::scheduler(&subscription.spec, self.scheduler) {
            Ok(Some(scheduler)) => scheduler.schedule(&request),
            // Another scheduler's: it stays where that has bound it.
            Ok(None) => return bound.into_iter().collect(),
            Err(error) => Err(error),
        };
        match decision {
            Ok(decision) => {
                if !decision.scheduled() {
                    self.note(format!("Subscription {name}: {}", decision.message()));
                }
                decision.chosen.into_iter().map(|chosen| chosen.cluster).collect()
            }
            Err(error) => {
                self.plan
                    .errors
                    .push(format!("Subscription {name}: {error}. What runs stays where it runs."));
                bound.into_iter().collect()
            }
        }
    }

    /// What it has now, by the namespaces of the clusters.
    fn deployed(&self, subscription: &Subscription) -> BTreeMap<String, Deployed<'p>> {
        let Some(uid) = subscription.uid() else { return BTreeMap::new() };
        let mut found: BTreeMap<String, Deployed<'p>> = BTreeMap::new();
        for base in self.bases.get(&uid).into_iter().flatten() {
            let namespace = base.namespace().unwrap_or_default();
            let name = base.name_any();
            let find = |name: String| self.descriptions.get(&(namespace.clone(), name)).copied();
            let (objects, order) = find(generic_description(&name)).map(objects).unwrap_or_default();
            let charts = find(helm_description(&name)).map(charts::deployed).unwrap_or_default();
            // The newest is the one that is kept.
            found.insert(namespace, Deployed { base, objects, order, charts });
        }
        found
    }

    fn cluster(
        &mut self,
        subscription: &str,
        cluster: &Cluster,
        before: &[Feed],
        feeds: &[Feed],
        deployed: Option<&Deployed<'p>>,
    ) {
        // Each has a Description of its own, which is rendered for reasons of its own.
        for charts in [false, true] {
            let of = |feeds: &[Feed]| -> Vec<Feed> {
                feeds.iter().filter(|feed| feed.is_chart() == charts).cloned().collect()
            };
            self.description(subscription, cluster, [&of(before), &of(feeds)], deployed, charts);
        }
    }

    /// What becomes of one Description: that of the objects, or that of the charts.
    fn description(
        &mut self,
        subscription: &str,
        cluster: &Cluster,
        [before, feeds]: [&[Feed]; 2],
        deployed: Option<&Deployed<'p>>,
        charts: bool,
    ) {
        let old = draw(&self.parent.sources, &self.rules[0], before, cluster, self.limits);
        let new = draw(self.after, &self.rules[1], feeds, cluster, self.limits);
        if deployed.is_some() && old.inputs == new.inputs && old.waiting == new.waiting {
            return;
        }
        let waits = deployed.is_some() && old.inputs == new.inputs;
        for error in &new.errors {
            let known = old.errors.contains(error) && new.blocked.is_none();
            let list = if known { &mut self.plan.notes } else { &mut self.plan.errors };
            push(list, error.clone());
        }
        new.notes.iter().for_each(|note| self.note(note.clone()));
        if let Some(why) = &new.blocked {
            let what = if charts { "the charts" } else { "what" };
            return self
                .note(format!("{} keeps {what} it has of Subscription {subscription}: {why}", cluster.key));
        }
        if self.paused.contains(&cluster.key) {
            self.note(format!(
                "The cluster {} is paused: the changes wait until it is resumed.",
                cluster.key
            ));
        }
        let place = Place { cluster: cluster.key.to_string(), subscription: subscription.to_owned() };
        let changes = place.changes(&new, deployed, &old);
        if waits {
            return self.plan.waiting.extend(changes);
        }
        self.plan.changes.extend(changes);
        let Some(there) = deployed else { return };
        if charts {
            let gone = there.charts.iter().filter(|(feed, _)| !feeds.contains(feed));
            let gone = gone.map(|(feed, spec)| charts::change(&place, Action::Delete, feed, spec));
            return self.plan.changes.extend(gone);
        }
        let key = (cluster.key.namespace().to_owned(), generic_description(&there.base.name_any()));
        let wanted: BTreeSet<Feed> = feeds.iter().cloned().collect();
        for feed in there.order.iter().filter(|feed| !wanted.contains(*feed)) {
            self.leaving.push((key.0.clone(), key.1.clone(), place.change(Action::Delete, feed)));
        }
        self.held.insert(key, wanted);
    }

    /// Everything of it goes from a cluster.
    fn withdrawn(&mut self, subscription: &str, namespace: &str, there: &Deployed<'p>) {
        let id = there.base.labels().get(CLUSTER_ID);
        let here = |cluster: &&Cluster| {
            cluster.key.namespace() == namespace && id.is_none_or(|id| *id == cluster.id)
        };
        let cluster =
            self.clusters.iter().find(here).map_or_else(|| namespace.to_owned(), |it| it.key.to_string());
        let place = Place { cluster, subscription: subscription.to_owned() };
        let description = generic_description(&there.base.name_any());
        for feed in &there.order {
            self.leaving.push((
                namespace.to_owned(),
                description.clone(),
                place.change(Action::Delete, feed),
            ));
        }
        self.held.remove(&(namespace.to_owned(), description));
        let gone = there.charts.iter().map(|(feed, spec)| charts::change(&place, Action::Delete, feed, spec));
        self.plan.changes.extend(gone);
    }

    /// An object of the files that nothing deploys.
    pub(super) fn is_it_fed(&mut self, feed: &Feed) {
        let is_it = |other: &Feed| other.clone().normalised() == *feed;
        let subscriptions = self.after.subscriptions.values().flat_map(|it| &it.spec.feeds);
        let bases = self.parent.bases.iter().flat_map(|it| &it.spec.feeds);
        if !subscriptions.chain(bases).any(is_it) {
            self.note(format!(
                "{}: no Subscription has it in spec.feeds, so it is deployed nowhere.",
                feed.key()
            ));
        }
    }

    fn note(&mut self, text: String) {
        push(&mut self.plan.notes, text);
    }

    pub(super) fn finish(mut self) -> Plan {
        for (namespace, description, change) in std::mem::take(&mut self.leaving) {
            let mut others = self.held.range((namespace.clone(), String::new())..);
            let holder = others
                .by_ref()
                .take_while(|((at, _), _)| *at == namespace)
                .find(|((_, name), feeds)| *name != description && feeds.contains(&change.object));
            match holder.map(|((_, name), _)| name.clone()) {
                Some(name) => self.note(format!(
                    "{} stays in {}: the Description {namespace}/{name} has it, too.",
                    change.object.key(),
                    change.cluster
                )),
                None => self.plan.changes.push(change),
            }
        }
        // Stable: the order of the feeds stays.
        self.plan.changes.sort_by(|a, b| (&a.cluster, &a.subscription).cmp(&(&b.cluster, &b.subscription)));
        self.plan
    }
}

/// Where a change is.
pub(super) struct Place {
    cluster: String,
    subscription: String,
}

impl Place {
    pub(super) fn change(&self, action: Action, feed: &Feed) -> Change {
        Change {
            cluster: self.cluster.clone(),
            subscription: self.subscription.clone(),
            action,
            object: feed.clone(),
            release: None,
            fields: Vec::new(),
            omitted: 0,
        }
    }

    /// What becomes of what is rendered; `old` is what was rendered before.
    fn changes(&self, new: &Drawing, there: Option<&Deployed<'_>>, old: &Drawing) -> Vec<Change> {
        let objects = new.objects.iter().filter_map(|one| {
            let live = there.and_then(|there| there.objects.get(&one.feed));
            self.object(one, live, old.objects.iter().find(|old| old.feed == one.feed))
        });
        let charts = new.charts.iter().filter_map(|one| {
            let live = there.and_then(|there| there.charts.iter().find(|(feed, _)| *feed == one.feed));
            one.change(self, live.map(|(_, spec)| spec), old.charts.iter().find(|old| old.feed == one.feed))
        });
        objects.chain(charts).collect()
    }

    /// What becomes of one object; `old` is what was rendered of it before.
    fn object(&self, new: &Drawn, live: Option<&Value>, old: Option<&Drawn>) -> Option<Change> {
        let (action, from) = match live {
            Some(live) => (Action::Change, live),
            None => (Action::Create, &new.template),
        };
        let found = diff(&plain(from), &plain(&new.object), FIELDS);
        if live.is_some() && found.is_empty() {
            return None;
        }
        let overrides = |path: &str| {
            let by = new.provenance.of(path);
            let by =
                if by.is_empty() { old.map(|old| old.provenance.of(path)).unwrap_or_default() } else { by };
            by.into_iter().map(ToString::to_string).collect()
        };
        let mut change = self.change(action, &new.feed);
        change.omitted = found.omitted;
        change.fields = found
            .differences
            .into_iter()
            .map(|it| Field {
                overrides: overrides(&it.path),
                path: it.path,
                before: it.before,
                after: it.after,
            })
            .collect();
        Some(change)
    }
}

/// The object without the annotations that never get into a cluster, or are others there.
fn plain(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return object };
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        for key in [KUBECTL_LAST_APPLIED, LAST_APPLIED, OWNED_BY_DESCRIPTION, APPLIED] {
            annotations.remove(key);
        }
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    object
}

/// The live Bases of each Subscription, the oldest first.
fn bases(all: &[Base]) -> BTreeMap<String, Vec<&Base>> {
    let mut live: Vec<&Base> = all.iter().filter(|base| base.metadata.deletion_timestamp.is_none()).collect();
    live.sort_by_key(|base| (base.metadata.creation_timestamp.clone(), base.name_any()));
    let mut found: BTreeMap<String, Vec<&Base>> = BTreeMap::new();
    for base in live {
        if let Some(uid) = base.labels().get(SUBSCRIPTION_UID) {
            found.entry(uid.clone()).or_default().push(base);
        }
    }
    found
}

/// The objects of a Description, and their order.
fn objects(description: &Description) -> (BTreeMap<Feed, Value>, Vec<Feed>) {
    let raw = description.spec.raw.iter();
    let read: Vec<(Feed, Value)> = raw
        .filter_map(|bytes| {
            let object: Value = serde_json::from_slice(&bytes.0).ok()?;
            Some((Feed::of(&object)?, object))
        })
        .collect();
    let order = read.iter().map(|(feed, _)| feed.clone()).collect();
    (read.into_iter().collect(), order)
}

fn is_paused<K: kube::Resource>(object: &K) -> bool {
    object.meta().annotations.as_ref().and_then(|all| all.get(PAUSED)).is_some_and(|value| value == "true")
}

fn push(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}
