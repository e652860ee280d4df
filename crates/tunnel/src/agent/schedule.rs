//! When to dial again.

use std::{ops::RangeInclusive, time::Duration};

use rand::RngExt as _;

/// The waits after the first failures, in seconds, between which one is drawn. A lost tunnel is the first failure;
/// its wait is spread from zero on, because all agents of a hub lose theirs in the same second. The second and third
/// have a floor, so that an outage of ten seconds uses up no more than three tries.
const FIRST: [RangeInclusive<f64>; 3] = [0.0..=15.0, 7.5..=15.0, 10.0..=20.0];
/// From the fourth failure on.
const LATER: RangeInclusive<f64> = 30.0..=60.0;
/// What is added at random to a Retry-After, so that everybody who was told the same does not come at once.
const SPREAD: f64 = 15.0;
/// A tunnel that lived this long was a good one: the next failure is a first one again. Whoever loses one after the other dials
/// no more often than after an outage.
const GOOD_LIFE: Duration = Duration::from_secs(15);

/// Counts failures and says how long to wait.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    failures: u32,
}

impl Schedule {
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// A tunnel ended after `life`.
    pub(super) fn lost(&mut self, life: Duration) -> Duration {
        if life >= GOOD_LIFE {
            self.failures = 0;
        }
        self.failed(None)
    }

    /// A try failed, and the parent may have said when to come again.
    pub(super) fn failed(&mut self, retry_after: Option<Duration>) -> Duration {
        let limits = FIRST.get(self.failures as usize).cloned().unwrap_or(LATER);
        self.failures = self.failures.saturating_add(1);
        let mut random = rand::rng();
        match retry_after {
            None => Duration::from_secs_f64(random.random_range(limits)),
            Some(asked) => asked + Duration::from_secs_f64(random.random_range(0.0..=SPREAD)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_retry_is_spread_over_15_s() {
        let waits: Vec<f64> = (0..2_000).map(|_| Schedule::default().lost(GOOD_LIFE).as_secs_f64()).collect();
        assert!(waits.iter().all(|wait| (0.0..=15.0).contains(wait)));
        for slice in 0..5 {
            let (from, to) = (f64::from(slice) * 3.0, f64::from(slice + 1) * 3.0);
            let share = waits.iter().filter(|wait| (from..to).contains(wait)).count();
            assert!((300..500).contains(&share), "{share} of 2000 between {from} and {to} s");
        }
    }

    #[test]
    fn after_an_outage_of_10_s_everybody_is_back_within_30_s() {
        for _ in 0..10_000 {
            let mut schedule = Schedule::default();
            let mut at = schedule.lost(GOOD_LIFE).as_secs_f64();
            while at <= 10.0 {
                at += schedule.failed(None).as_secs_f64();
            }
            assert!(at <= 30.0, "back only {at} s after the beginning of the outage");
        }
    }

    #[test]
    fn from_the_fourth_failure_on_waits_are_capped_at_60_s() {
        let mut schedule = Schedule::default();
        let early: f64 = (0..3).map(|_| schedule.failed(None).as_secs_f64()).sum();
        assert!(early <= 50.0);
        for _ in 0..1_000 {
            let wait = schedule.failed(None).as_secs_f64();
            assert!((30.0..=60.0).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn a_tunnel_that_lived_long_enough_clears_the_past_and_a_short_one_does_not() {
        let mut schedule = Schedule::default();
        for _ in 0..5 {
            schedule.failed(None);
        }
        schedule.lost(GOOD_LIFE / 2);
        assert_eq!(schedule.failures(), 6);
        assert!(schedule.lost(GOOD_LIFE) <= Duration::from_secs(15));
        assert_eq!(schedule.failures(), 1);
    }

    proptest! {
        #[test]
        fn retry_after_is_a_lower_bound_and_spread(seconds in 0_u64..600, failures in 0_u32..10) {
            let asked = Duration::from_secs(seconds);
            let wait = Schedule { failures }.failed(Some(asked));
            prop_assert!(wait >= asked && wait <= asked + Duration::from_secs(15));
        }
    }
}
