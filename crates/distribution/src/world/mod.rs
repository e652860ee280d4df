//! What the parent holds, in indexes: what an object depends on, and what depends on it.
//!
//! Nothing is decided here. Each change that is observed wakes whoever has to look again, and nobody else.

mod contents;
mod observe;
mod records;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use api::apps::Feed;
use parking_lot::Mutex;
use placement::{Cluster, overrides::Rule};

use contents::Contents;
pub(crate) use contents::Use;
pub(crate) use observe::Known;
pub(crate) use records::{
    BaseRecord, ClusterRecord, ContentRecord, DescriptionRecord, FeedRecord, Meta, RuleRecord,
    SubscriptionRecord, content, digest, identity, normalised,
};

use crate::{
    key::{Key, Name},
    outcome::Outcome,
    queue::Queue,
};

/// Reports of many clusters that come together are summed together.
const SUM_AFTER: Duration = Duration::from_millis(250);
/// So long a Content stays that nobody refers to any more: somebody may be about to.
const IDLE: Duration = Duration::from_mins(5);
/// How many uids of deleted objects are remembered.
const REMEMBERED: usize = 4_096;

type Table<R> = BTreeMap<Name, Arc<R>>;

/// The parent as it was observed. Cheap to look into; never locked while anything is waited for.
#[derive(Debug)]
pub(crate) struct World {
    inner: Mutex<Inner>,
    pub(crate) queue: Arc<Queue>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    subscriptions: Table<SubscriptionRecord>,
    subscription_of_uid: HashMap<String, Name>,
    clusters: Table<ClusterRecord>,
    /// All clusters as decisions take them, made when they are asked for.
    candidates: Option<Arc<[Cluster]>>,
    bases: Table<BaseRecord>,
    bases_of: HashMap<String, BTreeSet<Name>>,
    descriptions: Table<DescriptionRecord>,
    descriptions_of: HashMap<String, BTreeSet<Name>>,
    contents: Contents,
    manifests: Table<FeedRecord>,
    manifests_of: HashMap<Feed, BTreeSet<Name>>,
    charts: Table<FeedRecord>,
    globalizations: Table<RuleRecord>,
    localizations: Table<RuleRecord>,
    rules_for: HashMap<Feed, BTreeSet<Key>>,
    wanted_by_subscriptions: HashMap<Feed, BTreeSet<Name>>,
    wanted_by_bases: HashMap<Feed, BTreeSet<Name>>,
    /// What became of each Base, since this process began.
    outcomes: HashMap<Name, Arc<Outcome>>,
    /// Why a Subscription has no Base in a namespace.
    refusals: HashMap<(Name, String), String>,
    /// Of Globalizations and Localizations: why nobody knows what they are for, as people were told.
    told: HashMap<Name, String>,
    dead: Dead,
}

/// Objects that are gone, so that a late answer to a write does not bring them back.
#[derive(Debug, Default)]
struct Dead {
    uids: HashSet<String>,
    order: VecDeque<String>,
}

impl Dead {
    fn insert(&mut self, uid: &str) {
        if self.uids.insert(uid.to_owned()) {
            self.order.push_back(uid.to_owned());
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.uids.remove(&oldest);
            }
        }
    }
}

/// Whom a change wakes.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    now: Vec<(Key, i32)>,
    soon: Vec<Key>,
    later: Vec<Key>,
}

impl Wakes {
    fn now(&mut self, key: Key) {
        self.now.push((key, 0));
    }

    fn bases<'n>(&mut self, names: impl IntoIterator<Item = &'n Name>) {
        self.now.extend(names.into_iter().map(|name| (Key::Base(name.clone()), 0)));
    }
}

