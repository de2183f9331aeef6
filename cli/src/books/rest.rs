//! Whether everything is at rest: nothing left to handle, nothing waiting, nothing given up.

use jetlag::Envelope;
use jetlag::headers;
use jetlag::jetstream::ReadMessage;
use serde::Serialize;

use super::Evidence;
use super::finding::Finding;

/// What a consumer has left to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// The stream.
    pub stream: String,
    /// The consumer's durable name: the function's.
    pub consumer: String,
    /// Inputs that it has not been given.
    pub waiting: u64,
    /// Inputs that it has been given and has not answered.
    pub unanswered: u64,
}

/// Checks consumers, retries and dead letters.
pub(super) fn check(evidence: &Evidence, findings: &mut Vec<Finding>) {
    let busy = evidence.lags.iter().filter(|lag| lag.waiting > 0 || lag.unanswered > 0);
    findings.extend(busy.cloned().map(|Lag { stream, consumer, waiting, unanswered }| Finding::Unhandled {
        stream,
        consumer,
        waiting,
        unanswered,
    }));
    if evidence.retries > 0 {
        findings.push(Finding::RetriesWaiting { messages: evidence.retries });
    }
    findings.extend(evidence.dead_letters.iter().map(dead_letter));
}

fn dead_letter(letter: &ReadMessage) -> Finding {
    let header = |name| letter.header(name).unwrap_or("?").to_owned();
    let body = || Envelope::read(&letter.payload).ok().map(|event| event.subject().to_string());
    let input = letter.header(headers::SUBJECT).map(str::to_owned).or_else(body);
    Finding::DeadLetter {
        function: header(headers::FUNCTION),
        input: input.unwrap_or_else(|| letter.subject.clone()),
        reason: header(headers::REASON),
        error: header(headers::ERROR),
    }
}
