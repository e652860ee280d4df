//! Waiting between attempts.

use std::time::Duration;

use rand::RngExt as _;

/// Exponential waiting times with full spread: after the n-th failure in a row, a random time of up to
/// `first * 2^n`, never above `cap`.
///
/// The spread is what keeps ten thousand agents from coming back in the same second.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits up to `first` after the first failure and never more than `cap`.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, failures: 0 }
    }

    /// How many failures there were since the last [`Backoff::reset`].
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The time to wait now; counts one failure. Between a tenth of the limit and the limit.
    #[expect(clippy::should_implement_trait, reason = "it never ends and is no sequence to iterate over")]
    pub fn next(&mut self) -> Duration {
        let limit =
            self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.cap);
        self.failures = self.failures.saturating_add(1).min(31);
        limit.mul_f64(rand::rng().random_range(0.1..=1.0))
    }

    /// It worked: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_start_again_after_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
        for limit in [1, 2, 4, 8, 8, 8] {
            let wait = backoff.next();
            assert!(wait <= Duration::from_secs(limit), "{wait:?} is above {limit}s");
            assert!(wait >= Duration::from_secs(limit) / 10);
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }
}
