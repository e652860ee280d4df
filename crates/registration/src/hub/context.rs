//! What the controllers of one term of leadership share.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use rand::RngExt as _;
use runtime::events::Events;

use super::{Options, counters::Counters, fence::Fence, lifecycle::Memory, token::Issuer};

/// The first wait after a failure; it doubles up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest wait after failures in a row.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What the controllers of one term of leadership share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) options: Options,
    pub(crate) events: Events,
    pub(crate) counters: Counters,
    pub(crate) fence: Fence,
    pub(crate) issuer: Issuer,
    pub(crate) memory: Memory,
    pub(crate) blocked: Blocked,
    pub(crate) failures: Failures,
    pub(crate) reservations: Reservations,
}

impl Context {
    pub(crate) fn new(client: Client, options: Options, counters: Counters) -> Self {
        Self {
            events: Events::new(client.clone(), "clusternet-hub"),
            fence: Fence::new(client.clone()),
            issuer: Issuer::new(client.clone(), options.token_lifetime),
            memory: Memory::watching(Timestamp::now()),
            blocked: Blocked::default(),
            failures: Failures::default(),
            reservations: Reservations::default(),
            client,
            options,
            counters,
        }
    }

    /// A time around `about`, so that ten thousand clusters are not looked at in the same second.
    pub(crate) fn spread(about: Duration) -> Duration {
        about.mul_f64(rand::rng().random_range(0.8..=1.2))
    }
}

/// Something that belongs to somebody else and that a denied request waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// A cluster with this name.
    ClusterName(String),
    /// A namespace with this name.
    Namespace(String),
}

/// Which denied requests wait for what. Lost at a restart, when every request is looked at anyway.
#[derive(Debug, Default)]
pub(crate) struct Blocked(Mutex<BTreeMap<Obstacle, BTreeSet<String>>>);

impl Blocked {
    /// The request with this name waits for the obstacle to go.
    pub(crate) fn wait(&self, obstacle: Obstacle, request: &str) {
        self.0.lock().entry(obstacle).or_default().insert(request.to_owned());
    }

    /// The obstacle may be gone: who waited for it. Who still has to says so again.
    pub(crate) fn take(&self, obstacle: &Obstacle) -> BTreeSet<String> {
        self.0.lock().remove(obstacle).unwrap_or_default()
    }
}

/// Names of clusters that are about to be made. Between the look whether a name is free and the cluster that takes it,
/// nobody else may come.
#[derive(Debug, Default)]
pub(crate) struct Reservations(Mutex<BTreeSet<String>>);

/// A name is nobody else's while this lives.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    all: &'a Reservations,
    name: String,
}

impl Reservations {
    /// Reserves the name, unless somebody has.
    pub(crate) fn reserve(&self, name: &str) -> Option<Reservation<'_>> {
        let new = self.0.lock().insert(name.to_owned());
        new.then(|| Reservation { all: self, name: name.to_owned() })
    }
}

impl Reservation<'_> {
    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.name);
    }
}

/// How often in a row each object failed.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    /// Counts a failure of the object; the number so far and the time to wait.
    pub(crate) fn count(&self, key: &str) -> (u32, Duration) {
        let mut failures = self.0.lock();
        let count = failures.entry(key.to_owned()).or_default();
        *count = count.saturating_add(1);
        let wait = FIRST_RETRY.saturating_mul(1 << (*count - 1).min(16)).min(LONGEST_RETRY);
        (*count, Context::spread(wait))
    }

    /// The object worked.
    pub(crate) fn forget(&self, key: &str) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_per_object_and_start_again_after_success() {
        let failures = Failures::default();
        let waits: Vec<_> = (0..20).map(|_| failures.count("a").1).collect();
        assert!(waits[0] <= FIRST_RETRY.mul_f64(1.2) && waits[19] >= LONGEST_RETRY.mul_f64(0.8));
        assert_eq!(failures.count("b").0, 1);
        failures.forget("a");
        assert_eq!(failures.count("a").0, 1);
    }

    #[test]
    fn a_name_is_reserved_until_its_cluster_is_made() {
        let names = Reservations::default();
        let first = names.reserve("bar").unwrap();
        assert!(names.reserve("bar").is_none());
        assert_eq!(names.reserve("foo").unwrap().name(), "foo");
        drop(first);
        assert!(names.reserve("bar").is_some());
    }

    #[test]
    fn who_waits_for_an_obstacle_is_told_once() {
        let blocked = Blocked::default();
        let name = Obstacle::ClusterName("bar".into());
        blocked.wait(name.clone(), "clusternet-1");
        blocked.wait(name.clone(), "clusternet-2");
        assert_eq!(blocked.take(&name).len(), 2);
        assert!(blocked.take(&name).is_empty());
        assert!(blocked.take(&Obstacle::Namespace("bar".into())).is_empty());
    }
}
