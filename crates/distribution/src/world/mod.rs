//! What the parent holds, in indexes: what an object depends on, and what depends on it.
//!
//! Nothing is decided here. Each change that is observed wakes whoever has to look again, and nobody else.

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

pub(crate) use observe::Known;
pub(crate) use records::{
    BaseRecord, ClusterRecord, DescriptionRecord, ManifestRecord, Meta, RuleRecord, SubscriptionRecord,
    content, identity, normalised,
};

use crate::{
    key::{Key, Name},
    outcome::Outcome,
    queue::Queue,
};

/// Reports of many clusters that come together are summed together.
const SUM_AFTER: Duration = Duration::from_millis(500);
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
    manifests: Table<ManifestRecord>,
    manifests_of: HashMap<Feed, BTreeSet<Name>>,
    globalizations: Table<RuleRecord>,
    localizations: Table<RuleRecord>,
    rules_for: HashMap<Feed, BTreeSet<Key>>,
    wanted_by_subscriptions: HashMap<Feed, BTreeSet<Name>>,
    wanted_by_bases: HashMap<Feed, BTreeSet<Name>>,
    /// What became of each Base, since this process began.
    outcomes: HashMap<Name, Arc<Outcome>>,
    /// Why a Subscription has no Base in a namespace.
    refusals: HashMap<(Name, String), String>,
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

    /// A Manifest.
    pub(crate) fn manifest(&self, name: &Name) -> Option<Arc<ManifestRecord>> {
        self.inner.lock().manifests.get(name).cloned()
    }

    /// The Manifest of a feed. Of several, the one whose name is first: none is better than another.
    pub(crate) fn manifest_of(&self, feed: &Feed) -> Option<Arc<ManifestRecord>> {
        let inner = self.inner.lock();
        inner.manifests.get(inner.manifests_of.get(feed)?.first()?).cloned()
    }

    /// The API version under which there is a Manifest of the same kind, namespace and name.
    pub(crate) fn other_version_of(&self, feed: &Feed) -> Option<String> {
        let inner = self.inner.lock();
        let same = |other: &&Feed| {
            (&other.kind, &other.namespace, &other.name) == (&feed.kind, &feed.namespace, &feed.name)
        };
        inner.manifests_of.keys().filter(same).map(|other| other.api_version.clone()).min()
    }

    /// Whether one of the Manifests of feeds is marked with the uid of a Subscription.
    pub(crate) fn are_marked(&self, feeds: &[Feed], uid: &str) -> bool {
        let inner = self.inner.lock();
        let names = feeds.iter().filter_map(|feed| inner.manifests_of.get(feed)).flatten();
        let mut manifests = names.filter_map(|name| inner.manifests.get(name));
        manifests.any(|manifest| manifest.meta.labels.contains_key(uid))
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
        all.filter_map(|record| record.rule.as_ref().ok().cloned()).collect()
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
            let is_news = before.is_none_or(|before| before.problems != outcome.problems);
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
}

/// The objects of a namespace.
fn inside<'t, R>(table: &'t Table<R>, namespace: &str) -> impl Iterator<Item = (&'t Name, &'t Arc<R>)> {
    let (first, namespace) = (Name::new(namespace, ""), namespace.to_owned());
    table.range(first..).take_while(move |(name, _)| name.namespace == namespace)
}
