//! How a handler fails, and the reasons for which an input becomes a dead letter.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How many bytes of an error's text are kept.
pub(crate) const ERROR_BYTES_MAX: usize = 600;

/// What a handler's `Err` means. Any error turned into one with `?` means: try again.
///
/// ```
/// # use jetlag::Failure;
/// fn parse(text: &str) -> Result<u32, Failure> {
///     Ok(text.parse()?) // a failed attempt: it will be tried again
/// }
///
/// fn check(amount: u32) -> Result<(), Failure> {
///     if amount == 0 {
///         return Err(Failure::reject("nothing to charge")); // no retry mends this: a dead letter at once
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Failure {
    pub(crate) verdict: Verdict,
    pub(crate) error: String,
}

/// What is to be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Again later, by the contract's backoff or after the time that was asked for.
    Retry { after: Option<Duration> },
    /// Again later, and it counts towards the contract's circuit breaker.
    Outage { after: Option<Duration> },
    /// Nothing was attempted: the broker does not answer. No attempt is counted.
    Release,
    /// Never again.
    Reject(Reason),
}

impl Failure {
    /// A failed attempt, to be tried again not before `delay` has passed.
    pub fn retry_after(delay: Duration, why: impl fmt::Display) -> Self {
        Self::new(Verdict::Retry { after: Some(delay) }, why.to_string())
    }

    /// A failed attempt, to be tried again by the contract's backoff.
    pub fn retry(why: impl fmt::Display) -> Self {
        Self::new(Verdict::Retry { after: None }, why.to_string())
    }

    /// A business failure that no retry mends: the input becomes a dead letter at once.
    pub fn reject(why: impl fmt::Display) -> Self {
        Self::new(Verdict::Reject(Reason::Rejected), why.to_string())
    }

    /// Something that the function depends on does not answer, or answers that it cannot: a failed attempt that
    /// counts towards the contract's [`Breaker`](crate::Breaker), and none at all if that is open then. A refusal by a
    /// dependency that works is not one.
    pub fn outage(error: impl Error) -> Self {
        Self::new(Verdict::Outage { after: None }, chain(&error))
    }

    /// An [`outage`](Self::outage) whose end is known: nothing is asked before `delay` has passed. A
    /// [`Breaker`](crate::Breaker) that opens because of it stays open as long, up to five minutes.
    pub fn outage_after(delay: Duration, error: impl Error) -> Self {
        Self::new(Verdict::Outage { after: Some(delay) }, chain(&error))
    }

    /// Whether it counts towards the contract's circuit breaker: for tests of a handler.
    pub const fn is_outage(&self) -> bool {
        matches!(self.verdict, Verdict::Outage { .. })
    }

    /// Whether no retry mends it: for tests of a handler.
    pub const fn is_reject(&self) -> bool {
        self.is_final()
    }

    /// How long the next attempt is to wait, where the handler has said it: for tests of a handler.
    pub const fn delay(&self) -> Option<Duration> {
        match self.verdict {
            Verdict::Retry { after } | Verdict::Outage { after } => after,
            Verdict::Release | Verdict::Reject(_) => None,
        }
    }

    /// An outage that the handler did not notice itself.
    pub(crate) fn unanswered(why: impl fmt::Display) -> Self {
        Self::new(Verdict::Outage { after: None }, why.to_string())
    }

    pub(crate) fn because(reason: Reason, why: impl fmt::Display) -> Self {
        Self::new(Verdict::Reject(reason), why.to_string())
    }

    pub(crate) fn release(error: impl Error) -> Self {
        Self::new(Verdict::Release, chain(&error))
    }