impl World {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { inner: Mutex::default(), queue }
    }

    /// An object as a watch shows it.
    pub(crate) fn observe<K: Known>(&self, object: K) {
        self.change(|inner, wakes| object.observe(inner, wakes));
    }

    /// An object as the answer to a write shows it, which may be late.
    pub(crate) fn written<K: Known>(&self, object: K) {
        self.change(|inner, wakes| {
            let uid = object.meta().uid.as_deref().unwrap_or_default();
            if !inner.dead.uids.contains(uid) {
                object.observe(inner, wakes);
            }
        });
    }

    /// An object is gone.
    pub(crate) fn gone<K: Known>(&self, object: &K) {
        self.change(|inner, wakes| {
            inner.dead.insert(object.meta().uid.as_deref().unwrap_or_default());
            K::gone(inner, &Name::of(object), wakes);
        });
    }

    /// A list is complete: what is not in it is gone.
    pub(crate) fn keep_only<K: Known>(&self, listed: &HashSet<Name>) {
        self.change(|inner, wakes| {
            for name in K::names(inner) {
                if !listed.contains(&name) {
                    K::gone(inner, &name, wakes);
                }
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Inner, &mut Wakes)) {
        let mut wakes = Wakes::default();
        change(&mut self.inner.lock(), &mut wakes);
        for (key, priority) in wakes.now {
            self.queue.wake(key, priority);
        }
        for key in wakes.soon {
            self.queue.wake_after(key, SUM_AFTER);
        }
        for key in wakes.later {
            self.queue.wake_after(key, IDLE);
        }
    }

    /// A Subscription.
    pub(crate) fn subscription(&self, name: &Name) -> Option<Arc<SubscriptionRecord>> {
        self.inner.lock().subscriptions.get(name).cloned()
    }

    /// The Subscription with this uid.
    pub(crate) fn subscription_of(&self, uid: &str) -> Option<Arc<SubscriptionRecord>> {
        let inner = self.inner.lock();
        inner.subscriptions.get(inner.subscription_of_uid.get(uid)?).cloned()
    }

    /// The Subscriptions that name a feed.
    pub(crate) fn subscriptions_with(&self, feed: &Feed) -> Vec<Arc<SubscriptionRecord>> {
        let inner = self.inner.lock();
        let names = inner.wanted_by_subscriptions.get(feed).into_iter().flatten();
        names.filter_map(|name| inner.subscriptions.get(name).cloned()).collect()
    }

    /// Every cluster.
    pub(crate) fn candidates(&self) -> Arc<[Cluster]> {
        let mut inner = self.inner.lock();
        if let Some(all) = &inner.candidates {
            return Arc::clone(all);
        }
        let all: Arc<[Cluster]> = inner.clusters.values().map(|record| record.cluster.clone()).collect();
        inner.candidates = Some(Arc::clone(&all));
        all
    }

    /// A cluster.
    pub(crate) fn cluster(&self, name: &Name) -> Option<Arc<ClusterRecord>> {
        self.inner.lock().clusters.get(name).cloned()
    }

    /// The cluster of a dedicated namespace: the one with this id, or the first where nobody says which.
    pub(crate) fn cluster_in(&self, namespace: &str, id: &str) -> Option<Arc<ClusterRecord>> {
        let inner = self.inner.lock();
        let mut all = inside(&inner.clusters, namespace).map(|(_, record)| record);
        all.find(|record| id.is_empty() || record.cluster.id == id).cloned()
    }

    /// A Base.
    pub(crate) fn base(&self, name: &Name) -> Option<Arc<BaseRecord>> {
        self.inner.lock().bases.get(name).cloned()
    }

    /// The Bases of a Subscription.
    pub(crate) fn bases_of(&self, uid: &str) -> Vec<Arc<BaseRecord>> {
        let inner = self.inner.lock();
        let names = inner.bases_of.get(uid).into_iter().flatten();
        names.filter_map(|name| inner.bases.get(name).cloned()).collect()
    }

    /// A Description.
    pub(crate) fn description(&self, name: &Name) -> Option<Arc<DescriptionRecord>> {
        self.inner.lock().descriptions.get(name).cloned()
    }

    /// Whether there are Descriptions of a Subscription.
    pub(crate) fn has_descriptions(&self, uid: &str) -> bool {
        self.inner.lock().descriptions_of.get(uid).is_some_and(|names| !names.is_empty())
    }

    /// A Content with an object of this digest. It stays for a while, whether or not it is referred to.
    pub(crate) fn content_with(&self, digest: &str) -> Option<Name> {
        self.inner.lock().contents.with(digest)
    }

    /// How much use there is for a Content. One that is of none is not handed out any more.
    pub(crate) fn use_of_content(&self, name: &Name) -> Use {
        self.inner.lock().contents.look(name)
    }

    /// A Manifest.
    pub(crate) fn manifest(&self, name: &Name) -> Option<Arc<FeedRecord>> {
        self.inner.lock().manifests.get(name).cloned()
    }

    /// A HelmChart.
    pub(crate) fn chart(&self, name: &Name) -> Option<Arc<FeedRecord>> {
        self.inner.lock().charts.get(name).cloned()
    }

    /// What a feed is made of. Of several Manifests, the one whose name is first: none is better than another.
    pub(crate) fn source_of(&self, feed: &Feed) -> Option<Arc<FeedRecord>> {
        self.inner.lock().sources_of(feed).next().cloned()
    }

    /// The API version under which there is a source of the same kind, namespace and name.
    pub(crate) fn other_version_of(&self, feed: &Feed) -> Option<String> {
        let inner = self.inner.lock();
        let same = |other: &&Feed| {
            (&other.kind, &other.namespace, &other.name) == (&feed.kind, &feed.namespace, &feed.name)
        };
        let charts = feed.is_chart().then(|| inner.charts.get(&chart_name(feed))?.feed.as_ref()).flatten();
        let others = inner.manifests_of.keys().filter(same).chain(charts);
        others.map(|other| other.api_version.clone()).min()
    }

    /// Whether what one of the feeds is made of is marked with the uid of a Subscription.
    pub(crate) fn are_marked(&self, feeds: &[Feed], uid: &str) -> bool {
        let inner = self.inner.lock();
        let mut sources = feeds.iter().flat_map(|feed| inner.sources_of(feed));
        sources.any(|source| source.meta.labels.contains_key(uid))
    }

    /// A Globalization (without a namespace) or Localization.
    pub(crate) fn rule(&self, name: &Name) -> Option<Arc<RuleRecord>> {
        let inner = self.inner.lock();
        let table = if name.namespace.is_empty() { &inner.globalizations } else { &inner.localizations };
        table.get(name).cloned()
    }

    /// All rules that may be for the cluster of a namespace.
    pub(crate) fn rules(&self, namespace: &str) -> Vec<Arc<Rule>> {
        let inner = self.inner.lock();
        let local = inside(&inner.localizations, namespace).map(|(_, record)| record);
        let all = inner.globalizations.values().chain(local);
        all.map(|record| Arc::clone(&record.rule)).collect()
    }

    /// What became of a Base.
    pub(crate) fn outcome(&self, base: &Name) -> Option<Arc<Outcome>> {
        self.inner.lock().outcomes.get(base).cloned()
    }

    /// Something became of a Base. Its Subscription is woken if that is news.
    pub(crate) fn set_outcome(&self, base: &BaseRecord, outcome: Outcome) {
        self.change(|inner, wakes| {
            if !inner.bases.contains_key(&base.meta.name) {
                return;
            }
            let outcome = Arc::new(outcome);
            let before = inner.outcomes.insert(base.meta.name.clone(), Arc::clone(&outcome));
            let is_news = before.is_none_or(|before| !before.problems().eq(outcome.problems()));
            let uid = base.meta.label(api::names::apps::labels::SUBSCRIPTION_UID);
            if let (true, Some(name)) = (is_news, inner.subscription_of_uid.get(uid)) {
                wakes.soon.push(Key::Subscription(name.clone()));
            }
        });
    }

    /// Why a Subscription has no Base in a namespace, or that nothing stands against it.
    pub(crate) fn set_refusal(&self, subscription: &Name, namespace: &str, why: Option<String>) {
        let mut inner = self.inner.lock();
        let key = (subscription.clone(), namespace.to_owned());
        match why {
            Some(why) => drop(inner.refusals.insert(key, why)),
            None => drop(inner.refusals.remove(&key)),
        }
    }

    pub(crate) fn refusal(&self, subscription: &Name, namespace: &str) -> Option<String> {
        self.inner.lock().refusals.get(&(subscription.clone(), namespace.to_owned())).cloned()
    }

    /// Whether people have yet to be told why nobody knows what a Globalization or Localization is for; nothing, if that is
    /// known. From now on they have been told.
    pub(crate) fn is_news(&self, rule: &Name, why: Option<&str>) -> bool {
        let mut inner = self.inner.lock();
        let Some(why) = why else {
            inner.told.remove(rule);
            return false;
        };
        inner.told.insert(rule.clone(), why.to_owned()).is_none_or(|told| told != why)
    }
}

impl Inner {
    /// What a feed is made of: Manifests, or one HelmChart.
    fn sources_of(&self, feed: &Feed) -> impl Iterator<Item = &Arc<FeedRecord>> {
        let chart = feed.is_chart().then(|| self.charts.get(&chart_name(feed))).flatten();
        let chart = chart.filter(|chart| chart.feed.as_ref() == Some(feed));
        let names = self.manifests_of.get(feed).filter(|_| !feed.is_chart()).into_iter().flatten();
        chart.into_iter().chain(names.filter_map(|name| self.manifests.get(name)))
    }
}

/// The name of the HelmChart that a feed is.
fn chart_name(feed: &Feed) -> Name {
    Name::new(feed.namespace().unwrap_or_default(), feed.name.clone())
}

/// The objects of a namespace.
fn inside<'t, R>(table: &'t Table<R>, namespace: &str) -> impl Iterator<Item = (&'t Name, &'t Arc<R>)> {
    let (first, namespace) = (Name::new(namespace, ""), namespace.to_owned());
    table.range(first..).take_while(move |(name, _)| name.namespace == namespace)
}
