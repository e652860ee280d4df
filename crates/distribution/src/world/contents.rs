//! Which Contents there are, what they hold, and which Descriptions refer to them.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;

use super::{ContentRecord, IDLE, Table, Wakes};
use crate::key::{Key, Name};

/// Contents, and the ways to them.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) table: Table<ContentRecord>,
    /// Of those that may be referred to anew, by the digest of the object.
    by_digest: HashMap<String, BTreeSet<Name>>,
    /// The Descriptions that refer to one, whether or not it is there.
    referring: HashMap<Name, BTreeSet<Name>>,
    /// When one was made, handed out, or last referred to.
    used: HashMap<Name, Instant>,
}

/// How much use there is for a Content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Use {
    /// A Description refers to it, or there is none.
    Some,
    /// None, but not long enough for it to go: so long it still stays.
    Idle(Duration),
    /// None. Its uid.
    None(String),
}

impl Contents {
    pub(super) fn came(&mut self, content: &ContentRecord) {
        let name = &content.meta.name;
        self.by_digest.entry(content.digest.clone()).or_default().insert(name.clone());
        self.used.entry(name.clone()).or_insert_with(Instant::now);
    }

    pub(super) fn went(&mut self, name: &Name) {
        self.retire(name);
        self.table.remove(name);
        self.used.remove(name);
    }

    /// A Description has referred to some, and refers to others now.
    pub(super) fn refers(
        &mut self,
        description: &Name,
        before: &BTreeSet<Name>,
        now: &BTreeSet<Name>,
        wakes: &mut Wakes,
    ) {
        super::observe::reindex(
            &mut self.referring,
            description,
            before.iter().cloned(),
            now.iter().cloned(),
        );
        for left in before.difference(now).filter(|left| self.table.contains_key(*left)) {
            self.used.insert(left.clone(), Instant::now());
            wakes.later.push(Key::Content(left.clone()));
        }
    }

    pub(super) fn referring(&self, name: &Name) -> Vec<Name> {
        self.referring.get(name).into_iter().flatten().cloned().collect()
    }

    pub(super) fn with(&mut self, digest: &str) -> Option<Name> {
        let name = self.by_digest.get(digest)?.first()?.clone();
        self.used.insert(name.clone(), Instant::now());
        Some(name)
    }

    pub(super) fn look(&mut self, name: &Name) -> Use {
        let Some(there) = self.table.get(name) else { return Use::Some };
        if self.referring.contains_key(name) || there.meta.deleting {
            return Use::Some;
        }
        let uid = there.meta.uid.clone();
        let idle = self.used.get(name).map_or(IDLE, Instant::elapsed);
        if let Some(left) = IDLE.checked_sub(idle).filter(|left| !left.is_zero()) {
            return Use::Idle(left);
        }
        self.retire(name);
        Use::None(uid)
    }

    /// Nobody gets it any more.
    fn retire(&mut self, name: &Name) {
        let Some(there) = self.table.get(name) else { return };
        if let Some(names) = self.by_digest.get_mut(&there.digest) {
            names.remove(name);
            if names.is_empty() {
                self.by_digest.remove(&there.digest);
            }
        }
    }
}
