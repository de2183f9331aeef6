//! What an operator sees of an input that was given up.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::event::Envelope;
use crate::failure::Reason;
use crate::headers;
use crate::identity::derive;
use crate::subject::Subject;

/// One failed attempt.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Attempt {
    /// Which one, from 1.
    pub attempt: u32,
    /// When it failed.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What went wrong.
    pub error: String,
}

/// An input that was given up, with everything that is known of it.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Its sequence in the dead letter stream: what commands name it by.
    pub sequence: u64,
    /// Its subject there.
    pub subject: Subject,
    /// When it was given up.
    pub at: OffsetDateTime,
    /// By which function.
    pub function: String,
    /// Why.
    pub reason: Reason,
    /// What went wrong, for people.
    pub error: String,
    /// The subject under which the input first came: of an event, or the bare type that a publisher outside used.
    pub input: Subject,
    /// Where it was when it was given up, such as `Events 7`.
    pub origin: String,
    /// The failed attempts, oldest first.
    pub history: Vec<Attempt>,
    /// All its headers.
    pub headers: Vec<(String, String)>,
    /// The input's own bytes.
    pub payload: Bytes,
}

/// Why a message is no dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message {sequence} of the dead letter stream has no header {header}")]
pub struct NoDeadLetter {
    /// Its sequence.
    pub sequence: u64,
    /// The header that every dead letter has.
    pub header: &'static str,
}

impl DeadLetter {
    /// Reads a message of the dead letter stream.
    ///
    /// # Errors
    /// A header is missing that every dead letter has: it was not written by this runtime. A letter without any header
    /// is one whose input left no room for them; its subject and its bytes tell what they can.
    pub fn read(
        sequence: u64,
        subject: &str,
        at: OffsetDateTime,
        headers: Vec<(String, String)>,
        payload: Bytes,
    ) -> Result<Self, NoDeadLetter> {
        let find =
            |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let must = |header| find(header).ok_or(NoDeadLetter { sequence, header });
        if headers.is_empty() {
            return Self::of_bytes_only(sequence, subject, at, payload);
        }
        Ok(Self {
            sequence,
            subject: Subject::from_broker(subject),
            at,
            function: must(headers::FUNCTION)?.to_owned(),
            reason: Reason::of_code(must(headers::REASON)?),
            error: find(headers::ERROR).unwrap_or_default().to_owned(),
            input: Subject::from_broker(must(headers::SUBJECT)?),
            origin: find(headers::ORIGIN).unwrap_or_default().to_owned(),
            history: find(headers::HISTORY)
                .and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or_default(),
            headers,
            payload,
        })
    }

    fn of_bytes_only(
        sequence: u64,
        subject: &str,
        at: OffsetDateTime,
        payload: Bytes,
    ) -> Result<Self, NoDeadLetter> {
        let function = subject.split('.').nth(1).unwrap_or_default();
        let envelope =
            Envelope::read(&payload).map_err(|_| NoDeadLetter { sequence, header: headers::SUBJECT })?;
        Ok(Self {
            sequence,
            subject: Subject::from_broker(subject),
            at,
            function: function.to_owned(),
            reason: Reason::of_code(""),
            error: "its bytes left no room to say more: the function's log does".into(),
            input: envelope.subject(),
            origin: String::new(),
            history: Vec::new(),
            headers: Vec::new(),
            payload,
        })
    }

    /// The headers with which the input first came, in the order of their names; several of one name in their own.
    pub fn original_headers(&self) -> Vec<(String, String)> {
        self.header(headers::HEADERS).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }

    /// The input's envelope, if its bytes are an event.
    pub fn envelope(&self) -> Option<Envelope> {
        Envelope::read(&self.payload).ok()
    }

    /// The value of the header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// What makes the redriven input another cause than the one that died. The same for the same dead letter, so that a
    /// redrive which was interrupted can be done again and happens once.
    pub fn redrive_id(&self) -> String {
        derive(&["redrive", self.subject.as_str(), &self.sequence.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENT: &str = r#"{"id":"e","type":"orders.placed","aggregate_id":"O","data":{},"timestamp":"2026-01-01T00:00:00Z"}"#;

    fn read(headers: Vec<(String, String)>, payload: Bytes) -> Result<DeadLetter, NoDeadLetter> {
        DeadLetter::read(7, "dlq.payment.x", OffsetDateTime::UNIX_EPOCH, headers, payload)
    }

    #[test]
    fn one_of_bytes_only_still_tells_its_input() {
        let letter = read(vec![], Bytes::from_static(EVENT.as_bytes())).unwrap();
        assert_eq!((letter.input.as_str(), letter.function.as_str()), ("orders.placed.O.e", "payment"));
        assert!(read(vec![], Bytes::from_static(b"{")).is_err());
        assert!(read(vec![("X".into(), "1".into())], Bytes::from_static(EVENT.as_bytes())).is_err());
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_letter_is_read_without_harm_and_kept(
            values in prop::collection::vec(".{0,60}", 5),
            payload in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let names =
                [headers::REASON, headers::SUBJECT, headers::FUNCTION, headers::HISTORY, headers::HEADERS];
            let headers: Vec<_> = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
            let letter = read(headers.clone(), payload.clone().into()).unwrap();
            prop_assert_eq!(&letter.headers, &headers);
            prop_assert_eq!(&letter.payload, &payload);
            let _ = (letter.envelope(), letter.original_headers(), letter.redrive_id());
        }
    }
}
