//! Which Descriptions there are, what each holds, and who looks after an object that several hold. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{
    apps::{Deployer, Description, Feed},
    conditions,
    names::deployer::{
        annotations,
        conditions::{APPLIED, DELETION_HELD},
        reasons,
    },
};
use kube::ResourceExt as _;

use crate::{
    item::{self, Item, Items, Key},
    trouble::Trouble,
};

/// A Description, read.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) description: Arc<Description>,
    pub(crate) items: Arc<Items>,
    /// What was or may have been applied for it: the record in its status.
    pub(crate) record: Vec<Feed>,
    /// What of the record the cluster has refused from the beginning: there is nothing of it. Before an object is applied
    /// after all, it is taken out of here, in the parent too.
    pub(crate) never_applied: BTreeSet<Feed>,
}

impl Entry {
    pub(crate) fn name(&self) -> String {
        self.description.name_any()
    }

    pub(crate) fn generation(&self) -> i64 {
        self.description.metadata.generation.unwrap_or_default()
    }

    pub(crate) fn is_deleting(&self) -> bool {
        self.description.metadata.deletion_timestamp.is_some()
    }

    /// Whether every object it refers to was read.
    pub(crate) fn is_whole(&self) -> bool {
        self.items.is_whole()
    }

    /// Whether its status says that everything of this generation is there.
    pub(crate) fn is_deployed(&self) -> bool {
        let status = self.description.status.as_ref();
        let applied = status.and_then(|status| conditions::find(&status.conditions, APPLIED));
        applied.is_some_and(|it| it.status == "True" && it.observed_generation == Some(self.generation()))
    }

    /// Whether somebody has confirmed the deletions that this generation asks for.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.annotation(annotations::CONFIRM_DELETION).and_then(|text| text.parse().ok())
            == Some(self.generation())
    }

    /// Whether its deletions have waited so far.
    pub(crate) fn is_held(&self) -> bool {
        let status = self.description.status.as_ref();
        let held = status.and_then(|status| conditions::find(&status.conditions, DELETION_HELD));
        held.is_some_and(|held| held.status == "True")
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.description.annotations().get(key).map(String::as_str)
    }

    /// What is recorded and not wanted any more. Nothing where it cannot be read as a whole: absence means nothing then.
    pub(crate) fn leaving(&self) -> Vec<Feed> {
        if self.is_deleting() {
            return self.record.clone();
        }
        if self.items.troubles.iter().any(|trouble| trouble.about.is_none()) {
            return Vec::new();
        }
        let wanted: BTreeSet<&Key> = self.items.items.iter().map(|item| &item.key).collect();
        self.record.iter().filter(|feed| !wanted.contains(&Key::of(feed))).cloned().collect()
    }
}

/// The Descriptions of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: BTreeMap<String, Entry>,
    /// By object: the Descriptions that want it, the one that looks after it first.
    wanted: BTreeMap<Key, BTreeSet<Rank>>,
}

/// The order among Descriptions that want the same object: the oldest looks after it.
type Rank = (Option<jiff::Timestamp>, String);

