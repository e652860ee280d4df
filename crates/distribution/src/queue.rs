//! What is to be looked at, each object once however often it is named, the urgent first.
//!
//! Bounded by the number of objects there are: an object is in it at most once.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use parking_lot::Mutex;
use runtime::Backoff;
use tokio::{sync::Notify, time::Instant};

use crate::{counters::Counters, key::Key};

/// The first wait after a failure, and the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_mins(1)];

/// The queue. Whoever takes a key works on it alone until it is done.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    counters: Counters,
    state: Mutex<State>,
    news: Notify,
}

/// Higher priorities first, then in the order in which they came.
type Place = (Reverse<i32>, u64);

#[derive(Debug, Default)]
struct State {
    ready: BTreeMap<Place, Key>,
    places: HashMap<Key, Place>,
    later: BTreeMap<(Instant, u64), Key>,
    times: HashMap<Key, (Instant, u64)>,
    running: HashSet<Key>,
    /// Named again while somebody works on it.
    again: HashMap<Key, i32>,
    failures: HashMap<Key, Backoff>,
    /// A number for each entry, in order.
    next: u64,
}

/// How often in a row a key has failed, and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) count: u32,
    pub(crate) wait: Duration,
}

impl Queue {
    /// An empty queue that tells how much is in it.
    pub(crate) fn new(counters: Counters) -> Self {
        Self { counters, ..Self::default() }
    }

    /// To be looked at, now.
    pub(crate) fn wake(&self, key: Key, priority: i32) {
        let mut state = self.state.lock();
        state.ready(key, priority);
        self.tell(&state);
        drop(state);
        self.news.notify_one();
    }

    /// To be looked at in a while, if it is not before.
    pub(crate) fn wake_after(&self, key: Key, wait: Duration) {
        self.state.lock().later(key, Instant::now() + wait);
        self.news.notify_one();
    }

    /// The next key. It is the caller's until [`Queue::done`].
    pub(crate) async fn take(&self) -> Key {
        loop {
            let next = {
                let mut state = self.state.lock();
                state.ripen(Instant::now());
                if let Some((_, key)) = state.ready.pop_first() {
                    state.places.remove(&key);
                    state.running.insert(key.clone());
                    self.tell(&state);
                    if !state.ready.is_empty() {
                        // One notification may stand for several keys.
                        self.news.notify_one();
                    }
                    return key;
                }
                state.later.first_key_value().map(|((at, _), _)| *at)
            };
            match next {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.news.notified() => {}
                },
                None => self.news.notified().await,
            }
        }
    }

    /// The work on a key is done, or has failed and is tried again.
    pub(crate) fn done(&self, key: &Key, success: bool) -> Option<Failed> {
        let mut state = self.state.lock();
        state.running.remove(key);
        let again = state.again.remove(key);
        let failed = if success {
            state.failures.remove(key);
            None
        } else {
            let [first, longest] = WAITS;
            let backoff = state.failures.entry(key.clone()).or_insert_with(|| Backoff::new(first, longest));
            let wait = backoff.next();
            let count = backoff.failures();
            if again.is_none() {
                state.later(key.clone(), Instant::now() + wait);
            }
            Some(Failed { count, wait })
        };
        if let Some(priority) = again {
            state.ready(key.clone(), priority);
        }
        self.tell(&state);
        drop(state);
        self.counters.looked_at(key, success);
        self.news.notify_one();
        failed
    }

    fn tell(&self, state: &State) {
        let pending = state.ready.len() + state.running.len();
        self.counters.pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
    }

    /// Whether nothing is to be done, now or later.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.ready.is_empty() && state.running.is_empty() && state.later.is_empty()
    }
}

impl State {
    fn ready(&mut self, key: Key, priority: i32) {
        if self.running.contains(&key) {
            self.again.insert(key, priority);
            return;
        }
        if let Some(time) = self.times.remove(&key) {
            self.later.remove(&time);
        }
        if let Some(place) = self.places.get(&key) {
            if place.0.0 >= priority {
                return;
            }
            self.ready.remove(place);
        }
        let place = (Reverse(priority), self.number());
        self.places.insert(key.clone(), place);
        self.ready.insert(place, key);
    }

    fn later(&mut self, key: Key, at: Instant) {
        let sooner = self.times.get(&key).is_some_and(|(known, _)| *known <= at);
        if sooner || self.places.contains_key(&key) || self.again.contains_key(&key) {
            return;
        }
        if let Some(time) = self.times.remove(&key) {
            self.later.remove(&time);
        }
        let time = (at, self.number());
        self.times.insert(key.clone(), time);
        self.later.insert(time, key);
    }

    /// What has waited long enough is ready.
    fn ripen(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let key = entry.remove();
            self.times.remove(&key);
            self.ready(key, 0);
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Name;

    fn key(name: &str) -> Key {
        Key::Subscription(Name::new("default", name))
    }

    #[tokio::test(start_paused = true)]
    async fn the_urgent_come_first_and_the_others_in_their_order() {
        let queue = Queue::default();
        for (name, priority) in [("a", 0), ("b", 0), ("c", 10), ("a", 0)] {
            queue.wake(key(name), priority);
        }
        for name in ["c", "a", "b"] {
            assert_eq!(queue.take().await, key(name));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_else_gets_a_key_that_is_worked_on_and_a_change_meanwhile_is_not_lost() {
        let queue = Queue::default();
        queue.wake(key("a"), 0);
        let taken = queue.take().await;
        queue.wake(key("a"), 0);
        let other = tokio::time::timeout(Duration::from_secs(9), queue.take()).await;
        assert!(other.is_err());
        queue.done(&taken, true);
        assert_eq!(queue.take().await, key("a"));
        queue.done(&taken, true);
        assert!(queue.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_woken_once_and_sooner_when_it_is_named() {
        let queue = Queue::default();
        let start = Instant::now();
        for _ in 0..3 {
            queue.wake_after(key("a"), Duration::from_secs(5));
        }
        queue.wake_after(key("b"), Duration::from_secs(5));
        queue.wake(key("b"), 0);
        assert_eq!(queue.take().await, key("b"));
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(queue.take().await, key("a"));
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        queue.done(&key("a"), true);
        queue.done(&key("b"), true);
        assert!(queue.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_again_after_waits_that_grow() {
        let queue = Queue::default();
        queue.wake(key("a"), 0);
        for count in 1..5 {
            let taken = queue.take().await;
            let failed = queue.done(&taken, false).unwrap();
            assert_eq!(failed.count, count);
            assert!(failed.wait <= WAITS[0] * 2_u32.pow(count - 1));
        }
        let taken = queue.take().await;
        assert_eq!(queue.done(&taken, true), None);
        assert!(queue.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn several_workers_share_what_one_burst_brings() {
        let queue = Queue::default();
        for name in ["a", "b", "c"] {
            queue.wake(key(name), 0);
        }
        let (a, b, c) = tokio::join!(queue.take(), queue.take(), queue.take());
        assert_eq!([a, b, c].into_iter().collect::<HashSet<_>>().len(), 3);
    }
}
