//! Changes on their way to the store: one for each object, however often it changes.

use std::collections::HashMap;

use meta::RawObject;
use store::{Change, ObjectName};

use crate::limits::{Budget, Share};

/// Objects in one batch.
const OBJECTS: usize = 200;
/// Bytes of JSON from which on a batch is full.
const BYTES: usize = 2 << 20;

/// What an object takes beside its JSON: its key fields, and a place in the index.
const OVERHEAD: usize = 1 << 10;

/// Changes of different objects.
#[derive(Debug)]
pub(crate) struct Pending {
    budget: Budget,
    share: Share,
    /// The budget is used up: what is here has to go first. So every batch can hold one object, whatever others hold.
    starved: bool,
    changes: Vec<Change>,
    /// Where the change of an object stands.
    index: HashMap<ObjectName, usize>,
    bytes: usize,
}

impl Pending {
    pub(crate) fn new(budget: Budget) -> Self {
        let share = budget.share();
        Self { budget, share, starved: false, changes: Vec::new(), index: HashMap::new(), bytes: 0 }
    }

    pub(crate) fn upsert(&mut self, object: RawObject) {
        let name = ObjectName::new(object.key.namespace.as_str(), object.key.name.as_str());
        self.put(name, Change::Upsert(object));
    }

    pub(crate) fn delete(&mut self, name: ObjectName) {
        self.put(name.clone(), Change::Delete(name));
    }

    fn put(&mut self, name: ObjectName, change: Change) {
        self.bytes += size(&change);
        if let Some(&at) = self.index.get(&name) {
            self.bytes -= size(&self.changes[at]);
            self.changes[at] = change;
        } else {
            self.index.insert(name, self.changes.len());
            self.changes.push(change);
        }
        self.starved = !self.share.resize(self.bytes);
    }

    /// Whether nothing more should be put in.
    pub(crate) fn is_full(&self) -> bool {
        self.starved || self.changes.len() >= OBJECTS || self.bytes >= BYTES
    }

    /// The changes, with what they take of the budget; nothing is left.
    pub(crate) fn take(&mut self) -> (Vec<Change>, Share) {
        self.index.clear();
        self.bytes = 0;
        self.starved = false;
        (std::mem::take(&mut self.changes), std::mem::replace(&mut self.share, self.budget.share()))
    }
}

fn size(change: &Change) -> usize {
    match change {
        Change::Upsert(object) => object.json.len() + OVERHEAD,
        Change::Delete(_) => OVERHEAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, version: u32) -> RawObject {
        let json = format!(r#"{{"metadata":{{"name":"{name}","resourceVersion":"{version}"}}}}"#);
        RawObject::from_json(json.as_bytes(), "v1", "Pod").unwrap()
    }

    fn pending() -> Pending {
        Pending::new(Budget::new(10 << 20))
    }

    #[test]
    fn a_batch_is_full_when_the_budget_of_all_is_used_up_and_takes_one_object_at_least() {
        let budget = Budget::new(10 << 10);
        let (mut one, mut other) = (Pending::new(budget.clone()), Pending::new(budget));
        (0..5).for_each(|name| one.upsert(pod(&name.to_string(), 1)));
        assert!(!one.is_full() && !other.is_full());
        (0..10).for_each(|name| one.upsert(pod(&name.to_string(), 1)));
        other.upsert(pod("a", 1));
        assert!(one.is_full() && other.is_full());
        drop(one.take());
        other.upsert(pod("a", 2));
        assert!(!other.is_full() && other.take().0.len() == 1);
    }

    #[test]
    fn of_one_object_only_the_last_change_counts() {
        let mut pending = pending();
        pending.upsert(pod("a", 1));
        pending.upsert(pod("b", 2));
        pending.upsert(pod("a", 3));
        pending.delete(ObjectName::new("", "b"));
        let expected = [Change::Upsert(pod("a", 3)), Change::Delete(ObjectName::new("", "b"))];
        assert_eq!(pending.take().0, expected);
        assert!(pending.take().0.is_empty());
    }

    #[test]
    fn an_object_that_changes_all_the_time_never_fills_a_batch() {
        let mut pending = pending();
        (0..100_000).for_each(|version| pending.upsert(pod("a", version)));
        assert!(!pending.is_full());
        (0..OBJECTS).for_each(|name| pending.upsert(pod(&name.to_string(), 1)));
        assert!(pending.is_full());
    }
}