impl Book {
    /// Takes in a Description as it is now. Returns which Descriptions this concerns, if anything but its status is new.
    pub(crate) fn put(&mut self, mut description: Description, most: usize) -> BTreeSet<String> {
        let name = description.name_any();
        let statuses = description.status.iter().flat_map(|status| &status.manifest_statuses);
        let record: Vec<Feed> = statuses.clone().map(|one| one.feed.clone()).collect();
        let never_applied =
            statuses.filter(|one| one.never_applied == Some(true)).map(|one| one.feed.clone());
        let never_applied: BTreeSet<Feed> = never_applied.collect();
        let before = self.entries.get(&name);
        let same = before.is_some_and(|before| {
            let matters = |one: &Description| {
                let meta = &one.metadata;
                let of = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key)).cloned();
                let notes = (one.is_paused(), of(annotations::CONFIRM_DELETION));
                (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some(), notes)
            };
            matters(&before.description) == matters(&description)
        });
        let is_filled = item::missing(&description).next().is_none();
        let more = is_filled && before.is_some_and(|before| !before.is_whole());
        if same
            && !more
            && let Some(entry) = self.entries.get_mut(&name)
        {
            if entry.is_whole() {
                description.spec.raw.clear();
            }
            entry.description = Arc::new(description);
            entry.record = record;
            entry.never_applied = never_applied;
            return BTreeSet::new();
        }
        let mut concerned = self.remove(&name);
        let items = match description.spec.deployer {
            Deployer::Generic => item::read(&description.spec, most),
            Deployer::Helm => Items::default(),
        };
        if items.is_whole() {
            // Once it is read, nobody needs it as bytes.
            description.spec.raw.clear();
        }
        let entry =
            Entry { items: Arc::new(items), record, never_applied, description: Arc::new(description) };
        if !entry.is_deleting() {
            let rank = rank(&entry);
            for item in &entry.items.items {
                let all = self.wanted.entry(item.key.clone()).or_default();
                concerned.extend(all.iter().map(|(_, name)| name.clone()));
                all.insert(rank.clone());
            }
        }
        concerned.insert(name.clone());
        self.entries.insert(name, entry);
        concerned
    }

    /// A Description is gone. Returns those that hold what it held.
    pub(crate) fn remove(&mut self, name: &str) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        let Some(entry) = self.entries.remove(name) else { return concerned };
        let rank = rank(&entry);
        for item in &entry.items.items {
            if let Some(all) = self.wanted.get_mut(&item.key) {
                all.remove(&rank);
                concerned.extend(all.iter().map(|(_, name)| name.clone()));
                if all.is_empty() {
                    self.wanted.remove(&item.key);
                }
            }
        }
        concerned
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.entries.keys()
    }

    /// The Descriptions that want an object.
    pub(crate) fn wanting(&self, key: &Key) -> impl Iterator<Item = &String> {
        self.wanted.get(key).into_iter().flatten().map(|(_, name)| name)
    }

    /// Who looks after an object, and how it is to be.
    pub(crate) fn keeper(&self, key: &Key) -> Option<(&Entry, &Item)> {
        let (_, name) = self.wanted.get(key)?.first()?;
        let entry = self.entries.get(name)?;
        Some((entry, entry.items.items.iter().find(|item| item.key == *key)?))
    }

    /// What is in the way of an item of a Description that somebody else looks after: that it wants it otherwise.
    pub(crate) fn conflict(&self, name: &str, item: &Item) -> Option<Trouble> {
        let (keeper, kept) = self.keeper(&item.key)?;
        if keeper.name() == name || kept.digest == item.digest {
            return None;
        }
        let why = format!(
            "the Description {}, which is older, wants it otherwise, and is followed; make both feeds and their overrides \
             alike, or take it out of one Subscription",
            keeper.name()
        );
        Some(Trouble::new(reasons::CONFLICT, &item.feed, why))
    }

    /// All objects of all Descriptions, wanted or still there.
    pub(crate) fn running(&self) -> usize {
        let keys = self.entries.values().flat_map(|entry| {
            let items = entry.items.items.iter().map(|item| item.key.clone());
            items.chain(entry.record.iter().map(Key::of))
        });
        keys.collect::<BTreeSet<_>>().len()
    }

    /// The deletions that the Descriptions ask for and nobody has confirmed.
    pub(crate) fn unconfirmed(&self) -> usize {
        let leaving = self.entries.values().filter(|entry| !entry.is_confirmed());
        let keys = leaving.flat_map(|entry| entry.leaving().into_iter().map(|feed| Key::of(&feed)));
        keys.filter(|key| !self.wanted.contains_key(key)).collect::<BTreeSet<_>>().len()
    }
}

fn rank(entry: &Entry) -> Rank {
    (entry.description.creation_timestamp().map(|time| time.0), entry.name())
}