    /// Whether no attempt follows, whatever the number of attempts.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self.verdict, Verdict::Reject(_))
    }

    /// What it is, for programs.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.verdict {
            Verdict::Retry { .. } => "retry",
            Verdict::Outage { .. } => "outage",
            Verdict::Release => "release",
            Verdict::Reject(reason) => reason.code(),
        }
    }

    fn new(verdict: Verdict, error: String) -> Self {
        Self { verdict, error: cut(error) }
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retry(chain(&error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    cut(text)
}

fn cut(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        let end = (0..=ERROR_BYTES_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Why an input became a dead letter. Each has a page in docs/errors/.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The bytes are not an event.
    NotAnEvent,
    /// The function does not listen to this type.
    UnknownType,
    /// The data is not of its type's form, or not valid.
    InvalidData,
    /// An event of a type that an aggregate has once came a second time, under another id.
    AlreadyExists,
    /// The handler rejected it.
    Rejected,
    /// Every attempt failed.
    AttemptsExhausted,
    /// Its process died each time that it was run while nothing else ran there.
    ProcessDied,
    /// The effects do not fit into one commit.
    EffectsTooLarge,
    /// The effects are not what the contract allows, or do not serialise.
    EffectsInvalid,
}

impl Reason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::NotAnEvent,
        Self::UnknownType,
        Self::InvalidData,
        Self::AlreadyExists,
        Self::Rejected,
        Self::AttemptsExhausted,
        Self::ProcessDied,
        Self::EffectsTooLarge,
        Self::EffectsInvalid,
    ];

    /// The code, as headers, logs, metrics and the page's name in docs/errors/ have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAnEvent => "not_an_event",
            Self::UnknownType => "unknown_type",
            Self::InvalidData => "invalid_data",
            Self::AlreadyExists => "already_exists",
            Self::Rejected => "rejected",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::ProcessDied => "process_died",
            Self::EffectsTooLarge => "effects_too_large",
            Self::EffectsInvalid => "effects_invalid",
        }
    }
}

impl Reason {
    /// The reason with this code; one that is unknown here is taken for a rejection.
    pub(crate) fn of_code(code: &str) -> Self {
        Self::ALL.iter().copied().find(|reason| reason.code() == code).unwrap_or(Self::Rejected)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Turns a missing value into a rejection.
pub trait OrReject<T> {
    /// The value, or a [`Failure::reject`] that says `why`.
    ///
    /// # Errors
    /// There is no value.
    fn or_reject(self, why: impl fmt::Display) -> Result<T, Failure>;
}

impl<T> OrReject<T> for Option<T> {
    fn or_reject(self, why: impl fmt::Display) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::reject(why))
    }
}

impl<T, E: Error> OrReject<T> for Result<T, E> {
    fn or_reject(self, why: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::reject(format_args!("{why}: {}", chain(&error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_means_again_and_only_a_rejection_means_never() {
        let failed: Failure = "x".parse::<u32>().unwrap_err().into();
        assert_eq!(failed.verdict, Verdict::Retry { after: None });
        assert_eq!(None::<u8>.or_reject("no amount").unwrap_err().verdict, Verdict::Reject(Reason::Rejected));
    }

    #[test]
    fn a_test_of_a_handler_sees_what_a_failure_means() {
        let down = || std::io::Error::other("down");
        let delay = Duration::from_secs(7);
        let seen = |failure: Failure| (failure.is_outage(), failure.is_reject(), failure.delay());
        assert_eq!(seen(Failure::outage(down())), (true, false, None));
        assert_eq!(seen(Failure::outage_after(delay, down())), (true, false, Some(delay)));
        assert_eq!(seen(Failure::retry_after(delay, "later")), (false, false, Some(delay)));
        assert_eq!(seen(Failure::reject("never")), (false, true, None));
    }

    #[test]
    fn an_errors_text_is_bounded_at_a_characters_border() {
        let text = Failure::retry("é".repeat(ERROR_BYTES_MAX)).to_string();
        assert!(text.len() <= ERROR_BYTES_MAX + '…'.len_utf8());
    }

    #[test]
    fn codes_are_the_names_that_are_written() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_string(reason).unwrap(), format!("\"{reason}\""));
        }
    }
}
