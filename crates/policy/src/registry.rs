//! What the controllers tell each other: which lifecycle depends on which objects, and which policies are in step.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use kubeio::Resource;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use crate::recipe::Location;

/// Lifecycles that may wait to be looked at, before whoever names more has to wait.
const WAITING: usize = 1_024;

/// An object, as a number: what is kept of thousands.
pub(crate) type ObjectId = u64;

/// Shared by the workers of all policies and the controller of the lifecycles.
#[derive(Debug)]
pub(crate) struct Registry {
    dependents: Mutex<Dependents>,
    /// Of each policy.
    readiness: Mutex<HashMap<String, Readiness>>,
    /// Whom to tell that a lifecycle of a policy has changed.
    owners: Mutex<HashMap<String, Arc<Notify>>>,
    wakes: mpsc::Sender<String>,
}

/// Whether the lifecycles of a policy may go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Sources and references have been listed.
    Ready,
    /// They soon will be: nothing to be said about it.
    #[default]
    Soon,
    /// They have to wait, for this reason.
    Waits(String),
}

#[derive(Debug, Default)]
struct Dependents {
    of_object: HashMap<ObjectId, BTreeSet<Arc<str>>>,
    of_lifecycle: HashMap<Arc<str>, BTreeSet<ObjectId>>,
}

/// An object as a number.
pub(crate) fn id(resource: &Resource, namespace: &str, name: &str) -> ObjectId {
    let mut hasher = DefaultHasher::new();
    (resource, namespace, name).hash(&mut hasher);
    hasher.finish()
}

impl Location {
    pub(crate) fn id(&self) -> ObjectId {
        id(&self.resource, &self.namespace, &self.name)
    }
}

impl Registry {
    /// A registry, and the lifecycles that are to be looked at, by name.
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<String>) {
        let (wakes, receiver) = mpsc::channel(WAITING);
        let registry = Self {
            dependents: Mutex::default(),
            readiness: Mutex::default(),
            owners: Mutex::default(),
            wakes,
        };
        (Arc::new(registry), receiver)
    }

    /// The lifecycle depends on the object too, and is woken from now on.
    pub(crate) fn depends(&self, lifecycle: &str, object: ObjectId) {
        let mut all = self.dependents.lock();
        let name = all
            .of_lifecycle
            .get_key_value(lifecycle)
            .map_or_else(|| lifecycle.into(), |(name, _)| name.clone());
        all.of_object.entry(object).or_default().insert(Arc::clone(&name));
        all.of_lifecycle.entry(name).or_default().insert(object);
    }

    /// The lifecycle depends on these objects and no others.
    pub(crate) fn depends_only(&self, lifecycle: &str, objects: &[ObjectId]) {
        let mut all = self.dependents.lock();
        let Some(mut known) = all.of_lifecycle.remove(lifecycle) else { return };
        known.retain(|object| {
            let stays = objects.contains(object);
            if !stays && let Some(names) = all.of_object.get_mut(object) {
                names.remove(lifecycle);
                if names.is_empty() {
                    all.of_object.remove(object);
                }
            }
            stays
        });
        if !known.is_empty() {
            all.of_lifecycle.insert(lifecycle.into(), known);
        }
    }

    /// An object has changed: whatever depends on it is looked at.
    pub(crate) async fn changed(&self, object: ObjectId) {
        let names = self.dependents.lock().of_object.get(&object).cloned().unwrap_or_default();
        for name in names {
            self.wake(&name).await;
        }
    }

    /// A lifecycle is to be looked at.
    pub(crate) async fn wake(&self, lifecycle: &str) {
        // Nobody hears it when the term is over.
        let _ = self.wakes.send(lifecycle.to_owned()).await;
    }

    /// Whether the lifecycles of a policy may go on. True if that is news: then they are to be woken.
    pub(crate) fn set_readiness(&self, policy: &str, readiness: Readiness) -> bool {
        let mut all = self.readiness.lock();
        let known = all.entry(policy.to_owned()).or_default();
        let is_news = *known != readiness;
        *known = readiness;
        is_news
    }

    /// What a policy reads is listed anew. What its lifecycles waited for, they still wait for.
    pub(crate) fn lists_anew(&self, policy: &str) {
        if self.readiness(policy) == Readiness::Ready {
            self.set_readiness(policy, Readiness::Soon);
        }
    }

    /// Whether the lifecycles of a policy may go on.
    pub(crate) fn readiness(&self, policy: &str) -> Readiness {
        self.readiness.lock().get(policy).cloned().unwrap_or_default()
    }

    /// Tells of changes of the policy's lifecycles.
    pub(crate) fn owner(&self, policy: &str) -> Arc<Notify> {
        self.owners.lock().entry(policy.to_owned()).or_default().clone()
    }

    /// A lifecycle of the policy has changed.
    pub(crate) fn lifecycle_changed(&self, policy: &str) {
        if let Some(owner) = self.owners.lock().get(policy) {
            owner.notify_one();
        }
    }

    /// Lifecycles are gone, and nobody knows of which policies.
    pub(crate) fn lifecycles_gone(&self) {
        self.owners.lock().values().for_each(|owner| owner.notify_one());
    }

    /// The policy is gone.
    pub(crate) fn forget(&self, policy: &str) {
        self.readiness.lock().remove(policy);
        self.owners.lock().remove(policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_depends_on_an_object_is_woken_by_it_and_by_nothing_else() {
        let (registry, mut wakes) = Registry::new();
        registry.depends("a", 1);
        registry.depends("a", 2);
        registry.depends("b", 2);
        registry.changed(3).await;
        registry.changed(1).await;
        assert_eq!(wakes.try_recv().as_deref(), Ok("a"));
        assert!(wakes.try_recv().is_err());
        registry.depends_only("a", &[1]);
        registry.changed(2).await;
        assert_eq!(wakes.try_recv().as_deref(), Ok("b"));
        assert!(wakes.try_recv().is_err());
        registry.depends_only("a", &[]);
        registry.depends_only("b", &[]);
        let left = registry.dependents.lock();
        assert!(left.of_object.is_empty() && left.of_lifecycle.is_empty(), "nothing is left behind");
    }

    #[test]
    fn lifecycles_wait_for_a_policy_nobody_has_looked_at() {
        let (registry, _wakes) = Registry::new();
        assert_eq!(registry.readiness("p"), Readiness::Soon);
        assert!(
            registry.set_readiness("p", Readiness::Ready) && !registry.set_readiness("p", Readiness::Ready)
        );
        assert_eq!(registry.readiness("p"), Readiness::Ready);
        registry.lists_anew("p");
        assert_eq!(registry.readiness("p"), Readiness::Soon);
        let waits = Readiness::Waits(String::from("forbidden"));
        assert!(registry.set_readiness("p", waits.clone()));
        registry.lists_anew("p");
        assert!(!registry.set_readiness("p", waits), "what is tried again and fails again is no news");
        registry.forget("p");
        assert_eq!(registry.readiness("p"), Readiness::Soon);
    }
}
