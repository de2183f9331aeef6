//! How often and when a failed attempt is made again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use serde::Serialize;

/// No wait is longer than this before jitter, whatever a contract says.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// After so many doublings every wait is the longest: a nanosecond would be.
const DOUBLINGS_MAX: u32 = 64;

/// Exponential backoff with jitter and a maximum of attempts.
///
/// The wait before attempt n+1 is `first × 2^(n-1)`, at most [`at_most`](Self::at_most), plus up to as much again as
/// jitter, so that what failed together does not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// The wait after the first failure, in milliseconds.
    #[serde(rename = "first_delay_ms", serialize_with = "crate::contract::as_millis")]
    pub(crate) first: Duration,
    /// The longest wait before jitter, in milliseconds.
    #[serde(rename = "max_delay_ms", serialize_with = "crate::contract::as_millis")]
    pub(crate) at_most: Duration,
    /// How often the handler is run before the input becomes a dead letter.
    #[serde(rename = "max_attempts")]
    pub(crate) attempts: u32,
}

impl Retry {
    /// Waits of `first`, twice that, four times that …; 8 attempts and at most 60 s unless told otherwise.
    pub const fn exponential(first: Duration) -> Self {
        Self { first, at_most: Duration::from_secs(60), attempts: 8 }
    }

    /// The longest wait (before jitter).
    pub const fn at_most(mut self, delay: Duration) -> Self {
        self.at_most = delay;
        self
    }

    /// How often the handler runs before the input becomes a dead letter, at least 1.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = if attempts == 0 { 1 } else { attempts };
        self
    }

    /// The wait after the failure of `attempt` (from 1), jitter included, or `None` if it was the last.
    pub(crate) fn delay_after(&self, attempt: u32, jitter_seed: u64) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let longest = self.at_most.min(LONGEST);
        let doublings = attempt.saturating_sub(1).min(DOUBLINGS_MAX);
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(self.first.min(longest))
            .with_max_delay(longest)
            .with_max_times(doublings as usize + 1)
            .with_jitter()
            .with_jitter_seed(jitter_seed)
            .build();
        delays.nth(doublings as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_last_attempt_has_no_wait_after_it() {
        let retry = Retry::exponential(SECOND).attempts(3);
        assert!(retry.delay_after(2, 0).is_some());
        assert_eq!(retry.delay_after(3, 0), None);
    }

    proptest! {
        #[test]
        fn waits_double_up_to_the_maximum_with_jitter_of_at_most_as_much_again(attempt in 1u32..20, seed: u64) {
            let retry = Retry::exponential(SECOND).at_most(60 * SECOND).attempts(30);
            let bare = (SECOND * 2u32.pow(attempt - 1)).min(60 * SECOND);
            let delay = retry.delay_after(attempt, seed).unwrap();
            prop_assert!(delay >= bare && delay < bare * 2, "{delay:?} after attempt {attempt}");
            prop_assert_eq!(retry.delay_after(attempt, seed), Some(delay));
        }

        #[test]
        fn no_setting_and_no_attempt_overflows_or_waits_longer_than_allowed(
            first in any::<Duration>(), at_most in any::<Duration>(), attempts: u32, attempt: u32, seed: u64,
        ) {
            let retry = Retry::exponential(first).at_most(at_most).attempts(attempts);
            match retry.delay_after(attempt, seed) {
                None => prop_assert!(attempt >= attempts.max(1)),
                Some(delay) => {
                    let longest = at_most.min(LONGEST);
                    prop_assert!(delay >= first.min(longest) && delay <= longest * 2, "{delay:?}");
                }
            }
        }

        #[test]
        fn what_failed_together_does_not_come_back_together(seed in 0..u64::MAX - 64) {
            let retry = Retry::exponential(SECOND);
            let mut delays: Vec<_> = (0..64).map(|n| retry.delay_after(1, seed + n).unwrap()).collect();
            delays.sort_unstable();
            let (first, last) = (delays[0], delays[63]);
            prop_assert!(last - first > SECOND / 2, "64 neighbours within {:?}", last - first);
        }
    }
}
