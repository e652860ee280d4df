//! What is due when: one entry for each object, nothing twice at a time.

use std::{collections::HashMap, time::Duration};

use runtime::Backoff;
use tokio::time::Instant;

/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// Objects by name, and when each is looked at next.
#[derive(Default)]
pub(crate) struct Queue {
    entries: HashMap<String, Entry>,
}

struct Entry {
    due: Option<Instant>,
    running: bool,
    backoff: Backoff,
}

impl Queue {
    /// An object is to be looked at now; what failed before is forgotten.
    pub(crate) fn now(&mut self, name: &str) {
        let entry = self.entry(name);
        entry.due = Some(Instant::now());
        entry.backoff.reset();
    }

    /// An object failed, and is to be looked at after a pause that grows.
    pub(crate) fn again(&mut self, name: &str) {
        let entry = self.entry(name);
        let pause = entry.backoff.next();
        // Something new may have come meanwhile, which does not wait.
        entry.due.get_or_insert_with(|| Instant::now() + pause);
    }

    /// An object is to be looked at after so long.
    pub(crate) fn after(&mut self, name: &str, pause: Duration) {
        self.entry(name).due.get_or_insert_with(|| Instant::now() + pause);
    }

    /// Everything that waits is due now.
    pub(crate) fn all_now(&mut self) {
        for entry in self.entries.values_mut() {
            entry.due = Some(Instant::now());
        }
    }

    /// An object is gone.
    pub(crate) fn forget(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// An object is not looked at any more.
    pub(crate) fn ended(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.running = false;
        }
    }

    /// The next object that is due; it is being looked at from now on.
    pub(crate) fn take(&mut self) -> Option<String> {
        let now = Instant::now();
        let due = self.entries.iter().filter(|(_, entry)| !entry.running);
        let due = due.filter_map(|(name, entry)| Some((entry.due.filter(|due| *due <= now)?, name)));
        let name = due.min().map(|(_, name)| name.clone())?;
        let entry = self.entries.get_mut(&name)?;
        (entry.due, entry.running) = (None, true);
        Some(name)
    }

    /// When something is due next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.values().filter(|entry| !entry.running).filter_map(|entry| entry.due).min()
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        let (first, cap) = PAUSES;
        self.entries.entry(name.to_owned()).or_insert_with(|| Entry {
            due: None,
            running: false,
            backoff: Backoff::new(first, cap),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_waits_and_what_is_new_does_not() {
        let mut queue = Queue::default();
        queue.now("a");
        assert_eq!((queue.take().as_deref(), queue.take()), (Some("a"), None));
        queue.ended("a");
        queue.again("a");
        assert_eq!(queue.take(), None);
        let due = queue.next().unwrap();
        assert!(due > Instant::now() && due <= Instant::now() + PAUSES.0);
        tokio::time::sleep_until(due).await;
        assert_eq!(queue.take().as_deref(), Some("a"));
        // New while it is being looked at: not twice at a time, but right afterwards.
        queue.now("a");
        assert_eq!((queue.take(), queue.next()), (None, None));
        queue.ended("a");
        queue.again("a");
        assert_eq!(queue.take().as_deref(), Some("a"));
    }
}
