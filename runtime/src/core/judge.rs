//! What is to be done with an input, decided without doing anything.

use std::time::Duration;

use crate::core::breaker::{Health, Outage};
use crate::core::engine::RELEASE_DELAY;
use crate::failure::{Failure, Reason, Verdict};
use crate::retry::Retry;

/// What becomes of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Its effects are committed, now or by an earlier run: acknowledge it.
    Ack {
        /// Whether an earlier run had committed them.
        already: bool,
    },
    /// This attempt failed; another one follows.
    Retry {
        /// Not before this has passed.
        after: Duration,
        /// Why it failed.
        error: String,
    },
    /// No attempt follows.
    DeadLetter {
        /// Why, for programs.
        reason: Reason,
        /// Why, for people.
        error: String,
    },
    /// It was not attempted, or could not be finished: back to the broker, and no attempt is counted.
    Release {
        /// Not before this has passed.
        after: Duration,
        /// Why.
        why: String,
    },
}

impl Disposition {
    /// The name that logs and metrics have for it.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Ack { already: false } => "success",
            Self::Ack { already: true } => "duplicate",
            Self::Retry { .. } => "retry",
            Self::DeadLetter { .. } => "dead_letter",
            Self::Release { .. } => "released",
        }
    }
}

/// What follows from `failure` on `attempt` (from 1). With a `rest`, the circuit breaker is open: an outage then spends no
/// attempt, and the input rests for so long.
pub(crate) fn judge(
    failure: Failure,
    attempt: u32,
    retry: &Retry,
    jitter_seed: u64,
    rest: Option<Duration>,
) -> Disposition {
    let Failure { verdict, error } = failure;
    let asked_for = match verdict {
        Verdict::Reject(reason) => return Disposition::DeadLetter { reason, error },
        Verdict::Retry { after } => after,
        Verdict::Release => return Disposition::Release { after: RELEASE_DELAY, why: error },
        Verdict::Outage { after: asked_for } => match rest {
            Some(rest) => return Disposition::Release { after: rest, why: error },
            None => asked_for,
        },
    };
    match retry.delay_after(attempt, jitter_seed) {
        None => Disposition::DeadLetter { reason: Reason::AttemptsExhausted, error },
        Some(backoff) => Disposition::Retry { after: asked_for.unwrap_or(backoff), error },
    }
}

/// What a run tells of the function's dependency; `last_after` as in [`Outage`].
pub(crate) const fn health<T>(result: &Result<T, Failure>, last_after: Option<Duration>) -> Health {
    match result {
        Ok(_) => Health::Up,
        Err(Failure { verdict: Verdict::Outage { after }, .. }) => {
            Health::Down(Outage { asked_for: *after, last_after })
        }
        Err(Failure { verdict: Verdict::Reject(Reason::Rejected), .. }) => Health::Up,
        Err(_) => Health::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry::exponential(Duration::from_secs(1)).attempts(3);

    #[test]
    fn failures_are_retried_until_the_last_attempt() {
        assert!(matches!(judge(Failure::retry("x"), 1, &RETRY, 0, None), Disposition::Retry { .. }));
        let last = judge(Failure::retry("x"), 3, &RETRY, 0, None);
        assert_eq!(last, Disposition::DeadLetter { reason: Reason::AttemptsExhausted, error: "x".into() });
    }

    #[test]
    fn a_rejection_is_never_retried_and_a_time_asked_for_is_kept() {
        assert!(matches!(judge(Failure::reject("x"), 1, &RETRY, 0, None), Disposition::DeadLetter { .. }));
        let asked = Failure::retry_after(Duration::from_secs(77), "x");
        assert!(
            matches!(judge(asked, 1, &RETRY, 0, None), Disposition::Retry { after, .. } if after.as_secs() == 77)
        );
    }

    #[test]
    fn an_outage_spends_an_attempt_only_while_the_breaker_is_closed() {
        let outage = |after| Failure { verdict: Verdict::Outage { after }, error: "x".into() };
        let (rest, longer) = (Duration::from_secs(30), Duration::from_secs(77));
        for attempt in [1, 3] {
            let judged = judge(outage(None), attempt, &RETRY, 0, Some(rest));
            assert_eq!(judged, Disposition::Release { after: rest, why: "x".into() });
        }
        assert!(
            matches!(judge(outage(Some(longer)), 1, &RETRY, 0, None), Disposition::Retry { after, .. } if after == longer)
        );
        assert!(matches!(judge(outage(None), 3, &RETRY, 0, None), Disposition::DeadLetter { .. }));
        // Other failures are the input's own, whatever the breaker does.
        assert!(matches!(judge(Failure::retry("x"), 1, &RETRY, 0, Some(rest)), Disposition::Retry { .. }));
    }
}
