//! An input as it comes in: read, checked, and told where it stands.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::core::broker::{Delivery, Stream};
use crate::dead_letter::Attempt;
use crate::event::Envelope;
use crate::failure::{Reason, chain};
use crate::handler::Input;
use crate::subject::Subject;
use crate::telemetry::traceparent::{Traceparent, tracestate};
use crate::{Terms, headers, identity};

/// What an output follows from: a function and an input. Everything that a run derives is derived from this.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) function: &'static str,
    /// The input's own subject.
    pub(crate) subject: Subject,
    pub(crate) aggregate_id: String,
    /// Tells a redriven input from the one that died.
    pub(crate) redrive: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) trace_id: String,
    pub(crate) traceparent: Option<Arc<str>>,
    /// The `tracestate` that came with it, unread.
    pub(crate) tracestate: Option<Arc<str>>,
}

impl Cause {
    /// The id of the `index`th thing that follows.
    pub(crate) fn id(&self, index: usize) -> String {
        cause_id(self.function, &self.subject, self.redrive.as_deref(), index)
    }

    /// Everything that was ever committed for this cause, of any type.
    pub(crate) fn scope(&self) -> Subject {
        self.scope_of(&self.id(0))
    }

    /// The same, of a cause whose `first` id is known.
    pub(crate) fn scope_of(&self, first: &str) -> Subject {
        Subject::any_under_id(&self.aggregate_id, first)
    }
}

/// The id of the `index`th thing that follows in `function` from the input on `subject`.
pub(crate) fn cause_id(function: &str, subject: &Subject, redrive: Option<&str>, index: usize) -> String {
    identity::derive(&[function, subject.as_str(), redrive.unwrap_or_default(), &index.to_string()])
}

/// An input that can be handled.
#[derive(Debug, Clone)]
pub(crate) struct Inbound {
    pub(crate) cause: Cause,
    pub(crate) input: Input,
    pub(crate) history: Vec<Attempt>,
}

/// Why an input cannot be handled at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) reason: Reason,
    pub(crate) error: String,
}

impl Inbound {
    /// Reads `delivery` for the function of `terms`.
    pub(crate) fn read<R>(terms: &Terms, delivery: &Delivery<R>) -> Result<Self, Unreadable> {
        let envelope = Envelope::read(&delivery.payload)
            .map_err(|error| Unreadable { reason: Reason::NotAnEvent, error: chain(&error) })?;
        // The broker does not look at where a schedule leads: whoever may put off their own attempts could send others
        // something. But it tells who did.
        let scheduler = delivery.last_header("Nats-Scheduler").filter(|_| delivery.stream == Stream::Retry);
        if let Some(scheduler) = scheduler
            && scheduler.strip_prefix("schedule.").and_then(|rest| rest.split('.').next()) != Some(terms.name)
        {
            let error = format!("it was scheduled on {scheduler}, which is another function's");
            return Err(Unreadable { reason: Reason::NotAnEvent, error });
        }
        let own = envelope.subject();
        let subject = match delivery.stream {
            Stream::Events => delivery.subject.clone(),
            Stream::Retry => {
                delivery.header(headers::SUBJECT).map_or_else(|| own.clone(), Subject::from_broker)
            }
            Stream::Intake | Stream::DeadLetters | Stream::Audit => own.clone(),
        };
        if subject != own {
            let error = format!("it came on {subject}, and its id, type and aggregate_id belong on {own}");
            return Err(Unreadable { reason: Reason::NotAnEvent, error });
        }
        Ok(Self::of(terms.name, envelope, subject, delivery))
    }

    /// Reads `delivery` as far as possible: a trail holds what came, whatever it is.
    pub(crate) fn record<R>(terms: &Terms, delivery: &Delivery<R>) -> Self {
        let original = delivery
            // The last of them: the broker puts its own behind whatever was there.
            .last_header("Nats-Stream-Source")
            // Stream, sequence, filter, destination, and then the subject that it had there.
            .and_then(|source| source.split(' ').nth(4))
            .map_or_else(|| delivery.subject.clone(), Subject::from_broker);
        let envelope = Envelope::read(&delivery.payload).unwrap_or_else(|_| {
            let parts = original.parse_event();
            let id =
                parts.as_ref().map_or_else(|| delivery.sequence.to_string(), |parts| parts.event_id.clone());
            Envelope {
                trace_id: identity::trace_id(&id),
                kind: parts.as_ref().map_or_else(|| "unknown.unknown".into(), |parts| parts.kind.clone()),
                aggregate_id: parts.map_or_else(|| "unknown".into(), |parts| parts.aggregate_id),
                id,
                data: serde_json::value::RawValue::NULL.to_owned(),
                timestamp: OffsetDateTime::UNIX_EPOCH,
            }
        });
        Self::of(terms.name, envelope, original, delivery)
    }

    fn of<R>(
        function: &'static str,
        mut envelope: Envelope,
        subject: Subject,
        delivery: &Delivery<R>,
    ) -> Self {
        // Only on a retry are these the runtime's own words. On anything else they are a stranger's, and say nothing.
        let told = |name| delivery.header(name).filter(|_| delivery.stream == Stream::Retry);
        let attempt = told(headers::ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
        let history = told(headers::HISTORY).and_then(|json| serde_json::from_str(json).ok());
        let traceparent: Option<Arc<str>> = delivery.header(headers::TRACEPARENT).map(Into::into);
        // An event that names no trace belongs to the one of the message that brought it. Nearly all have it already, and need
        // no id derived for the question.
        let came: Option<Traceparent> = traceparent.as_deref().and_then(|text| text.parse().ok());
        let is_missing = |came: &Traceparent| {
            !came.is_of(&envelope.trace_id) && envelope.trace_id == identity::trace_id(&envelope.id)
        };
        if let Some(came) = came.filter(is_missing) {
            envelope.trace_id = came.trace_id();
        }
        Self {
            cause: Cause {
                function,
                subject: subject.clone(),
                aggregate_id: envelope.aggregate_id.clone(),
                redrive: told(headers::REDRIVE).map(str::to_owned),
                attempt,
                trace_id: envelope.trace_id.clone(),
                // It means nothing without a parent.
                tracestate: came.and(delivery.header(headers::TRACESTATE)).and_then(tracestate),
                traceparent: traceparent.clone(),
            },
            input: Input {
                envelope: Arc::new(envelope),
                subject,
                attempt,
                sequence: delivery.sequence,
                bytes: delivery.payload.clone(),
                traceparent,
            },
            history: history.unwrap_or_default(),
        }
    }

    /// How long after the one before the last attempt is made, if this is the last: a breaker's whole time if none is known.
    pub(crate) fn last_attempt_after(&self, terms: &Terms, now: OffsetDateTime) -> Option<Duration> {
        if self.input.attempt < terms.retry.attempts {
            return None;
        }
        let before = self.history.last().and_then(|attempt| Duration::try_from(now - attempt.at).ok());
        before.or_else(|| terms.breaker.map(|breaker| breaker.open_for))
    }

    /// The history with this attempt's failure added.
    pub(crate) fn history_with(&self, at: OffsetDateTime, error: &str) -> Vec<Attempt> {
        let mut history = self.history.clone();
        history.push(Attempt { attempt: self.input.attempt, at, error: error.to_owned() });
        history
    }
}

#[cfg(test)]
mod tests;
