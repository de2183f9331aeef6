//! What is wrong with a contract on streams of a sizing, however it is scaled.

use std::time::Duration;

use jetlag::topology::Sizing;
use jetlag::{DRAIN_MAX, Description, NAME_CHARS_MAX, RetryDescription};

use super::{Findings, Rule, Texts, seconds};

/// A process signals three times in the ack wait. With less than this, one long write to the broker's disk, or the choice
/// of a new leader, makes inputs come a second time that are being worked on.
const ACK_WAIT_LEAST: Duration = Duration::from_secs(5);
/// The inputs of a process that died come back after this.
const ACK_WAIT_MOST: Duration = Duration::from_secs(120);
/// After so many doublings every wait is the longest.
const DOUBLINGS_MAX: usize = 64;

pub(super) fn look(function: &Description, sizing: &Sizing, findings: &mut Findings) {
    let place = place(&function.name);
    let Description { name, time_limit_ms, retry, .. } = function;

    findings.add(name.len() > NAME_CHARS_MAX, Rule::NameTooLong, &place, || Texts {
        what: format!("the name {name} has {} characters", name.len()),
        why: "Kubernetes and KEDA make names and labels of it that may have 63, with words of their own before and after it",
        instead: format!("a name of at most {NAME_CHARS_MAX} characters"),
    });

    let drain = millis(DRAIN_MAX);
    findings.add(*time_limit_ms > drain, Rule::TimeLimitAboveDrain, &place, || Texts {
        what: format!(
            "a run may take {}, and a process that stops gives it {}",
            seconds(*time_limit_ms),
            seconds(drain)
        ),
        why: "each scale-down and each update cuts runs off: their inputs come again, and one that is cut off several times is taken for what kills its process, and becomes a dead letter",
        instead: format!(".time_limit(Duration::from_secs({})) or less, and smaller pieces of work", drain / 1000),
    });

    let (total, horizon) = (longest(retry, *time_limit_ms), millis(sizing.horizon));
    findings.add(total > horizon, Rule::HorizonBelowRetries, &place, || Texts {
        what: format!(
            "its attempts may take {} together, and events are kept for {}",
            seconds(total),
            seconds(horizon)
        ),
        why: "what tells that an input was committed before is gone when its last attempt is made: it could be done twice",
        instead: "fewer attempts or a smaller .at_most(…) in .retry(…), or a longer streams.horizon in jetlag.yaml".into(),
    });

    let ack_wait = millis(sizing.ack_wait);
    findings.add(sizing.ack_wait < ACK_WAIT_LEAST, Rule::AckWaitTooShort, &place, || Texts {
        what: format!("the ack wait is {}: a signal of work every {} ms", seconds(ack_wait), ack_wait / 3),
        why: "when the broker is slow for a moment, an input is delivered again while it is worked on: it is suspected of having killed its process, and runs alone",
        instead: format!("streams.ack_wait: {}s or more in jetlag.yaml", ACK_WAIT_LEAST.as_secs()),
    });
    findings.add(sizing.ack_wait > ACK_WAIT_MOST, Rule::AckWaitTooLong, &place, || Texts {
        what: format!("the ack wait is {}", seconds(ack_wait)),
        why: "what a process held when it died waits so long, and is lag meanwhile; a long run needs no long wait, since processes signal that they are at work",
        instead: format!("streams.ack_wait: {}s or less in jetlag.yaml", ACK_WAIT_MOST.as_secs()),
    });
}

pub(super) fn place(name: &str) -> String {
    format!("{name}: contract")
}

/// The waits between attempts, without jitter, as far as they still grow.
fn waits(retry: &RetryDescription) -> impl Iterator<Item = u64> {
    let RetryDescription { first_delay_ms, max_delay_ms, max_attempts } = *retry;
    let waits = (1..max_attempts).scan(first_delay_ms, move |next, _| {
        let wait = (*next).min(max_delay_ms);
        *next = next.saturating_mul(2);
        Some(wait)
    });
    waits.take(DOUBLINGS_MAX)
}

/// The longest wait between two attempts, without jitter.
pub(super) fn longest_wait(retry: &RetryDescription) -> u64 {
    waits(retry).max().unwrap_or(0)
}

/// How long all attempts take at most: jitter adds as much again to each wait.
fn longest(retry: &RetryDescription, time_limit_ms: u64) -> u64 {
    let attempts = u64::from(retry.max_attempts);
    let growing = waits(retry).fold(0, u64::saturating_add);
    let others = attempts.saturating_sub(1).saturating_sub(DOUBLINGS_MAX as u64);
    let waiting = growing.saturating_add(others.saturating_mul(retry.max_delay_ms));
    waiting.saturating_mul(2).saturating_add(time_limit_ms.saturating_mul(attempts))
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
