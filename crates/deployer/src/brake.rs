//! The brake on mass deletion. Pure.
//!
//! What is to be deleted in one cluster and what was deleted there a short while ago are one deletion: many Descriptions of
//! few objects, deleted one after the other, are no way around it. Whoever begins anew has not seen what was deleted before;
//! what was held by then stays so for as long as that would have counted, so that a restart releases nothing.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Deletions within this time are one.
const WINDOW: Duration = Duration::from_mins(1);
/// Fewer are never held.
const FEWEST: usize = 10;

/// What was deleted lately.
#[derive(Debug)]
pub(crate) struct Brake {
    began: Instant,
    recent: VecDeque<(Instant, usize)>,
}

/// Why deletions wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is too much at once.
    TooMuch {
        /// What would go, with what has gone lately.
        going: usize,
        /// Of so many.
        of: usize,
    },
    /// It was held by whoever was at work before, who knew more.
    Before,
}

impl Default for Brake {
    fn default() -> Self {
        Self { began: Instant::now(), recent: VecDeque::new() }
    }
}

impl Brake {
    /// Whether `pending` deletions have to wait: all that nobody has confirmed, of all Descriptions. `running` are the objects
    /// the cluster has from all Descriptions, those that are to go among them. `was_held` tells whether those that are asked
    /// for have waited so far.
    pub(crate) fn check(
        &mut self,
        pending: usize,
        running: usize,
        was_held: bool,
        now: Instant,
    ) -> Result<(), Held> {
        self.forget(now);
        let gone: usize = self.recent.iter().map(|(_, count)| count).sum();
        let (going, of) = (pending + gone, running + gone);
        if going >= FEWEST && going * 2 > of {
            Err(Held::TooMuch { going, of })
        } else if was_held && now.duration_since(self.began) <= WINDOW {
            Err(Held::Before)
        } else {
            Ok(())
        }
    }

    /// Objects were deleted that nobody had to confirm.
    pub(crate) fn deleted(&mut self, count: usize, now: Instant) {
        self.forget(now);
        if count > 0 {
            self.recent.push_back((now, count));
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(when, _)| now.duration_since(*when) > WINDOW) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_of_a_cluster_waits_if_it_is_ten_objects_or_more() {
        let mut brake = Brake::default();
        let now = Instant::now();
        assert_eq!(brake.check(9, 9, false, now), Ok(()));
        assert_eq!(brake.check(10, 20, false, now), Ok(()));
        assert_eq!(brake.check(10, 19, false, now), Err(Held::TooMuch { going: 10, of: 19 }));
        assert_eq!(brake.check(0, 0, false, now), Ok(()));
    }

    #[test]
    fn many_small_deletions_are_one_large_one_until_some_time_has_passed() {
        let mut brake = Brake::default();
        let begin = Instant::now();
        let mut held_at = None;
        for gone in 0..100 {
            if brake.check(1, 100 - gone, false, begin).is_err() {
                held_at = Some(gone);
                break;
            }
            brake.deleted(1, begin);
        }
        assert_eq!(held_at, Some(50));
        assert_eq!(brake.check(1, 50, true, begin + WINDOW + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn what_was_held_before_a_restart_stays_so_for_as_long_as_it_would_have_counted() {
        let mut brake = Brake::default();
        let now = Instant::now();
        assert_eq!(brake.check(1, 50, true, now), Err(Held::Before));
        assert_eq!(brake.check(1, 50, false, now), Ok(()));
        assert_eq!(brake.check(1, 50, true, now + WINDOW + Duration::from_secs(1)), Ok(()));
    }
}
