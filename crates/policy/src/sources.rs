//! The source objects of a policy, as digests and outcomes, and what follows from all of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

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
    /// A list that is being received, and how many of its objects cannot be read.
    incoming: Option<(BTreeMap<Key, Seen>, usize)>,
    /// How many objects of the last list could not be read: nobody knows which these are.
    unreadable: usize,
    /// Which objects have gone since, if some could not be read.
    gone: BTreeSet<Key>,
    /// Whether a list has come to its end: before that, absence means nothing.
    complete: bool,
}

/// What follows from the source objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted<'s> {
    /// The source object of each lifecycle, by the lifecycle's name.
    pub(crate) lifecycles: BTreeMap<&'s str, &'s Key>,
    /// What cannot be taken, and why.
    pub(crate) failures: Vec<(&'s Key, String)>,
    /// How many objects cannot be read at all.
    pub(crate) unreadable: usize,
    /// How many others there are.
    pub(crate) sources: usize,
    /// How many of them are taken.
    pub(crate) selected: usize,
}

impl Sources {
    /// A list begins.
    pub(crate) fn list_began(&mut self) {
        self.incoming = Some((BTreeMap::new(), 0));
    }

    /// The list shows an object.
    pub(crate) fn listed(&mut self, key: Key, seen: Seen) {
        if let Some((incoming, _)) = &mut self.incoming {
            incoming.insert(key, seen);
        }
    }

    /// The list shows an object that cannot be read: the absence of others means nothing then.
    pub(crate) fn unreadable(&mut self) {
        if let Some((_, unreadable)) = &mut self.incoming {
            *unreadable += 1;
        }
    }

    /// The list has come to its end; the objects that have changed since the one before, or are gone.
    pub(crate) fn list_done(&mut self) -> Vec<Key> {
        let (incoming, unreadable) = self.incoming.take().unwrap_or_default();
        let before = std::mem::replace(&mut self.seen, incoming);
        self.unreadable = unreadable;
        self.gone.clear();
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
        if self.unreadable > 0 {
            self.gone.insert(key.clone());
        }
    }

    /// Whether a list has come to its end.
    pub(crate) fn are_complete(&self) -> bool {
        self.complete
    }

    /// Whether objects of the last list could not be read.
    pub(crate) fn some_are_unreadable(&self) -> bool {
        self.unreadable > 0
    }

    /// Whether nobody can say what becomes of an object: then nothing happens to what was made of it.
    pub(crate) fn is_undecided(&self, key: &Key) -> bool {
        match self.seen.get(key) {
            Some(seen) => matches!(seen.outcome, Outcome::Failed(_)),
            None => self.unreadable > 0 && !self.gone.contains(key),
        }
    }

    /// What follows from all of them. Who holds a name keeps it as long as it still has it, or nobody can say: what was
    /// made of one object never becomes that of another that was called alike, and comes first.
    pub(crate) fn wanted<'s>(&'s self, holders: &'s BTreeMap<String, Key>) -> Wanted<'s> {
        let mut wanted =
            Wanted { unreadable: self.unreadable, sources: self.seen.len(), ..Wanted::default() };
        for (key, seen) in &self.seen {
            match &seen.outcome {
                Outcome::Left => {}
                Outcome::Taken(name) => {
                    wanted.selected += 1;
                    let holder = holders.get(name).filter(|holder| self.may_have(holder, name));
                    let first = || wanted.lifecycles.get(name.as_str()).copied();
                    if let Some(other) = holder.or_else(first).filter(|other| *other != key) {
                        let why =
                            format!("it would have the name {name:?}, which {} has already", shown(other));
                        wanted.failures.push((key, why));
                    } else {
                        wanted.lifecycles.insert(name, key);
                    }
                }
                Outcome::Failed(why) => wanted.failures.push((key, why.clone())),
            }
        }
        wanted
    }

    /// The names that several objects would have.
    pub(crate) fn contested(&self) -> BTreeSet<&str> {
        let mut once = BTreeSet::new();
        let names = self.seen.values().filter_map(|seen| match &seen.outcome {
            Outcome::Taken(name) => Some(name.as_str()),
            Outcome::Left | Outcome::Failed(_) => None,
        });
        names.filter(|name| !once.insert(*name)).collect()
    }

