//! The source objects of a policy, as digests and outcomes, and what follows from all of them. Pure.

use std::collections::BTreeMap;

use crate::imports::Outcome;

/// Where a source object is: namespace and name.
pub(crate) type Key = (String, String);

/// What is kept of a source object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Of what the templates look at.
    pub(crate) digest: u64,
    pub(crate) outcome: Outcome,
}

/// All source objects of a policy.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    seen: BTreeMap<Key, Seen>,
    /// A list that is being received.
    incoming: Option<BTreeMap<Key, Seen>>,
    /// Whether a list has come to its end: before that, absence means nothing.
    complete: bool,
}

/// What follows from the source objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted<'s> {
    /// The source object of each lifecycle, by the lifecycle's name.
    pub(crate) lifecycles: BTreeMap<&'s str, &'s Key>,
    /// What cannot be taken, and why, the first few first.
    pub(crate) failures: Vec<String>,
    /// How many objects there are.
    pub(crate) sources: usize,
    /// How many of them are taken.
    pub(crate) selected: usize,
}

impl Sources {
    /// A list begins.
    pub(crate) fn list_began(&mut self) {
        self.incoming = Some(BTreeMap::new());
    }

    /// The list shows an object.
    pub(crate) fn listed(&mut self, key: Key, seen: Seen) {
        if let Some(incoming) = &mut self.incoming {
            incoming.insert(key, seen);
        }
    }

    /// The list has come to its end; the objects that have changed since the one before, or are gone.
    pub(crate) fn list_done(&mut self) -> Vec<Key> {
        let before = std::mem::replace(&mut self.seen, self.incoming.take().unwrap_or_default());
        self.complete = true;
        let changed =
            self.seen.iter().filter(|(key, seen)| before.get(*key).is_none_or(|before| before != *seen));
        let gone = before.keys().filter(|key| !self.seen.contains_key(*key));
        changed.map(|(key, _)| key).chain(gone).cloned().collect()
    }

    /// An object is new or has changed; whether that matters.
    pub(crate) fn changed(&mut self, key: Key, seen: Seen) -> bool {
        let matters = self.seen.get(&key) != Some(&seen);
        self.seen.insert(key, seen);
        matters
    }

    /// An object is gone.
    pub(crate) fn deleted(&mut self, key: &Key) {
        self.seen.remove(key);
    }

    /// Whether a list has come to its end.
    pub(crate) fn are_complete(&self) -> bool {
        self.complete
    }

    /// Whether nobody can say what becomes of an object: then nothing happens to what was made of it.
    pub(crate) fn is_undecided(&self, key: &Key) -> bool {
        self.seen.get(key).is_some_and(|seen| matches!(seen.outcome, Outcome::Failed(_)))
    }

    /// What follows from all of them.
    pub(crate) fn wanted(&self, resource: &str) -> Wanted<'_> {
        let mut wanted = Wanted { sources: self.seen.len(), ..Wanted::default() };
        for (key, seen) in &self.seen {
            match &seen.outcome {
                Outcome::Left => {}
                Outcome::Taken(name) => {
                    wanted.selected += 1;
                    if let Some(other) = wanted.lifecycles.get(name.as_str()) {
                        wanted.failures.push(format!(
                            "{resource} {} has the name {name:?}, which {} has already",
                            shown(key),
                            shown(other)
                        ));
                    } else {
                        wanted.lifecycles.insert(name, key);
                    }
                }
                Outcome::Failed(why) => wanted.failures.push(format!("{resource} {}: {why}", shown(key))),
            }
        }
        wanted
    }
}

/// `default/a`, or `a`.
pub(crate) fn shown((namespace, name): &Key) -> String {
    if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        (String::from("ns"), name.to_owned())
    }

    fn taken(name: &str, digest: u64) -> Seen {
        Seen { digest, outcome: Outcome::Taken(name.to_owned()) }
    }

    #[test]
    fn a_new_list_tells_what_changed_meanwhile_and_what_is_gone() {
        let mut sources = Sources::default();
        sources.list_began();
        for name in ["a", "b", "c"] {
            sources.listed(key(name), taken(name, 1));
        }
        assert!(!sources.are_complete());
        assert_eq!(sources.list_done().len(), 3);
        sources.list_began();
        sources.listed(key("a"), taken("a", 1));
        sources.listed(key("b"), taken("b", 2));
        assert_eq!(sources.wanted("x").sources, 3, "a list that has not ended counts for nothing");
        assert_eq!(sources.list_done(), [key("b"), key("c")]);
        assert_eq!(sources.wanted("x").sources, 2);
    }

    #[test]
    fn only_what_matters_is_a_change() {
        let mut sources = Sources::default();
        assert!(sources.changed(key("a"), taken("a", 1)));
        assert!(!sources.changed(key("a"), taken("a", 1)));
        assert!(sources.changed(key("a"), taken("a", 2)));
        sources.deleted(&key("a"));
        assert_eq!(sources.wanted("x"), Wanted::default());
    }

    #[test]
    fn of_two_objects_with_one_name_the_first_has_it_and_the_other_is_told() {
        let mut sources = Sources::default();
        sources.changed(key("b"), taken("same", 1));
        sources.changed(key("a"), taken("same", 1));
        let failed = Seen { digest: 1, outcome: Outcome::Failed(String::from("no name")) };
        sources.changed(key("c"), failed);
        sources.changed(key("d"), Seen { digest: 1, outcome: Outcome::Left });
        let wanted = sources.wanted("clusters.x.io");
        assert_eq!(wanted.lifecycles.into_iter().collect::<Vec<_>>(), [("same", &key("a"))]);
        assert_eq!((wanted.sources, wanted.selected), (4, 2));
        assert_eq!(
            wanted.failures,
            [
                "clusters.x.io ns/b has the name \"same\", which ns/a has already",
                "clusters.x.io ns/c: no name"
            ]
        );
        assert!(sources.is_undecided(&key("c")) && !sources.is_undecided(&key("d")));
    }
}
