//! The event: the article's JSON envelope, checked at the door.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{DecodeError, EventKind, Incoming, subject::Subject, token};

/// The most bytes that an event's id or its aggregate's id may have.
pub const ID_BYTES_MAX: usize = 128;
/// The most bytes that a type may have.
pub(crate) const TYPE_BYTES_MAX: usize = 96;
/// What an envelope has beside its ids and its data: names, marks and a moment.
const NAMES_BYTES: usize = 128;

/// An event as a handler sees it: the envelope, with its data typed.
#[derive(Debug, Clone)]
pub struct Event<T> {
    /// What happened.
    pub data: T,
    /// The event's own id.
    pub id: String,
    /// The entity that it is about.
    pub aggregate_id: String,
    /// When it happened.
    pub timestamp: OffsetDateTime,
    /// The W3C trace id, 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// Which run of the handler on this event this is, from 1.
    pub attempt: u32,
    pub(crate) subject: Subject,
    pub(crate) traceparent: Option<Arc<str>>,
}

impl<T> Event<T> {
    /// A key for calls to the outside world: the same for every attempt, every replica and every redrive of this
    /// event, and for no other event. `purpose` tells several calls of one handler apart.
    pub fn idempotency_key(&self, purpose: &str) -> String {
        crate::identity::derive(&[purpose, self.subject.as_str()])
    }

    /// The event's own subject, `<type>.<aggregate>.<id>`: what [`idempotency_key`](Self::idempotency_key) is made of.
    pub fn subject(&self) -> &str {
        self.subject.as_str()
    }

    /// Whether it only says that something was done for another one. Nobody is given such but who reads the trail.
    pub fn is_receipt(&self) -> bool {
        self.subject.is_receipt()
    }

    /// The W3C `traceparent` under which the event is being handled, for calls to the outside world.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }
}

impl<T: crate::Payload> Event<T> {
    /// An event of `data` with made-up but stable envelope fields: for calling a handler directly in a test.
    pub fn of(data: T) -> Self {
        let aggregate_id = data.aggregate_id().to_owned();
        let id = format!("{aggregate_id}-{}", T::TYPE.replace('.', "-"));
        Self {
            subject: Subject::of_event(T::TYPE, &aggregate_id, &id),
            trace_id: crate::identity::trace_id(&id),
            timestamp: OffsetDateTime::UNIX_EPOCH,
            attempt: 1,
            traceparent: None,
            data,
            id,
            aggregate_id,
        }
    }
}

impl<T> Event<T> {
    /// The same envelope around other data.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Event<U> {
        Event {
            data: with(self.data),
            id: self.id,
            aggregate_id: self.aggregate_id,
            timestamp: self.timestamp,
            trace_id: self.trace_id,
            attempt: self.attempt,
            subject: self.subject,
            traceparent: self.traceparent,
        }
    }
}

/// Any event, with its data unread: what a function that listens to everything is given. Receipts, which the runtime notes in
/// the same stream, are not among them; whoever reads the trail has them too.
#[derive(Debug, Clone)]
pub struct AnyEvent {
    /// The type of the event.
    pub kind: String,
    /// Its data, as it came.
    pub data: Box<RawValue>,
}

impl Incoming for AnyEvent {
    const KINDS: &'static [EventKind] = &[EventKind {
        name: "*.*",
        aggregate: "aggregate",
        once_per_aggregate: false,
        example: || None,
        check: |_| Ok(String::new()),
    }];

    fn decode(kind: &str, data: &RawValue) -> Result<Self, DecodeError> {
        Ok(Self { kind: kind.into(), data: data.to_owned() })
    }
}

/// The envelope on the wire. Field order is the article's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// The event's own id, 1 to [`ID_BYTES_MAX`] bytes.
    pub id: String,
    /// Two tokens, such as `orders.placed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The entity that it is about, 1 to [`ID_BYTES_MAX`] bytes.
    pub aggregate_id: String,
    /// What happened.
    pub data: Box<RawValue>,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// The W3C trace id. One that is missing or of another form is replaced by one derived from the event's id.
    #[serde(default)]
    pub trace_id: String,
}

/// Why bytes are not an event.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or not the envelope's form.
    #[error(
        "not an event: it must be a JSON object with id, type, aggregate_id, data, timestamp and trace_id"
    )]
    Malformed(#[source] serde_json::Error),
    /// An id is empty, too long, or holds control characters.
    #[error("{field} must have 1 to {ID_BYTES_MAX} bytes and no control characters, but {why}")]
    Id {
        /// `id` or `aggregate_id`.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The type does not consist of two tokens.
    #[error(
        "type {kind:?} must be two words of lower-case letters, digits, - and _ joined by a dot, such as orders.placed"
    )]
    Type {
        /// The type as it came, cut short.
        kind: String,
    },
}