    fn may_have(&self, key: &Key, name: &str) -> bool {
        let has = |seen: &Seen| matches!(&seen.outcome, Outcome::Taken(other) if other == name);
        self.is_undecided(key) || self.seen.get(key).is_some_and(has)
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
        let no_one = BTreeMap::new();
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
        assert_eq!(sources.wanted(&no_one).sources, 3, "a list that has not ended counts for nothing");
        assert_eq!(sources.list_done(), [key("b"), key("c")]);
        assert_eq!(sources.wanted(&no_one).sources, 2);
    }

    #[test]
    fn only_what_matters_is_a_change() {
        let no_one = BTreeMap::new();
        let mut sources = Sources::default();
        assert!(sources.changed(key("a"), taken("a", 1)));
        assert!(!sources.changed(key("a"), taken("a", 1)));
        assert!(sources.changed(key("a"), taken("a", 2)));
        sources.deleted(&key("a"));
        assert_eq!(sources.wanted(&no_one), Wanted::default());
    }

    #[test]
    fn of_two_objects_with_one_name_the_first_has_it_and_the_other_is_told() {
        let no_one = BTreeMap::new();
        let mut sources = Sources::default();
        sources.changed(key("b"), taken("same", 1));
        sources.changed(key("a"), taken("same", 1));
        let failed = Seen { digest: 1, outcome: Outcome::Failed(String::from("no name")) };
        sources.changed(key("c"), failed);
        sources.changed(key("d"), Seen { digest: 1, outcome: Outcome::Left });
        let wanted = sources.wanted(&no_one);
        assert_eq!(wanted.lifecycles.into_iter().collect::<Vec<_>>(), [("same", &key("a"))]);
        assert_eq!((wanted.sources, wanted.selected), (4, 2));
        assert_eq!(
            wanted.failures,
            [
                (&key("b"), String::from("it would have the name \"same\", which ns/a has already")),
                (&key("c"), String::from("no name"))
            ]
        );
        assert_eq!(sources.contested(), BTreeSet::from(["same"]));
        assert!(sources.is_undecided(&key("c")) && !sources.is_undecided(&key("d")));
    }

    #[test]
    fn a_name_stays_with_whom_it_was_given_to() {
        let mut sources = Sources::default();
        let holders = BTreeMap::from([(String::from("same"), key("b"))]);
        let holds = |sources: &Sources| sources.wanted(&holders).lifecycles.get("same").copied().cloned();
        sources.changed(key("b"), taken("same", 1));
        sources.changed(key("a"), taken("same", 1));
        assert_eq!(holds(&sources), Some(key("b")), "the newcomer comes first, but is one");
        assert_eq!(
            sources.wanted(&holders).failures,
            [(&key("a"), String::from("it would have the name \"same\", which ns/b has already"))]
        );
        sources.changed(key("b"), Seen { digest: 2, outcome: Outcome::Failed(String::from("why")) });
        assert_eq!(holds(&sources), None, "one failure hands nothing over");
        sources.changed(key("b"), taken("another", 3));
        assert_eq!(holds(&sources), Some(key("a")));
        sources.changed(key("b"), taken("same", 4));
        sources.deleted(&key("b"));
        assert_eq!(holds(&sources), Some(key("a")));
    }

    #[test]
    fn while_an_object_of_a_list_cannot_be_read_absence_means_nothing() {
        let mut sources = Sources::default();
        sources.list_began();
        sources.listed(key("a"), taken("a", 1));
        sources.unreadable();
        sources.list_done();
        assert_eq!(sources.wanted(&BTreeMap::new()).unreadable, 1);
        assert!(sources.is_undecided(&key("b")) && !sources.is_undecided(&key("a")));
        sources.deleted(&key("a"));
        assert!(!sources.is_undecided(&key("a")), "it was seen to go");
        sources.list_began();
        sources.list_done();
        assert!(!sources.is_undecided(&key("b")));
    }
}
