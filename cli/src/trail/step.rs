//! One line of a trail, made of one message.

use std::collections::BTreeMap;

use bytes::Bytes;
use jetlag::headers;
use jetlag::jetstream::ReadMessage;
use jetlag::{Attempt, Envelope, Subject, rfc3339};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::streams::Origin;

/// When a schedule is due.
const SCHEDULE_HEADER: &str = "Nats-Schedule";
/// What stands before the time in it.
const SCHEDULE_AT: &str = "@at ";

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// When the broker stored it, RFC 3339.
    pub at: String,
    /// Milliseconds since the step before.
    pub after_ms: u64,
    /// Milliseconds since its cause was stored, if that is about the same: the wait in the queue, failed attempts with their
    /// waits, and the run itself.
    pub took_ms: Option<u64>,
    /// What happened, such as `orders.placed`; `done.<function>` is the receipt of a function that told of nothing.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function that committed it; absent for what came from outside.
    pub function: Option<String>,
    /// The run of the function that it took, from 1.
    pub attempt: Option<u32>,
    /// The event's id.
    pub event_id: String,
    /// The W3C trace id.
    pub trace_id: Option<String>,
    /// The subject of the input that it follows from.
    pub cause: Option<String>,
    /// Its subject.
    pub subject: String,
    /// The stream that it was found in.
    pub stream: &'static str,
    /// Its sequence there.
    pub sequence: u64,
    /// What it says.
    pub data: Value,
    #[serde(skip)]
    pub(super) stored_at: OffsetDateTime,
    #[serde(skip)]
    pub(super) payload: Bytes,
}

/// What a receipt tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Receipt {
    /// Its function committed something else than an event about this.
    Committed,
    /// Its function gave the input up.
    Dead {
        /// The reason's code.
        reason: String,
    },
    /// A dead letter was sent again.
    Redriven {
        /// Its sequence.
        letter: u64,
        /// Who did it.
        by: String,
    },
}

/// An input that was given up.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetter {
    /// When, RFC 3339.
    pub at: String,
    /// By which function.
    pub function: String,
    /// The subject of the input.
    pub input: String,
    /// The reason's code; `docs/errors/<reason>.md` says what to do.
    pub reason: String,
    /// What went wrong.
    pub error: String,
    /// How often it was tried.
    pub attempts: u64,
    /// The failed attempts that are known, oldest first.
    pub history: Vec<Attempt>,
    /// Its sequence in DLQ.
    pub sequence: u64,
    /// The id that it shares with the receipt of its death.
    #[serde(skip)]
    pub(super) id: String,
    #[serde(skip)]
    pub(super) stored_at: OffsetDateTime,
}

/// A failed attempt on its way back.
#[derive(Debug, Clone, Serialize)]
pub struct Retry {
    /// When it is due, RFC 3339; absent if it is.
    pub due: Option<String>,
    /// Of which function.
    pub function: String,
    /// The subject of the input.
    pub input: String,
    /// Which run comes next, from 2.
    pub attempt: Option<u32>,
    /// What went wrong last.
    pub error: String,
    /// The failed attempts that are known, oldest first.
    pub history: Vec<Attempt>,
    /// Its sequence in RETRY.
    pub sequence: u64,
    #[serde(skip)]
    pub(super) stored_at: OffsetDateTime,
}

impl Step {
    /// The step that `message` of `stream` tells of; `None` if it is not an event's.
    pub(super) fn of(stream: &'static str, message: &ReadMessage) -> Option<Self> {
        let subject = Origin::of(message).subject;
        let parts = Subject::from_broker(&subject).parse_event()?;
        let envelope = Envelope::read(&message.payload).ok();
        let data: Option<Value> =
            envelope.as_ref().and_then(|envelope| serde_json::from_str(envelope.data.get()).ok());
        Some(Self {
            at: rfc3339(message.stored_at),
            after_ms: 0,
            took_ms: None,
            kind: parts.kind,
            function: message.header(headers::FUNCTION).map(str::to_owned),
            attempt: number(message, headers::ATTEMPT),
            event_id: parts.event_id,
            trace_id: envelope.map(|envelope| envelope.trace_id),
            cause: message.header(headers::CAUSE).map(str::to_owned).filter(|cause| *cause != subject),
            subject,
            stream,
            sequence: message.sequence,
            data: data.unwrap_or(Value::Null),
            stored_at: message.stored_at,
            payload: message.payload.clone(),
        })
    }

    /// What it tells of, if it is a receipt and no event.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        if !self.kind.starts_with("done.") {
            return None;
        }
        let text = |name: &str| self.data.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
        Some(match self.data.get("outcome").and_then(Value::as_str) {
            Some("dead_letter") => Receipt::Dead { reason: text("reason") },
            Some("redriven") => Receipt::Redriven {
                letter: self.data.get("dead_letter").and_then(Value::as_u64).unwrap_or_default(),
                by: text("by"),
            },
            _ => Receipt::Committed,
        })
    }
}

/// Fills in how long after its cause each step came; what was sent again, how long after that.
pub(super) fn time_taken(steps: &mut [Step]) {
    let stored: BTreeMap<String, OffsetDateTime> =
        steps.iter().map(|step| (step.subject.clone(), step.stored_at)).collect();
    // By function and cause: when it was sent again last, at each point in time, since steps are in order.
    let mut again: BTreeMap<(Option<String>, String), OffsetDateTime> = BTreeMap::new();
    for step in steps {
        let Some(cause) = step.cause.clone() else { continue };
        let began = stored.get(&cause).copied();
        let key = (step.function.clone(), cause);
        if matches!(step.receipt(), Some(Receipt::Redriven { .. })) {
            // A decision of its own, however long it took to come to it.
            again.insert(key, step.stored_at);
            continue;
        }
        let began = again.get(&key).copied().or(began);
        step.took_ms = began
            .map(|began| u64::try_from((step.stored_at - began).whole_milliseconds()).unwrap_or_default());
    }
}

