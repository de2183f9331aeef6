//! Whether, and when, a process that ended is started again: a pure decision.

use std::time::Duration;

/// The delay after the first failure; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// A process that was up for as long as this has recovered: the count of failures starts anew.
const STEADY_AFTER: Duration = Duration::from_secs(30);
/// A service that was never up yet is given up after so many attempts: the person who starts it is waiting.
const FIRST_START_ATTEMPTS: u32 = 3;

/// The failures of one service in a row.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    in_a_row: u32,
    ever_up: bool,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start it again after this long.
    Again(Duration),
    /// Leave it: another start would end the same way.
    GiveUp,
}

impl Failures {
    /// Counts one more. `lived` is how long the process was up, `None` if it never was; `hopeless` is a failure
    /// that a restart cannot mend. A process that was up and ended in `orderly` fashion was told to stop, such as for a
    /// rolling restart: that is no failure.
    pub(crate) fn count(&mut self, lived: Option<Duration>, hopeless: bool, orderly: bool) -> Verdict {
        self.ever_up |= lived.is_some();
        if orderly && lived.is_some() {
            return Verdict::Again(FIRST_DELAY);
        }
        let steady = lived.is_some_and(|lived| lived >= STEADY_AFTER);
        self.in_a_row = if steady { 1 } else { self.in_a_row.saturating_add(1) };
        if hopeless || (!self.ever_up && self.in_a_row >= FIRST_START_ATTEMPTS) {
            return Verdict::GiveUp;
        }
        let doubled = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(self.in_a_row - 1));
        Verdict::Again(doubled.min(LONGEST_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP_BRIEFLY: Option<Duration> = Some(Duration::from_secs(1));

    #[test]
    fn delays_double_up_to_ten_seconds_and_start_anew_after_a_steady_life() {
        let mut failures = Failures::default();
        let delays: Vec<_> = (0..8)
            .map(|_| match failures.count(UP_BRIEFLY, false, false) {
                Verdict::Again(delay) => delay.as_millis(),
                Verdict::GiveUp => 0,
            })
            .collect();
        assert_eq!(delays, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(failures.count(Some(STEADY_AFTER), false, false), Verdict::Again(FIRST_DELAY));
    }

    #[test]
    fn a_process_that_was_told_to_stop_has_not_failed() {
        let mut failures = Failures::default();
        assert!((0..100).all(|_| failures.count(UP_BRIEFLY, false, true) == Verdict::Again(FIRST_DELAY)));
        assert_eq!(failures.count(UP_BRIEFLY, false, false), Verdict::Again(FIRST_DELAY));
        assert_eq!(failures.count(UP_BRIEFLY, false, false), Verdict::Again(FIRST_DELAY * 2));
    }

    #[test]
    fn a_wrong_configuration_is_not_tried_again() {
        assert_eq!(Failures::default().count(UP_BRIEFLY, true, false), Verdict::GiveUp);
    }

    #[test]
    fn what_never_was_up_is_given_up_soon_and_what_was_is_not() {
        let mut never = Failures::default();
        assert_eq!(never.count(None, false, false), Verdict::Again(FIRST_DELAY));
        never.count(None, false, false);
        assert_eq!(never.count(None, false, false), Verdict::GiveUp);

        let mut once = Failures::default();
        once.count(UP_BRIEFLY, false, false);
        assert!((0..1000).all(|_| once.count(None, false, false) != Verdict::GiveUp));
    }
}
