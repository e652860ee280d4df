//! Each kind's way into the indexes, and whom a change of it wakes.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use api::{
    apps::{
        Base, Content, Description, Feed, Globalization, HelmChart, Localization, Manifest, Subscription,
    },
    clusters::ManagedCluster,
    names::apps::labels::SUBSCRIPTION_UID,
};
use kube::Resource;
use kubeio::is_before;
use serde::de::DeserializeOwned;

use super::{
    BaseRecord, ClusterRecord, ContentRecord, DescriptionRecord, FeedRecord, Inner, Meta, RuleRecord,
    SubscriptionRecord, Table, Wakes, inside,
};
use crate::{
    description,
    key::{Key, Name},
    marks::is_uid,
};

/// A kind that is observed.
pub(crate) trait Known: Resource<DynamicType = ()> + DeserializeOwned {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes);
    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes);
    fn names(inner: &Inner) -> Vec<Name>;
}

/// Whatever is kept of an object.
trait Record {
    fn meta(&self) -> &Meta;
}

macro_rules! records {
    ($($record:ty),*) => { $(impl Record for $record {
        fn meta(&self) -> &Meta {
            &self.meta
        }
    })* };
}

records!(
    SubscriptionRecord,
    ClusterRecord,
    BaseRecord,
    DescriptionRecord,
    ContentRecord,
    FeedRecord,
    RuleRecord
);

/// A record, and what was in its place.
struct Change<R> {
    before: Option<Arc<R>>,
    now: Arc<R>,
}

/// Puts a record into its table; nothing if it is not newer than what is there.
fn put<R: Record>(table: &mut Table<R>, record: R) -> Option<Change<R>> {
    let name = record.meta().name.clone();
    if let Some(there) = table.get(&name)
        && there.meta().uid == record.meta().uid
    {
        let (known, new) = (&there.meta().resource_version, &record.meta().resource_version);
        if known == new || is_before(new, known) {
            return None;
        }
    }
    let now = Arc::new(record);
    let before = table.insert(name, Arc::clone(&now));
    Some(Change { before, now })
}

/// Moves a member of an index from some keys to others.
pub(super) fn reindex<K: Hash + Eq + Clone, V: Ord + Clone>(
    index: &mut HashMap<K, BTreeSet<V>>,
    member: &V,
    before: impl IntoIterator<Item = K>,
    now: impl IntoIterator<Item = K>,
) {
    for key in before {
        if let Some(members) = index.get_mut(&key) {
            members.remove(member);
            if members.is_empty() {
                index.remove(&key);
            }
        }
    }
    for key in now {
        index.entry(key).or_default().insert(member.clone());
    }
}

