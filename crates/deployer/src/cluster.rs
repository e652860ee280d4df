//! What is known of one cluster: its Descriptions, what was seen of their objects, and what has to be looked at.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use api::{apps::Description, names::deployer::reasons};
use kube::ResourceExt as _;
use parking_lot::Mutex;
use placement::diff::Difference;
use serde_json::Value;
use tokio::{sync::Notify, time::Instant};

use crate::{
    Options,
    book::{Book, Entry},
    brake::Brake,
    child::{Child, Kind},
    counters::Counters,
    item::{Item, Key},
    judge::{Verdict, judge},
    parent::Parent,
    status::Seen,
    trouble::Trouble,
};

/// Status changes that come together are written together: the first ones soon, those of a long rollout once a second.
const GATHER: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// After so long without a change the next one is a first one.
const QUIET: Duration = Duration::from_secs(10);
/// What passes by itself within this time is not told of what is deployed: a hub that begins anew has no tunnels yet, and
/// would write to everything twice.
const MAY_PASS: Duration = Duration::from_secs(20);
/// Corrections of one object within a minute; whoever changes it more often is not followed at once.
const CORRECTIONS: usize = 5;
const MINUTE: Duration = Duration::from_mins(1);

/// One cluster.
pub(crate) struct Cluster {
    /// For people.
    pub(crate) name: String,
    /// The dedicated namespace in the parent.
    pub(crate) namespace: String,
    pub(crate) child: Child,
    pub(crate) parent: Arc<dyn Parent>,
    pub(crate) options: Options,
    pub(crate) counters: Counters,
    pub(crate) state: Mutex<State>,
    /// Wakes the worker.
    pub(crate) changed: Notify,
}

/// What is known.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) book: Book,
    /// Whether all Descriptions have been read once: before that, absence means nothing.
    pub(crate) complete: bool,
    pub(crate) tracked: HashMap<Key, Tracked>,
    /// By Description: what is in the way of its objects.
    pub(crate) runs: BTreeMap<String, Run>,
    pub(crate) brake: Brake,
    /// Why nothing is changed in the cluster at the moment.
    pub(crate) halted: Option<Trouble>,
    pub(crate) due: BTreeMap<String, Due>,
    /// Kinds whose objects are followed: what changes is heard of.
    pub(crate) followed: BTreeSet<Kind>,
    /// Whether other kinds are in use than when it was asked last.
    pub(crate) other_kinds: bool,
}

/// How the work on one Description stands.
#[derive(Default)]
pub(crate) struct Run {
    /// The generation all of which was looked at.
    pub(crate) finished: Option<i64>,
    pub(crate) troubles: BTreeMap<Key, Trouble>,
    /// Since when nothing but what may pass by itself has been in the way.
    pub(crate) waiting: Option<Instant>,
    /// When its status was written last, and how long the next one waits for more.
    told: Option<(Instant, Duration)>,
}

/// What is known of one object.
#[derive(Default)]
pub(crate) struct Tracked {
    pub(crate) kind: Option<Kind>,
    /// What was found or brought there last; nothing if that is not certain any more.
    pub(crate) settled: Option<Settled>,
    /// Differences that turned out to be none: the server writes something in another way.
    pub(crate) accepted: Vec<Difference>,
    pub(crate) seen: Option<Seen>,
    /// When changes made in the cluster were taken back.
    pub(crate) corrected: VecDeque<Instant>,
}

/// What an object is there as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) digest: String,
    /// The Description that looks after it.
    pub(crate) keeper: String,
}

/// What has to be looked at of one Description, and not before when.
pub(crate) struct Due {
    pub(crate) at: Instant,
    pub(crate) work: Work,
}

/// What has to be looked at. Its status is in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) all: bool,
    pub(crate) keys: BTreeSet<Key>,
}

impl Work {
    pub(crate) fn all() -> Self {
        Self { all: true, keys: BTreeSet::new() }
    }

    pub(crate) fn one(key: Key) -> Self {
        Self { all: false, keys: [key].into() }
    }
}

impl Run {
    /// Whether what is in the way may pass before anybody needs to hear of it.
    pub(crate) fn may_pass(&mut self, troubles: &[Trouble], now: Instant) -> bool {
        if troubles.is_empty() || troubles.iter().any(|trouble| !trouble.passing) {
            self.waiting = None;
            return false;
        }
        now.duration_since(*self.waiting.get_or_insert(now)) < MAY_PASS
    }