impl Envelope {
    /// Reads an event from `json` and checks its envelope.
    ///
    /// # Errors
    /// The JSON is not an envelope, or an id or the type is out of its limits.
    pub fn read(json: &[u8]) -> Result<Self, EnvelopeError> {
        // Looked through as text once: of bytes, each string would be.
        let read = str::from_utf8(json).map_or_else(|_| serde_json::from_slice(json), serde_json::from_str);
        let mut envelope: Self = read.map_err(EnvelopeError::Malformed)?;
        envelope.check()?;
        if !crate::identity::is_trace_id(&envelope.trace_id) {
            envelope.trace_id = crate::identity::normal_trace_id(&envelope.trace_id, &envelope.id);
        }
        Ok(envelope)
    }

    /// Whether ids and type are within their limits.
    ///
    /// # Errors
    /// They are not.
    pub fn check(&self) -> Result<(), EnvelopeError> {
        check_id("id", &self.id)?;
        check_id("aggregate_id", &self.aggregate_id)?;
        if is_type(&self.kind) {
            Ok(())
        } else {
            let kind = self.kind.chars().take(TYPE_BYTES_MAX).collect();
            Err(EnvelopeError::Type { kind })
        }
    }

    /// The subject that this event has, and no other event: `<type>.<aggregate>.<id>`.
    pub fn subject(&self) -> Subject {
        Subject::of_event(&self.kind, &self.aggregate_id, &self.id)
    }

    /// The event as JSON.
    ///
    /// # Errors
    /// Its timestamp is outside RFC 3339's years.
    pub fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let ids = self.id.len() + self.kind.len() + self.aggregate_id.len() + self.trace_id.len();
        let mut json = Vec::with_capacity(self.data.get().len() + ids + NAMES_BYTES);
        serde_json::to_writer(&mut json, self)?;
        Ok(json)
    }
}