/// Fills in how long after the one before each step came.
pub(super) fn time_between(steps: &mut [Step]) {
    let mut before: Option<OffsetDateTime> = None;
    for step in steps {
        let since = before.map(|before| (step.stored_at - before).whole_milliseconds());
        step.after_ms = since.and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default();
        before = Some(step.stored_at);
    }
}

impl DeadLetter {
    /// The dead letter that `message` is; `None` if it does not say what died.
    pub(super) fn of(message: &ReadMessage) -> Option<Self> {
        let header = |name| message.header(name).unwrap_or("?").to_owned();
        Some(Self {
            at: rfc3339(message.stored_at),
            function: header(headers::FUNCTION),
            input: input(message)?,
            reason: header(headers::REASON),
            error: header(headers::ERROR),
            attempts: history(message).len() as u64,
            history: history(message),
            sequence: message.sequence,
            id: message.subject.rsplit('.').next().unwrap_or_default().to_owned(),
            stored_at: message.stored_at,
        })
    }
}

impl Retry {
    /// The retry that `message` is; `None` if it does not say of what.
    pub(super) fn of(message: &ReadMessage) -> Option<Self> {
        let due = message.header(SCHEDULE_HEADER).and_then(|schedule| schedule.strip_prefix(SCHEDULE_AT));
        let history = history(message);
        let error = history.last().map(|attempt| attempt.error.clone());
        Some(Self {
            due: due.map(str::to_owned),
            function: message.header(headers::FUNCTION).unwrap_or("?").to_owned(),
            input: input(message)?,
            attempt: number(message, headers::ATTEMPT),
            error: error.unwrap_or_else(|| "?".to_owned()),
            history,
            sequence: message.sequence,
            stored_at: message.stored_at,
        })
    }
}

/// The subject under which the input first came: in a header, or from its body.
///
/// What came from outside on its bare type has no other subject than the one that its body gives it.
fn input(message: &ReadMessage) -> Option<String> {
    let told = message.header(headers::SUBJECT).map(str::to_owned);
    let told = told.filter(|subject| Subject::from_broker(subject).parse_event().is_some());
    told.or_else(|| Envelope::read(&message.payload).ok().map(|event| event.subject().to_string()))
}

/// The attempts so far.
fn history(message: &ReadMessage) -> Vec<Attempt> {
    let json = message.header(headers::HISTORY).and_then(|json| serde_json::from_str(json).ok());
    json.unwrap_or_default()
}

fn number(message: &ReadMessage, header: &str) -> Option<u32> {
    message.header(header)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: &str, headers: &[(&str, &str)], payload: &str) -> ReadMessage {
        ReadMessage {
            subject: subject.to_owned(),
            sequence: 7,
            stored_at: OffsetDateTime::UNIX_EPOCH,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            payload: payload.to_owned().into(),
        }
    }

    #[test]
    fn a_copy_in_the_audit_trail_is_the_step_that_it_copies() {
        let source = "EVENTS 41 *.*.*.* audit.{{partition(8,3)}} orders.placed.1.e";
        let step = Step::of("AUDIT", &message("audit.0", &[("Nats-Stream-Source", source)], "{}")).unwrap();
        assert_eq!((step.kind.as_str(), step.event_id.as_str(), step.function), ("orders.placed", "e", None));
        assert!(Step::of("AUDIT", &message("audit.0", &[], "{}")).is_none());
    }

    #[test]
    fn a_retry_says_when_it_is_due_and_what_went_wrong() {
        let history = r#"[{"attempt":1,"at":"2025-01-01T00:00:00Z","error":"no answer"}]"#;
        let headers = [
            ("Jetlag-Subject", "inventory.reserved.1.e"),
            ("Jetlag-Function", "payment"),
            ("Jetlag-Attempt", "2"),
            ("Jetlag-History", history),
            ("Nats-Schedule", "@at 2025-01-01T00:00:01Z"),
        ];
        let retry = Retry::of(&message("schedule.payment.x.2", &headers, "")).unwrap();
        assert_eq!((retry.attempt, retry.error.as_str()), (Some(2), "no answer"));
        assert_eq!(retry.due.as_deref(), Some("2025-01-01T00:00:01Z"));
    }

    #[test]
    fn a_dead_letter_from_outside_is_about_what_its_body_says() {
        let body = r#"{"id":"e","type":"orders.placed","aggregate_id":"1","data":{},"timestamp":"2025-01-01T00:00:00Z"}"#;
        let letter = message("dlq.order.intake-3", &[("Jetlag-Subject", "orders.placed")], body);
        assert_eq!(DeadLetter::of(&letter).unwrap().input, "orders.placed.1.e");
    }

    #[test]
    fn steps_are_timed_from_one_to_the_next() {
        let at = |ms| {
            let mut step = Step::of("EVENTS", &message("a.b.c.d", &[], "")).unwrap();
            step.stored_at += time::Duration::milliseconds(ms);
            step
        };
        let mut steps = [at(0), at(12), at(12)];
        time_between(&mut steps);
        assert_eq!(steps.map(|step| step.after_ms), [0, 12, 0]);
    }
}
