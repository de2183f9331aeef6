//! CloudEvents 1.0 over HTTP as a view of an event: id → id, type → type, subject → aggregate_id, time → timestamp,
//! data → data, traceparent → the trace.

use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::Envelope;
use crate::http::body::is_json;
use crate::http::problem::{NOT_AN_EVENT, Problem};
use crate::telemetry::traceparent::Traceparent;

/// The media type of an event in structured mode.
pub(crate) const STRUCTURED: &str = "application/cloudevents+json";
/// The version of the specification.
const VERSION: &str = "1.0";

/// The attributes of an event, and its data.
#[derive(Debug, Deserialize)]
pub(crate) struct CloudEvent {
    specversion: String,
    id: String,
    source: String,
    r#type: String,
    subject: Option<String>,
    time: Option<String>,
    datacontenttype: Option<String>,
    data: Option<Box<RawValue>>,
    data_base64: Option<serde::de::IgnoredAny>,
    traceparent: Option<String>,
}

impl CloudEvent {
    /// Reads an event in structured mode: everything in the body.
    pub(crate) fn structured(body: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(body)
            .map_err(|error| refuse(format_args!("it is not a CloudEvent in JSON: {error}")))
    }

    /// Whether the head is that of an event in binary mode.
    pub(crate) fn is_binary(headers: &HeaderMap) -> bool {
        headers.contains_key("ce-specversion")
    }

    /// Reads an event in binary mode: the attributes from the head, the data from the body.
    pub(crate) fn binary(headers: &HeaderMap, media_type: &str, body: &[u8]) -> Result<Self, Problem> {
        let optional =
            |name: &str| headers.get(name).map(|value| decoded(name, value.as_bytes())).transpose();
        let required =
            |name: &str| optional(name)?.ok_or_else(|| refuse(format_args!("the header {name} is missing")));
        let data = serde_json::from_slice(body)
            .map_err(|error| refuse(format_args!("its data is not JSON: {error}")))?;
        Ok(Self {
            specversion: required("ce-specversion")?,
            id: required("ce-id")?,
            source: required("ce-source")?,
            r#type: required("ce-type")?,
            subject: optional("ce-subject")?,
            time: optional("ce-time")?,
            datacontenttype: Some(media_type.to_owned()),
            data: Some(data),
            data_base64: None,
            traceparent: optional("ce-traceparent")?,
        })
    }

    /// The trace context that the event carries itself.
    pub(crate) fn traceparent(&self) -> Option<Traceparent> {
        self.traceparent.as_deref().and_then(|text| text.parse().ok())
    }

    /// The event; one that does not say when it happened happened `now`.
    pub(crate) fn into_envelope(self, now: OffsetDateTime) -> Result<Envelope, Problem> {
        if self.specversion != VERSION {
            return Err(refuse(format_args!("specversion must be {VERSION}, and is {:?}", self.specversion)));
        }
        if self.source.is_empty() {
            return Err(refuse("source must not be empty"));
        }
        if self.data_base64.is_some() {
            return Err(refuse("its data must be JSON, not data_base64"));
        }
        let content = self.datacontenttype.as_deref().unwrap_or("application/json").to_ascii_lowercase();
        if !is_json(content.split(';').next().unwrap_or_default().trim()) {
            return Err(refuse(format_args!("its data must be JSON, not {content:?}")));
        }
        let time = self.time.as_deref().map(|text| OffsetDateTime::parse(text, &Rfc3339));
        let timestamp =
            time.transpose().map_err(|error| refuse(format_args!("time is not RFC 3339: {error}")))?;
        let envelope = Envelope {
            aggregate_id: self
                .subject
                .ok_or_else(|| refuse("subject is missing: it is the aggregate's id"))?,
            kind: self.r#type,
            data: self.data.ok_or_else(|| refuse("data is missing"))?,
            timestamp: timestamp.unwrap_or(now),
            // Left to the trace context, else to the event's id.
            trace_id: String::new(),
            id: self.id,
        };
        envelope.check().map_err(|error| refuse(crate::failure::chain(&error)))?;
        Ok(envelope)
    }
}

fn refuse(why: impl std::fmt::Display) -> Problem {
    Problem::new(NOT_AN_EVENT, why.to_string())
}

/// The value of a header in binary mode: percent-encoded UTF-8 (HTTP protocol binding, 3.1.3.2).
fn decoded(name: &str, value: &[u8]) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        let pair = if *first == b'%' { tail.split_at_checked(2) } else { None };
        let escaped = pair.and_then(|(digits, after)| Some((hex(digits)?, after)));
        // A lone % stands for itself, as the specification asks of receivers.
        let (byte, after) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| refuse(format_args!("the header {name} is not UTF-8")))
}

fn hex(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_percent_decoded_and_a_lone_percent_stands() {
        let read = |text: &str| decoded("ce-subject", text.as_bytes()).unwrap();
        assert_eq!(read("Euro%20%E2%82%AC%20%F0%9F%98%80"), "Euro € 😀");
        assert_eq!(
            (read("100%").as_str(), read("%zz%+1").as_str(), read("a%2").as_str()),
            ("100%", "%zz%+1", "a%2")
        );
        assert!(decoded("ce-subject", b"%FF").is_err());
    }
}
