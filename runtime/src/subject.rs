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

    /// Whether it is a [receipt](Self::of_receipt)'s: those have the form of events, and are none for a function.
    pub fn is_receipt(&self) -> bool {
        self.0.starts_with("done.")
    }

    /// One piece of a function's state: `state.<function>.<kind>/<key>`, the last token encoded.
    pub fn of_state(function: &str, kind: &str, key: &str) -> Self {
        Self::join(&["state", function, &token::encode(&format!("{kind}/{key}"))])
    }

    /// The mark of an input that may have killed its process, under the id of its cause. No contract can name this kind of
    /// state.
    pub(crate) fn of_mark(function: &str, cause_id: &str) -> Self {
        Self::of_state(function, "_jetlag", &format!("mark/{cause_id}"))
    }

    /// Where a retry waits.
    pub fn of_schedule(function: &str, event_id: &str, attempt: u32) -> Self {
        Self::join(&["schedule", function, &token::encode(event_id), &attempt.to_string()])
    }

    /// Where a retry comes up when it is due.
    pub fn of_retry(function: &str, event_id: &str, attempt: u32) -> Self {
        Self::join(&["retry", function, &token::encode(event_id), &attempt.to_string()])
    }

    /// Every attempt of one input that is on its way to `function`: waiting, or due.
    pub fn any_attempt(function: &str, event_id: &str) -> Self {
        Self::join(&["*", function, &token::encode(event_id), "*"])
    }

    /// Every retry that waits for, or is due at, `function`.
    pub fn any_retry(function: &str) -> Self {
        Self::join(&["*", function, "*.*"])
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

    /// The kind and the key of the state under this subject, or `None` if it is none of a state.
    pub fn parse_state(&self) -> Option<(String, String)> {
        let (_, token) = self.0.strip_prefix("state.")?.split_once('.')?;
        let whole = token::decode(token)?;
        let (kind, key) = whole.split_once('/')?;
        Some((kind.to_owned(), key.to_owned()))
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
    use proptest::prelude::*;

    #[test]
    fn an_events_subject_reads_back_whatever_its_ids_hold() {
        let subject = Subject::of_event("orders.placed", "a.b *", "x>y");
        let parts = subject.parse_event().unwrap();
        assert_eq!(
            (parts.kind.as_str(), parts.aggregate_id.as_str(), parts.event_id.as_str()),
            ("orders.placed", "a.b *", "x>y")
        );
        let state = Subject::of_state("inventory", "stock", "a/b");
        assert_eq!(state.as_str(), "state.inventory.stock%2Fa%2Fb");
        assert_eq!(state.parse_state(), Some(("stock".to_owned(), "a/b".to_owned())));
        assert_eq!(subject.parse_state(), None);
        assert_eq!(Subject::from_broker("orders.placed.x").parse_event(), None);
    }

    /// Ids that mean something in a subject, and any other.
    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![".*", "[.*> %a/-]{0,12}", "\\PC{0,40}", Just(String::new()), Just("state.x.>".to_owned())]
    }

    fn tokens(subject: &Subject) -> usize {
        subject
            .as_str()
            .split('.')
            .filter(|token| !token.is_empty() && !token.contains([' ', '>', '\t']))
            .count()
    }

    proptest! {
        #[test]
        fn every_event_reads_back_from_its_subject_and_from_no_other(
            kind in "[a-z0-9_-]{1,8}\\.[a-z0-9_-]{1,8}", one in hostile(), other in hostile(), id in hostile(),
        ) {
            let subject = Subject::of_event(&kind, &one, &id);
            let expected = EventSubject { kind: kind.clone(), aggregate_id: one.clone(), event_id: id.clone() };
            prop_assert_eq!(Subject::from_broker(subject.as_str()).parse_event(), Some(expected));
            prop_assert_eq!(subject.as_str().contains('*'), false);
            prop_assert_eq!(subject == Subject::of_event(&kind, &other, &id), one == other);
            prop_assert_eq!(Subject::of_event(&kind, &one, &other) == Subject::of_event(&kind, &other, &one), one == other);
        }

        #[test]
        fn no_id_changes_the_shape_of_a_subject(id in hostile(), key in hostile(), attempt: u32) {
            let made = [
                (Subject::of_event("a.b", &id, &key), 4),
                (Subject::of_receipt("f", &id, &key), 4),
                (Subject::of_state("f", "kind", &key), 3),
                (Subject::of_schedule("f", &id, attempt), 4),
                (Subject::of_retry("f", &id, attempt), 4),
                (Subject::of_dead_letter("f", &id), 3),
                (Subject::any_under_id(&id, &key), 4),
            ];
            for (subject, count) in made {
                prop_assert_eq!(subject.as_str().split('.').count(), count, "{}", subject);
                prop_assert_eq!(tokens(&subject), count, "{}", subject);
            }
        }

        #[test]
        fn different_keys_are_different_state(kind in "[a-z-]{1,5}", one in hostile(), other in hostile()) {
            let same = Subject::of_state("f", &kind, &one) == Subject::of_state("f", &kind, &other);
            prop_assert_eq!(same, one == other);
            // A kind has no slash, so that it cannot run into its key.
            let longer = Subject::of_state("f", &format!("{kind}x"), &other);
            prop_assert!(longer != Subject::of_state("f", &kind, &one));
        }

        #[test]
        fn no_text_is_parsed_with_harm(text in ".{0,60}") {
            if let Some(parts) = Subject::from_broker(&text).parse_event() {
                let again = Subject::of_event(&parts.kind, &parts.aggregate_id, &parts.event_id);
                prop_assert_eq!(again.as_str(), text);
            }
        }
    }
}
