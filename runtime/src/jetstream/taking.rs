//! Whether the broker takes what is published. A stream that has lost its disk or its majority goes on delivering and
//! answering questions about itself; only publishing tells.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::broker::PublishError;

/// How long nothing must have been taken before that is told.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a failure tells something about now. Longer than a failed commit takes to come again, and not for ever: a
/// process that is given no requests because it is not ready would otherwise never find out that it could be.
const FRESH: Duration = Duration::from_secs(20);

/// What came of the last attempts to publish.
#[derive(Debug, Default)]
pub(super) struct Taking {
    failing: Mutex<Option<Failing>>,
}

/// Attempts that failed, since the last one that did not.
#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    why: String,
}

impl Taking {
    /// Takes note of what came of an attempt at `now`. To be refused, or told that the stream is full, says neither that it
    /// takes something nor that it does not: a stream without a disk still compares sequences.
    pub(super) fn note(&self, result: &Result<u64, PublishError>, now: Instant) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => *failing = None,
            Err(PublishError::Refused | PublishError::Full) => {}
            Err(PublishError::Rejected(why) | PublishError::Ambiguous(why)) => {
                let since = failing.as_ref().filter(|failing| failing.is_fresh(now)).map_or(now, |f| f.since);
                *failing = Some(Failing { since, last: now, why: why.clone() });
            }
        }
    }

    /// Why nothing is taken, if that has been so for longer than [`PATIENCE`].
    pub(super) fn trouble(&self, now: Instant) -> Option<String> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = failing.as_ref().filter(|failing| failing.is_fresh(now))?;
        (now.duration_since(failing.since) >= PATIENCE).then(|| failing.why.clone())
    }
}

impl Failing {
    fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.last) < FRESH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Result<u64, PublishError> {
        Err(PublishError::Ambiguous("no answer".into()))
    }

    #[test]
    fn failures_tell_once_they_last_and_until_something_is_taken() {
        let (taking, start) = (Taking::default(), Instant::now());
        taking.note(&failure(), start);
        assert_eq!(taking.trouble(start), None, "one may be an accident");
        taking.note(&failure(), start + PATIENCE);
        assert_eq!(taking.trouble(start + PATIENCE).as_deref(), Some("no answer"));
        taking.note(&Err(PublishError::Refused), start + PATIENCE);
        assert_eq!(taking.trouble(start + PATIENCE).as_deref(), Some("no answer"), "refused is not taken");
        taking.note(&Ok(1), start + PATIENCE);
        assert_eq!(taking.trouble(start + PATIENCE), None);
    }

    #[test]
    fn an_old_failure_tells_nothing_about_now() {
        let (taking, start) = (Taking::default(), Instant::now());
        taking.note(&failure(), start);
        taking.note(&failure(), start + PATIENCE);
        let later = start + PATIENCE + FRESH;
        assert_eq!(taking.trouble(later), None);
        taking.note(&failure(), later);
        assert_eq!(taking.trouble(later), None, "it begins anew");
    }
}
