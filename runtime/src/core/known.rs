//! What is known of an input without running it: whether it was answered for, by what a run would have left.

use crate::core::broker::{Broker, Stored, Stream};
use crate::core::inbound::cause_id;
use crate::event::Envelope;
use crate::failure::Reason;
use crate::headers;
use crate::state::Unavailable;
use crate::subject::Subject;

/// Whether an input was answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Its effects are committed, or its dead letter is written.
    Yes,
    /// Its receipt of death is there, its dead letter is not: whoever began to bury it did not come to the end of that.
    HalfDead(Reason),
    /// Nothing tells of it.
    No,
}

/// An input of one function, and where whatever became of it would be found.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The id under which retries wait and dead letters lie.
    pub(crate) id: String,
    /// The subject under which the input first came.
    pub(crate) subject: Subject,
    /// Where a commit would be; nowhere for bytes that are not an event.
    guard: Option<Subject>,
    /// Which attempt this is.
    pub(crate) attempt: u32,
}

impl Known {
    /// The input `stored` of `function`, which it reads from `stream`.
    pub(crate) fn of(function: &str, stream: Stream, stored: &Stored) -> Self {
        let envelope = Envelope::read(&stored.payload).ok();
        let own = envelope.as_ref().map(Envelope::subject);
        let is_retry = stream == Stream::Retry;
        let told = stored.header(headers::SUBJECT).filter(|_| is_retry).map(Subject::from_broker);
        let subject = match (stream, told, &own) {
            (Stream::Retry, Some(told), _) => told,
            (Stream::Retry | Stream::Intake, _, Some(own)) => own.clone(),
            _ => stored.subject.clone(),
        };
        let attempt = stored.header(headers::ATTEMPT).filter(|_| is_retry);
        let attempt = attempt.and_then(|text| text.parse().ok()).unwrap_or(1);
        // As `Inbound::read` has it: an event on another subject than its own is none.
        match envelope.filter(|_| own.as_ref() == Some(&subject)) {
            Some(envelope) => {
                let redrive = stored.header(headers::REDRIVE).filter(|_| is_retry);
                let id = cause_id(function, &subject, redrive, 0);
                let guard = Some(Subject::any_under_id(&envelope.aggregate_id, &id));
                Self { id, subject, guard, attempt }
            }
            None => Self { id: unreadable_id(stream, stored.sequence), subject, guard: None, attempt },
        }
    }

    /// Looks whether `function` has answered for it.
    pub(crate) async fn answered<B: Broker>(
        &self,
        broker: &B,
        function: &str,
    ) -> Result<Answered, Unavailable> {
        let committed = match &self.guard {
            Some(guard) => broker.last_at_leader(Stream::Events, guard).await?,
            None => None,
        };
        let dead = committed.as_ref().and_then(|found| found.header(headers::REASON)).map(Reason::of_code);
        if committed.is_some() && dead.is_none() {
            return Ok(Answered::Yes);
        }
        let letter = Subject::of_dead_letter(function, &self.id);
        if broker.last_at_leader(Stream::DeadLetters, &letter).await?.is_some() {
            return Ok(Answered::Yes);
        }
        if let Some(reason) = dead {
            return Ok(Answered::HalfDead(reason));
        }
        Ok(Answered::No)
    }

    /// Whether a retry of it waits or is due, and will be answered for.
    ///
    /// A retry is only taken away once the next one, or what ends them, is there: whoever sees it sees enough, even if it
    /// is gone by now.
    pub(crate) async fn is_under_way<B: Broker>(
        &self,
        broker: &B,
        function: &str,
    ) -> Result<bool, Unavailable> {
        let attempts = Subject::any_attempt(function, &self.id);
        Ok(broker.last_at_leader(Stream::Retry, &attempts).await?.is_some())
    }
}

/// The id of bytes that are not an event.
pub(crate) fn unreadable_id(stream: Stream, sequence: u64) -> String {
    format!("{stream:?}-{sequence}").to_lowercase()
}

#[cfg(test)]
mod tests;