/// Checks the length and the characters of an id that comes from outside.
///
/// # Errors
/// It is empty, longer than [`ID_BYTES_MAX`], or holds control characters.
pub(crate) fn check_id(field: &'static str, id: &str) -> Result<(), EnvelopeError> {
    let why = if id.is_empty() {
        "it is empty".to_owned()
    } else if id.len() > ID_BYTES_MAX {
        format!("it has {} bytes", id.len())
    } else if id.chars().any(char::is_control) {
        "it has a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(EnvelopeError::Id { field, why })
}

/// Whether `kind` is a type: two tokens of lower-case letters, digits, `-` and `_`.
pub(crate) fn is_type(kind: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    kind.len() <= TYPE_BYTES_MAX
        && kind.split_once('.').is_some_and(|(domain, verb)| is_word(domain) && is_word(verb))
}

/// A moment as RFC 3339 text, as events and logs show it.
pub fn rfc3339(moment: OffsetDateTime) -> String {
    // Only years beyond 9999 fail, which no clock here reaches.
    moment.format(&Rfc3339).unwrap_or_else(|_| token::encode(&moment.to_string()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const ARTICLE: &str = r#"{"id":"6f1f0e9c-7f5a-4a53-9d0a-8a8f4a3a3c55","type":"orders.placed","aggregate_id":"ORD-1",
        "data":{"order_id":"ORD-1","customer_id":"C-1","amount":12.50},"timestamp":"2025-01-02T03:04:05.123456789Z",
        "trace_id":"0af7651916cd43dd8448eb211c80319c"}"#;

    #[test]
    fn the_articles_event_is_read_and_its_data_kept_to_the_byte() {
        let event = Envelope::read(ARTICLE.as_bytes()).unwrap();
        assert_eq!(event.kind, "orders.placed");
        assert_eq!(event.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(event.data.get(), r#"{"order_id":"ORD-1","customer_id":"C-1","amount":12.50}"#);
        assert_eq!(event.subject().as_str(), "orders.placed.ORD-1.6f1f0e9c-7f5a-4a53-9d0a-8a8f4a3a3c55");
        let again = Envelope::read(&event.write().unwrap()).unwrap();
        assert_eq!(again.timestamp, event.timestamp);
    }

    #[test]
    fn a_trace_id_of_another_form_is_made_one() {
        let uuid =
            ARTICLE.replace("0af7651916cd43dd8448eb211c80319c", "0AF76519-16cd-43dd-8448-eb211c80319c");
        assert_eq!(Envelope::read(uuid.as_bytes()).unwrap().trace_id, "0af7651916cd43dd8448eb211c80319c");
        let odd = ARTICLE.replace("0af7651916cd43dd8448eb211c80319c", "req 7");
        assert_eq!(Envelope::read(odd.as_bytes()).unwrap().trace_id.len(), 32);
    }

    #[test]
    fn bad_envelopes_are_refused_with_what_is_wrong() {
        let refused = |json: &str| Envelope::read(json.as_bytes()).unwrap_err().to_string();
        assert!(refused("{").contains("must be a JSON object"));
        assert!(refused("[]").contains("must be a JSON object"));
        assert!(
            refused(&ARTICLE.replace("ORD-1\",\n", "\",\n"))
                .contains("aggregate_id must have 1 to 128 bytes")
        );
        assert!(refused(&ARTICLE.replace("6f1f0e9c", &"x".repeat(10_000))).contains("but it has"));
        assert!(refused(&ARTICLE.replace("6f1f0e9c", "\\u0000\\n")).contains("control character"));
        for kind in
            ["orders", "orders.placed.now", "Orders.placed", "orders.*", "orders.>", "orders. placed", "."]
        {
            assert!(refused(&ARTICLE.replace("orders.placed", kind)).contains("must be two words"), "{kind}");
        }
        assert!(refused(&ARTICLE.replace("2025-01-02T", "2025-13-02T")).contains("not an event"));
    }

    #[test]
    fn ids_with_dots_spaces_and_wildcards_make_one_token_each() {
        let event = Envelope::read(ARTICLE.replace("\"ORD-1\",\n", "\"a.b *>\",\n").as_bytes()).unwrap();
        assert_eq!(event.subject().as_str().split('.').count(), 4);
    }

    /// Numbers as JSON writes them: of any size, any precision, and any form.
    fn number() -> impl Strategy<Value = String> {
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?"
    }

    fn json() -> impl Strategy<Value = String> {
        let text = |text: String| serde_json::to_string(&text).unwrap();
        let leaf = prop_oneof![number(), ".{0,20}".prop_map(text), Just("null".into()), Just("true".into())];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let member =
                (".{0,8}".prop_map(text), inner.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
                prop::collection::vec(member, 0..4).prop_map(|list| format!("{{{}}}", list.join(","))),
            ]
        })
    }

    fn moment() -> impl Strategy<Value = OffsetDateTime> {
        // Every second from year 1 to year 9999, to the nanosecond.
        (-62_135_596_800i64..=253_402_300_799, 0i64..1_000_000_000).prop_map(|(seconds, nanos)| {
            OffsetDateTime::from_unix_timestamp(seconds).unwrap() + time::Duration::nanoseconds(nanos)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn an_event_survives_the_wire_whatever_its_data(
            data in json(), extra in json(), id in "[^\\p{Cc}]{1,32}", aggregate_id in "[^\\p{Cc}]{1,32}", at in moment(),
        ) {
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            let wire = format!(
                r#"{{"extra":{extra},"id":{},"type":"a.b","aggregate_id":{},"data":{data},"timestamp":"{}","version":{extra}}}"#,
                quoted(&id), quoted(&aggregate_id), rfc3339(at),
            );
            let event = Envelope::read(wire.as_bytes()).unwrap();
            prop_assert_eq!((&event.id, &event.aggregate_id, event.timestamp), (&id, &aggregate_id, at));
            prop_assert_eq!(event.data.get(), &data, "to the byte");
            let again = Envelope::read(&event.write().unwrap()).unwrap();
            prop_assert_eq!((again.data.get(), &again.id, again.timestamp), (event.data.get(), &event.id, at));
            prop_assert_eq!(&again.trace_id, &event.trace_id);
            prop_assert_eq!(again.subject(), event.subject());
        }

        #[test]
        fn every_digit_of_a_number_is_kept(number in number()) {
            let value: Value = serde_json::from_str(&number).unwrap();
            // An exponent is written in one way; its digits are all there.
            let plain = |text: &str| text.to_ascii_lowercase().replace('+', "");
            prop_assert_eq!(plain(&value.to_string()), plain(&number));
        }

        #[test]
        fn a_moment_is_written_as_the_broker_and_everybody_reads_it(at in moment()) {
            let text = rfc3339(at);
            prop_assert_eq!(OffsetDateTime::parse(&text, &Rfc3339), Ok(at));
            prop_assert!(text.ends_with('Z') && text.is_ascii() && !text.contains(' '), "{}", text);
        }

        #[test]
        fn no_bytes_are_read_with_harm(bytes in prop::collection::vec(any::<u8>(), 0..120), text in json()) {
            let _ = Envelope::read(&bytes);
            let _ = Envelope::read(text.as_bytes());
        }
    }
}
