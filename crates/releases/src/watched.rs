//! Objects of one kind as a watch shows them, and which of them is looked at when.

use std::collections::{HashMap, HashSet};

use kube::{
    Resource, ResourceExt as _,
    runtime::watcher::{self, Event},
};

use crate::queue::Queue;

/// What it means that an object is so now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// It is to be looked at.
    Look,
    /// Nothing that matters is new.
    Nothing,
    /// It is none of those that are looked at.
    NotOurs,
}

/// The objects, by namespace and name.
pub(crate) struct Watched<K> {
    /// When each is looked at.
    pub(crate) queue: Queue,
    known: HashMap<String, K>,
    /// What a list has shown so far.
    shown: Option<HashSet<String>>,
    news: fn(Option<&K>, &K) -> News,
}

impl<K: Resource<DynamicType = ()> + Clone> Watched<K> {
    /// None yet. `news` judges what an object is now by what it was before.
    pub(crate) fn new(news: fn(Option<&K>, &K) -> News) -> Self {
        Self { queue: Queue::default(), known: HashMap::new(), shown: None, news }
    }

    /// Takes in what the watch says. Returns an object that is gone.
    ///
    /// # Errors
    /// When the watch has ended.
    pub(crate) fn hear(&mut self, event: Option<watcher::Result<Event<K>>>) -> anyhow::Result<Option<K>> {
        let kind = K::plural(&());
        match event {
            Some(Ok(Event::Init)) => self.shown = Some(HashSet::new()),
            Some(Ok(Event::InitApply(object))) => {
                self.shown.get_or_insert_default().insert(key(&object));
                self.take_in(object);
            }
            Some(Ok(Event::InitDone)) => {
                let shown = self.shown.take().unwrap_or_default();
                self.known.retain(|name, _| shown.contains(name));
            }
            Some(Ok(Event::Apply(object))) => self.take_in(object),
            Some(Ok(Event::Delete(object))) => {
                let name = key(&object);
                self.known.remove(&name);
                self.queue.forget(&name);
                return Ok(Some(object));
            }
            Some(Err(error)) => tracing::debug!(%kind, %error, "a watch failed, trying again"),
            None => anyhow::bail!("the watch of {kind} ended"),
        }
        Ok(None)
    }

    fn take_in(&mut self, object: K) {
        let name = key(&object);
        let news = (self.news)(self.known.get(&name), &object);
        if news == News::NotOurs {
            self.known.remove(&name);
            return;
        }
        self.known.insert(name.clone(), object);
        if news == News::Look {
            self.queue.now(&name);
        }
    }

    /// An object is looked at now, if there is one of this name.
    pub(crate) fn look(&mut self, name: &str) {
        if self.known.contains_key(name) {
            self.queue.now(name);
        }
    }

    /// The next object that is due, with its name in the queue; it is being looked at from now on.
    pub(crate) fn take(&mut self) -> Option<(String, K)> {
        loop {
            let name = self.queue.take()?;
            match self.known.get(&name) {
                Some(object) => return Some((name, object.clone())),
                None => self.queue.forget(&name),
            }
        }
    }
}

/// Namespace and name of an object.
pub(crate) fn key(object: &impl Resource) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn map(name: &str, generation: i64) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.namespace = Some(String::from("n"));
        map.metadata.name = Some(name.to_owned());
        map.metadata.generation = Some(generation);
        map
    }

    fn news(before: Option<&ConfigMap>, now: &ConfigMap) -> News {
        match now.metadata.generation {
            Some(0) => News::NotOurs,
            generation if before.is_some_and(|it| it.metadata.generation == generation) => News::Nothing,
            _ => News::Look,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_new_is_looked_at_once_and_what_is_gone_or_not_ours_is_not() {
        let mut watched = Watched::new(news);
        let mut hear = |event| watched.hear(Some(Ok(event))).unwrap();
        hear(Event::Init);
        for object in [map("a", 1), map("b", 1), map("other", 0)] {
            hear(Event::InitApply(object));
        }
        hear(Event::InitDone);
        hear(Event::Apply(map("a", 1)));
        assert!(hear(Event::Delete(map("b", 1))).is_some());
        let due: Vec<_> = std::iter::from_fn(|| watched.take()).map(|(name, _)| name).collect();
        assert_eq!(due, ["n/a"]);
        watched.look("n/other");
        watched.queue.ended("n/a");
        watched.look("n/a");
        // A list that does not show it any more says that it is gone.
        for event in [Event::Init, Event::InitDone] {
            watched.hear(Some(Ok(event))).unwrap();
        }
        assert!(watched.take().is_none());
        assert!(watched.hear(None).unwrap_err().to_string().contains("configmaps"));
    }
}