/// The key of an index, if there is one.
fn key(value: Option<&str>) -> Option<String> {
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

impl Known for Subscription {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let Some(Change { before, now }) = put(&mut inner.subscriptions, SubscriptionRecord::from(&self))
        else {
            return;
        };
        subscription_changed(inner, before.as_deref(), Some(&now), wakes);
        inner.subscription_of_uid.insert(now.meta.uid.clone(), now.meta.name.clone());
        let priority = now.spec.priority.unwrap_or(0);
        wakes.now.push((Key::Subscription(now.meta.name.clone()), priority));
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        let Some(before) = inner.subscriptions.remove(name) else { return };
        inner.subscription_of_uid.remove(&before.meta.uid);
        inner.refusals.retain(|(subscription, _), _| subscription != name);
        subscription_changed(inner, Some(&before), None, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.subscriptions.keys().cloned().collect()
    }
}

fn subscription_changed(
    inner: &mut Inner,
    before: Option<&SubscriptionRecord>,
    now: Option<&SubscriptionRecord>,
    wakes: &mut Wakes,
) {
    let name = |record: &SubscriptionRecord| record.meta.name.clone();
    let Some(name) = now.or(before).map(name) else { return };
    let feeds = |record: Option<&SubscriptionRecord>| {
        record.map(|record| record.spec.feeds.clone()).unwrap_or_default()
    };
    // What a Manifest is marked by.
    let marks = |record: &SubscriptionRecord| {
        (record.meta.uid.clone(), record.meta.deleting, record.meta.finalizers.clone())
    };
    if feeds(before) != feeds(now) || before.map(marks) != now.map(marks) {
        for feed in feeds(before).iter().chain(&feeds(now)) {
            wake_sources(inner, feed, wakes);
        }
    }
    let (old, new) = (feeds(before), feeds(now));
    reindex(&mut inner.wanted_by_subscriptions, &name, old, new);
    let bound = |record: &SubscriptionRecord| {
        (record.meta.deleting, record.paused, record.status.binding_clusters.clone())
    };
    if before.map(bound) != now.map(bound) {
        for uid in before.iter().chain(&now).map(|record| record.meta.uid.as_str()) {
            wakes.bases(inner.bases_of.get(uid).into_iter().flatten());
        }
    }
}

fn wake_sources(inner: &Inner, feed: &Feed, wakes: &mut Wakes) {
    let key = if feed.is_chart() { Key::HelmChart } else { Key::Manifest };
    inner.sources_of(feed).for_each(|source| wakes.now(key(source.meta.name.clone())));
}

impl Known for ManagedCluster {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let Some(Change { before, now }) = put(&mut inner.clusters, ClusterRecord::from(&self)) else {
            return;
        };
        cluster_changed(inner, before.as_deref(), Some(&now), wakes);
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        let before = inner.clusters.remove(name);
        cluster_changed(inner, before.as_deref(), None, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.clusters.keys().cloned().collect()
    }
}

fn cluster_changed(
    inner: &mut Inner,
    before: Option<&ClusterRecord>,
    now: Option<&ClusterRecord>,
    wakes: &mut Wakes,
) {
    let Some(namespace) = now.or(before).map(|record| record.meta.name.namespace.clone()) else { return };
    if before.map(|record| &record.cluster) != now.map(|record| &record.cluster) {
        inner.candidates = None;
        for (name, subscription) in &inner.subscriptions {
            wakes.now.push((Key::Subscription(name.clone()), subscription.spec.priority.unwrap_or(0)));
        }
        wakes.bases(inside(&inner.bases, &namespace).map(|(name, _)| name));
    }
    let reads = |record: &ClusterRecord| record.reads_contents;
    if before.map(reads) != now.map(reads) {
        wakes.bases(inside(&inner.bases, &namespace).map(|(name, _)| name));
    }
    if before.is_none_or(|record| record.lost) != now.is_none_or(|record| record.lost) {
        let leaving = inside(&inner.descriptions, &namespace).filter(|(_, record)| record.meta.deleting);
        leaving.for_each(|(name, _)| wakes.now(Key::Description(name.clone())));
    }
}

impl Known for Base {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let Some(Change { before, now }) = put(&mut inner.bases, BaseRecord::from(&self)) else { return };
        if before.as_ref().is_some_and(|before| before.meta.uid != now.meta.uid) {
            inner.outcomes.remove(&now.meta.name);
        }
        base_changed(inner, before.as_deref(), Some(&now), wakes);
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        let before = inner.bases.remove(name);
        inner.outcomes.remove(name);
        base_changed(inner, before.as_deref(), None, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.bases.keys().cloned().collect()
    }
}

fn base_changed(inner: &mut Inner, before: Option<&BaseRecord>, now: Option<&BaseRecord>, wakes: &mut Wakes) {
    let Some(name) = now.or(before).map(|record| record.meta.name.clone()) else { return };
    let feeds = |record: Option<&BaseRecord>| record.map(|it| it.feeds.to_vec()).unwrap_or_default();
    let (old, new) = (feeds(before), feeds(now));
    reindex(&mut inner.wanted_by_bases, &name, old, new);
    let subscription = |record: &BaseRecord| key(Some(record.meta.label(SUBSCRIPTION_UID)));
    let (old, new) = (before.and_then(subscription), now.and_then(subscription));
    // Many Bases are made at once; that one is gone somebody may wait for.
    wake_subscriptions(inner, [&old, &new], now.is_some(), wakes);
    reindex(&mut inner.bases_of, &name, old, new);
    wakes.now(Key::Base(name));
}

fn wake_subscriptions<'u>(
    inner: &Inner,
    uids: impl IntoIterator<Item = &'u Option<String>>,
    later: bool,
    wakes: &mut Wakes,
) {
    for uid in uids.into_iter().flatten() {
        let Some(name) = inner.subscription_of_uid.get(uid) else { continue };
        let key = Key::Subscription(name.clone());
        if later { wakes.soon.push(key) } else { wakes.now(key) }
    }
}

