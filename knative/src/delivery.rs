//! A contract's retries, as Knative's brokers make them.

use jetlag::{Description, RetryDescription};

use crate::kube::eventing::{Delivery, Sink};

/// The shortest step that a period of Knative has.
const STEP_MS: u64 = 100;

/// How an event for `function` is sent again, and where it goes when that does not help.
pub(crate) fn delivery(function: &Description, dead_letters: Option<&str>) -> Delivery {
    Delivery {
        retry: retries(&function.retry),
        backoff_policy: "exponential",
        backoff_delay: period(function.retry.first_delay_ms),
        dead_letter_sink: dead_letters.map(|uri| Sink { uri: uri.to_owned() }),
    }
}

/// How often it is sent again: as often as the contract says, but not after a wait that the contract would never make.
/// Knative's waits double without an end, the contract's stop at the longest; with jitter, that is as much again.
fn retries(retry: &RetryDescription) -> u32 {
    let longest = retry.max_delay_ms.saturating_mul(2);
    let wait =
        |number: u32| retry.first_delay_ms.saturating_mul(1_u64.checked_shl(number).unwrap_or(u64::MAX));
    let most = retry.max_attempts.saturating_sub(1);
    (0..most.min(u64::BITS)).take_while(|number| wait(*number) <= longest).count().try_into().unwrap_or(most)
}

/// A time as ISO 8601 has it, such as `PT1S` or `PT0.5S`.
fn period(milliseconds: u64) -> String {
    let steps = milliseconds.div_ceil(STEP_MS).max(1);
    match (steps / 10, steps % 10) {
        (seconds, 0) => format!("PT{seconds}S"),
        (seconds, tenths) => format!("PT{seconds}.{tenths}S"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_attempts_are_made_as_long_as_its_waits_would_be() {
        let retry = |first_delay_ms, max_delay_ms, max_attempts| {
            retries(&RetryDescription { first_delay_ms, max_delay_ms, max_attempts })
        };
        // 1, 2, 4, …, 64 s, where the contract waits for 60 s.
        assert_eq!(retry(1_000, 60_000, 8), 7);
        assert_eq!(retry(1_000, 60_000, 20), 7);
        assert_eq!(retry(1_000, 64_000, 9), 8);
        assert_eq!(retry(1_000, 60_000, 1), 0);
        assert_eq!(retry(0, 0, u32::MAX), 64);
    }

    #[test]
    fn a_period_is_written_as_knative_reads_it() {
        assert_eq!([1_000, 500, 90_000, 1, 0].map(period), ["PT1S", "PT0.5S", "PT90S", "PT0.1S", "PT0.1S"]);
    }
}
