//! The subjects of Jetlag's streams, made in one place.

use std::fmt;
use std::sync::Arc;

use crate::token;

/// A NATS subject (or, for a guard's scope, a pattern of subjects) that this crate made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

impl Subject {
    /// The subject of an event: `<type>.<aggregate>.<event id>`, four tokens.
    pub fn of_event(kind: &str, aggregate_id: &str, event_id: &str) -> Self {
        Self::join(&[kind, &token::encode(aggregate_id), &token::encode(event_id)])
    }

    /// Every event of this type about this aggregate, whatever its id.
    pub fn any_of_type(kind: &str, aggregate_id: &str) -> Self {
        Self::join(&[kind, &token::encode(aggregate_id), "*"])
    }

    /// Everything that was committed under this event id about this aggregate, of any type: a guard's scope.
    pub fn any_under_id(aggregate_id: &str, event_id: &str) -> Self {
        Self::join(&["*.*", &token::encode(aggregate_id), &token::encode(event_id)])
    }

    /// Everything about this aggregate.
    pub fn any_about(aggregate_id: &str) -> Self {
        Self::join(&["*.*", &token::encode(aggregate_id), "*"])
    }

    /// The receipt of a commit that has no event of its input's aggregate, and of a dead letter.
    pub fn of_receipt(function: &str, aggregate_id: &str, event_id: &str) -> Self {
        Self::join(&["done", function, &token::encode(aggregate_id), &token::encode(event_id)])
    }

    /// One piece of a function's state: `state.<function>.<kind>/<key>`, the last token encoded.
    pub fn of_state(function: &str, kind: &str, key: &str) -> Self {
        Self::join(&["state", function, &token::encode(&format!("{kind}/{key}"))])
    }

    /// The mark of an input that may have killed its process, under the id of its cause. No contract can keep a kind of
    /// state with this name.
    pub(crate) fn of_mark(function: &str, cause_id: &str) -> Self {
        Self::of_state(function, "_mark", cause_id)
    }

    /// Where a retry waits.
    pub fn of_schedule(function: &str, event_id: &str, attempt: u32) -> Self {
        Self::join(&["schedule", function, &token::encode(event_id), &attempt.to_string()])
    }

    /// Where a retry comes up when it is due.
    pub fn of_retry(function: &str, event_id: &str, attempt: u32) -> Self {
        Self::join(&["retry", function, &token::encode(event_id), &attempt.to_string()])
    }

    /// A dead letter.
    pub fn of_dead_letter(function: &str, event_id: &str) -> Self {
        Self::join(&["dlq", function, &token::encode(event_id)])
    }

    /// A subject exactly as the broker told it.
    pub fn from_broker(subject: &str) -> Self {
        Self(subject.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts of an event's subject, or `None` if it has not four tokens that decode.
    pub fn parse_event(&self) -> Option<EventSubject> {
        let mut tokens = self.0.split('.');
        let parsed = EventSubject {
            kind: format!("{}.{}", tokens.next()?, tokens.next()?),
            aggregate_id: token::decode(tokens.next()?)?,
            event_id: token::decode(tokens.next()?)?,
        };
        tokens.next().is_none().then_some(parsed)
    }

    fn join(tokens: &[&str]) -> Self {
        Self(tokens.join(".").into())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an event's subject says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSubject {
    /// The type, such as `orders.placed`.
    pub kind: String,
    /// The entity that it is about.
    pub aggregate_id: String,
    /// The event's id.
    pub event_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_subject_reads_back_whatever_its_ids_hold() {
        let subject = Subject::of_event("orders.placed", "a.b *", "x>y");
        let parts = subject.parse_event().unwrap();
        assert_eq!(
            (parts.kind.as_str(), parts.aggregate_id.as_str(), parts.event_id.as_str()),
            ("orders.placed", "a.b *", "x>y")
        );
        assert_eq!(Subject::of_state("inventory", "stock", "a/b").as_str(), "state.inventory.stock%2Fa%2Fb");
        assert_eq!(Subject::from_broker("orders.placed.x").parse_event(), None);
    }
}