impl Known for Description {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let record = DescriptionRecord::new(&self, &inner.contents.table);
        let Some(Change { before, now }) = put(&mut inner.descriptions, record) else { return };
        description_changed(inner, before.as_deref(), Some(&now), wakes);
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        let before = inner.descriptions.remove(name);
        description_changed(inner, before.as_deref(), None, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.descriptions.keys().cloned().collect()
    }
}

fn description_changed(
    inner: &mut Inner,
    before: Option<&DescriptionRecord>,
    now: Option<&DescriptionRecord>,
    wakes: &mut Wakes,
) {
    let Some(name) = now.or(before).map(|record| record.meta.name.clone()) else { return };
    let subscription = |record: &DescriptionRecord| key(Some(record.meta.label(SUBSCRIPTION_UID)));
    let (old, new) = (before.and_then(subscription), now.and_then(subscription));
    // Its end is what the end of its Subscription waits for.
    wake_subscriptions(inner, [&old, &new], now.is_some(), wakes);
    reindex(&mut inner.descriptions_of, &name, old, new);
    // What the deployer reports is nothing to the Base.
    let written = |record: &DescriptionRecord| {
        (
            record.generation,
            record.meta.labels.clone(),
            record.rendered.clone(),
            record.owner.clone(),
            record.paused,
            record.meta.deleting,
        )
    };
    if before.map(written) != now.map(written) {
        wakes.bases(description::base_of(&name).as_ref());
    }
    let contents = |record: Option<&DescriptionRecord>| -> BTreeSet<Name> {
        record.into_iter().flat_map(DescriptionRecord::contents).cloned().collect()
    };
    inner.contents.refers(&name, &contents(before), &contents(now), wakes);
    if now.is_some_and(|record| record.meta.deleting) {
        wakes.now(Key::Description(name));
    }
}

impl Known for Content {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let Some(Change { now, .. }) = put(&mut inner.contents.table, ContentRecord::from(&self)) else {
            return;
        };
        inner.contents.came(&now);
        content_changed(inner, &now.meta.name, wakes);
        wakes.later.push(Key::Content(now.meta.name.clone()));
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        inner.contents.went(name);
        content_changed(inner, name, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.contents.table.keys().cloned().collect()
    }
}

/// The Descriptions that refer to a Content hold something else now.
fn content_changed(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
    for name in inner.contents.referring(name) {
        let Some(record) = inner.descriptions.get_mut(&name) else { continue };
        let now = DescriptionRecord::clone(record).with(&inner.contents.table);
        if now != **record {
            *record = Arc::new(now);
            wakes.bases(description::base_of(&name).as_ref());
        }
    }
}

impl Known for Manifest {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let Some(Change { before, now }) = put(&mut inner.manifests, FeedRecord::from(&self)) else {
            return;
        };
        manifest_changed(inner, before.as_deref(), Some(&now), wakes);
        wakes.now(Key::Manifest(now.meta.name.clone()));
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        let before = inner.manifests.remove(name);
        manifest_changed(inner, before.as_deref(), None, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.manifests.keys().cloned().collect()
    }
}