    /// How long a change of the status waits for others.
    fn gathers(&self, now: Instant) -> Duration {
        let lately = self.told.filter(|(when, _)| now.duration_since(*when) < QUIET);
        lately.map_or(GATHER[0], |(_, wait)| wait)
    }

    /// The status is written now.
    pub(crate) fn tells(&mut self, now: Instant) {
        let lately = self.told.is_some_and(|(when, _)| now.duration_since(when) < QUIET);
        let wait = if lately { self.gathers(now) * 2 } else { GATHER[0] };
        self.told = Some((now, wait.min(GATHER[1])));
    }
}

impl Cluster {
    pub(crate) fn new(
        name: String,
        namespace: String,
        child: Child,
        parent: Arc<dyn Parent>,
        options: Options,
        counters: Counters,
    ) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Notify::new());
        Arc::new(Self { name, namespace, child, parent, options, counters, state, changed })
    }

    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        self.state.lock().book.get(name).cloned()
    }

    /// A Description is so now.
    pub(crate) fn put(&self, mut description: Description) {
        description.metadata.managed_fields = None;
        let mut state = self.state.lock();
        let name = description.name_any();
        if state
            .book
            .get(&name)
            .is_some_and(|known| known.description.metadata.uid != description.metadata.uid)
        {
            state.runs.remove(&name);
        }
        let concerned = state.book.put(description, self.options.objects_per_description);
        for name in concerned {
            state.look(&name, Work::all(), Duration::ZERO);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A Description is `now` so after a write of ours, which was `before`. If something newer was heard of meanwhile, that
    /// counts: it is not told again.
    pub(crate) fn answered(&self, before: &Description, now: Description) {
        let version = |description: &Description| description.metadata.resource_version.clone();
        let current = self.state.lock().book.get(&now.name_any()).map(|entry| version(&entry.description));
        if current == Some(version(before)) {
            self.put(now);
        }
    }

    /// A Description is gone.
    pub(crate) fn gone(&self, name: &str) {
        let mut state = self.state.lock();
        let concerned = state.book.remove(name);
        state.runs.remove(name);
        state.due.remove(name);
        for name in concerned {
            state.look(&name, Work::all(), Duration::ZERO);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A list has shown all Descriptions.
    pub(crate) fn listed(&self, shown: &BTreeSet<String>) {
        let gone: Vec<String> = {
            let state = self.state.lock();
            state.book.names().filter(|name| !shown.contains(*name)).cloned().collect()
        };
        for name in gone {
            self.gone(&name);
        }
        self.state.lock().complete = true;
        self.changed.notify_one();
    }

    /// Nothing is changed in the cluster from now on, or everything is looked at again.
    pub(crate) fn halt(&self, why: Option<Trouble>) {
        let mut state = self.state.lock();
        if state.halted == why {
            return;
        }
        state.halted = why;
        state.look_at_all();
        drop(state);
        self.changed.notify_one();
    }

    /// Everything that waits for another try is tried now: the way to the cluster has opened.
    pub(crate) fn try_now(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        for due in state.due.values_mut() {
            due.at = due.at.min(now);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// An object is so in the cluster, or is not there any more.
    pub(crate) fn observe(&self, key: &Key, object: Option<&Value>) {
        let recovery = self.options.recovery;
        let mut state = self.state.lock();
        let State { book, tracked, .. } = &mut *state;
        let Some(known) = tracked.get_mut(key) else { return };
        let seen = object.map(Seen::of);
        let is_news = known.seen.as_ref().map(|seen| &seen.resource_version)
            != seen.as_ref().map(|seen| &seen.resource_version);
        if !is_news {
            return;
        }
        let shown =
            |seen: &Option<Seen>| seen.as_ref().map(|seen| (seen.status.clone(), seen.health.clone()));
        let shows = shown(&known.seen) != shown(&seen);
        known.seen = seen;
        let wanting: Vec<String> = book.wanting(key).cloned().collect();
        let work = book.keeper(key).and_then(|(entry, item)| {
            let owner = api::names::apps::owned_by_description(&self.namespace, &entry.name());
            let fine = match object {
                None => !recovery,
                Some(object) => judge(item, Some(object), &owner, recovery, &known.accepted) == Verdict::Fine,
            };
            (!fine && known.settled.is_some()).then(|| entry.name())
        });
        if let Some(keeper) = work {
            state.look(&keeper, Work::one(key.clone()), Duration::ZERO);
        }
        if shows {
            for name in wanting {
                let wait = state.runs.entry(name.clone()).or_default().gathers(Instant::now());
                state.look(&name, Work::default(), wait);
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Whether an object is not looked after, or known in this state.
    pub(crate) fn is_known(&self, key: &Key, resource_version: &str) -> bool {
        let state = self.state.lock();
        let Some(known) = state.tracked.get(key) else { return true };
        known.seen.as_ref().is_some_and(|seen| seen.resource_version == resource_version)
    }

    /// The objects of a kind that were seen.
    pub(crate) fn seen_of(&self, kind: &Kind) -> Vec<Key> {
        let state = self.state.lock();
        let of = state
            .tracked
            .iter()
            .filter(|(_, known)| known.kind.as_ref() == Some(kind) && known.seen.is_some());
        of.map(|(key, _)| key.clone()).collect()
    }

    /// The kinds of all objects that are looked after, if they are others than when it was asked last.
    pub(crate) fn other_kinds(&self) -> Option<BTreeSet<Kind>> {
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.other_kinds) {
            return None;
        }
        let kinds =
            state.tracked.values().filter_map(|known| known.kind.clone()).filter(|kind| kind.watchable);
        Some(kinds.collect())
    }

    /// Whether a Description has objects whose changes are not heard of.
    pub(crate) fn has_unfollowed(&self, name: &str) -> bool {
        let state = self.state.lock();
        let items = state.book.get(name).map(|entry| &entry.items.items[..]).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| state.tracked.get(&item.key)?.kind.as_ref())
            .any(|kind| !state.followed.contains(kind))
    }
}

impl State {
    /// Something of a Description has to be looked at, after a while.
    pub(crate) fn look(&mut self, name: &str, work: Work, after: Duration) {
        if self.book.get(name).is_none() {
            return;
        }
        let at = Instant::now() + after;
        let due = self.due.entry(name.to_owned()).or_insert_with(|| Due { at, work: Work::default() });
        due.at = due.at.min(at);
        due.work.all |= work.all;
        due.work.keys.extend(work.keys);
    }

    pub(crate) fn look_at_all(&mut self) {
        let names: Vec<String> = self.book.names().cloned().collect();
        for name in names {
            self.look(&name, Work::all(), Duration::ZERO);
        }
    }

    /// Whether an object is known to be there as a Description wants it.
    pub(crate) fn is_settled(&self, item: &Item, keeper: &str) -> bool {
        self.tracked.get(&item.key).is_some_and(|known| {
            let as_wanted =
                known.settled.as_ref().is_some_and(|it| it.digest == item.digest && it.keeper == keeper);
            let is_followed = known.kind.as_ref().is_some_and(|kind| self.followed.contains(kind));
            as_wanted && is_followed && known.seen.is_some()
        })
    }

    /// Nothing is certain of these objects any more.
    pub(crate) fn unsettle<'k>(&mut self, keys: impl Iterator<Item = &'k Key>) {
        for key in keys {
            if let Some(known) = self.tracked.get_mut(key) {
                known.settled = None;
            }
        }
    }

    /// What halts a Description.
    pub(crate) fn halted(&self, entry: &Entry) -> Option<Trouble> {
        let paused = || {
            let why = "the Description or its Subscription is paused by an annotation: nothing of it is changed in the cluster";
            Trouble::of_description(reasons::PAUSED, why)
        };
        self.halted.clone().or_else(|| entry.description.is_paused().then(paused))
    }
}

impl Tracked {
    /// Whether the object was corrected so often that somebody seems to change it for ever. Counts this correction if not.
    pub(crate) fn is_fought_over(&mut self, now: Instant) -> bool {
        while self.corrected.front().is_some_and(|when| now.duration_since(*when) > MINUTE) {
            self.corrected.pop_front();
        }
        let often = self.corrected.len() >= CORRECTIONS;
        if !often {
            self.corrected.push_back(now);
        }
        often
    }
}
