//! Changes on their way to the store: one for each object, however often it changes.

use std::collections::HashMap;

use meta::RawObject;
use store::{Change, ObjectName};

/// Objects in one batch.
const OBJECTS: usize = 200;
/// Bytes of JSON from which on a batch is full.
const BYTES: usize = 2 << 20;

/// Changes of different objects, and the place in the history they lead to.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    changes: Vec<Change>,
    /// Where the change of an object stands.
    index: HashMap<ObjectName, usize>,
    bytes: usize,
}

impl Pending {
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
    }

    /// Whether nothing more should be put in.
    pub(crate) fn is_full(&self) -> bool {
        self.changes.len() >= OBJECTS || self.bytes >= BYTES
    }

    /// The changes; nothing is left.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        self.index.clear();
        self.bytes = 0;
        std::mem::take(&mut self.changes)
    }
}

fn size(change: &Change) -> usize {
    match change {
        Change::Upsert(object) => object.json.len(),
        Change::Delete(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, version: u32) -> RawObject {
        let json = format!(r#"{{"metadata":{{"name":"{name}","resourceVersion":"{version}"}}}}"#);
        RawObject::from_json(json.as_bytes(), "v1", "Pod").unwrap()
    }

    #[test]
    fn of_one_object_only_the_last_change_counts() {
        let mut pending = Pending::default();
        pending.upsert(pod("a", 1));
        pending.upsert(pod("b", 2));
        pending.upsert(pod("a", 3));
        pending.delete(ObjectName::new("", "b"));
        let expected = [Change::Upsert(pod("a", 3)), Change::Delete(ObjectName::new("", "b"))];
        assert_eq!(pending.take(), expected);
        assert!(pending.take().is_empty());
    }

    #[test]
    fn an_object_that_changes_all_the_time_never_fills_a_batch() {
        let mut pending = Pending::default();
        (0..100_000).for_each(|version| pending.upsert(pod("a", version)));
        assert!(!pending.is_full());
        (0..OBJECTS).for_each(|name| pending.upsert(pod(&name.to_string(), 1)));
        assert!(pending.is_full());
    }
}