fn manifest_changed(
    inner: &mut Inner,
    before: Option<&FeedRecord>,
    now: Option<&FeedRecord>,
    wakes: &mut Wakes,
) {
    let Some(name) = now.or(before).map(|record| record.meta.name.clone()) else { return };
    let feed = |record: &FeedRecord| record.feed.clone();
    reindex(&mut inner.manifests_of, &name, before.and_then(feed), now.and_then(feed));
    source_changed(inner, before, now, wakes);
}

impl Known for HelmChart {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let Some(Change { before, now }) = put(&mut inner.charts, FeedRecord::from(&self)) else { return };
        source_changed(inner, before.as_deref(), Some(&now), wakes);
        wakes.now(Key::HelmChart(now.meta.name.clone()));
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        let before = inner.charts.remove(name);
        source_changed(inner, before.as_deref(), None, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.charts.keys().cloned().collect()
    }
}

fn source_changed(inner: &Inner, before: Option<&FeedRecord>, now: Option<&FeedRecord>, wakes: &mut Wakes) {
    let feed = |record: &FeedRecord| record.feed.clone();
    let (old, new) = (before.and_then(feed), now.and_then(feed));
    let content = |record: &FeedRecord| (record.meta.uid.clone(), record.digest.clone());
    if before.map(content) != now.map(content) {
        for feed in old.iter().chain(&new) {
            wakes.bases(inner.wanted_by_bases.get(feed).into_iter().flatten());
            let rules = inner.rules_for.get(feed).into_iter().flatten();
            rules.for_each(|key| wakes.now(key.clone()));
        }
    }
    // A Subscription that is going waits for its marks to go.
    let marks = before.into_iter().flat_map(|record| record.meta.labels.keys()).filter(|key| is_uid(key));
    let taken: Vec<Option<String>> = marks
        .filter(|uid| now.is_none_or(|record| !record.meta.labels.contains_key(*uid)))
        .map(|uid| Some(uid.clone()))
        .collect();
    wake_subscriptions(inner, &taken, false, wakes);
}

impl Known for Globalization {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let Some(Change { before, now }) = put(&mut inner.globalizations, RuleRecord::from(&self)) else {
            return;
        };
        rule_changed(inner, before.as_deref(), Some(&now), wakes);
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        let before = inner.globalizations.remove(name);
        rule_changed(inner, before.as_deref(), None, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.globalizations.keys().cloned().collect()
    }
}

impl Known for Localization {
    fn observe(self, inner: &mut Inner, wakes: &mut Wakes) {
        let Some(Change { before, now }) = put(&mut inner.localizations, RuleRecord::from(&self)) else {
            return;
        };
        rule_changed(inner, before.as_deref(), Some(&now), wakes);
    }

    fn gone(inner: &mut Inner, name: &Name, wakes: &mut Wakes) {
        let before = inner.localizations.remove(name);
        rule_changed(inner, before.as_deref(), None, wakes);
    }

    fn names(inner: &Inner) -> Vec<Name> {
        inner.localizations.keys().cloned().collect()
    }
}

fn rule_changed(inner: &mut Inner, before: Option<&RuleRecord>, now: Option<&RuleRecord>, wakes: &mut Wakes) {
    let Some(name) = now.or(before).map(|record| record.meta.name.clone()) else { return };
    let key = if name.namespace.is_empty() {
        Key::Globalization(name.clone())
    } else {
        Key::Localization(name.clone())
    };
    if now.is_none() {
        inner.told.remove(&name);
    }
    let content = |record: &RuleRecord| (record.meta.uid.clone(), record.generation, record.meta.deleting);
    if before.map(content) != now.map(content) {
        for record in before.into_iter().chain(now) {
            let here = |base: &&Name| name.namespace.is_empty() || base.namespace == name.namespace;
            match record.feed() {
                Some(feed) => {
                    wakes.bases(inner.wanted_by_bases.get(&feed).into_iter().flatten().filter(here));
                }
                None => wakes.bases(inner.bases.keys().filter(here)),
            }
        }
    }
    let feed = |record: &RuleRecord| record.feed();
    reindex(&mut inner.rules_for, &key, before.and_then(feed), now.and_then(feed));
    wakes.now(key);
}
