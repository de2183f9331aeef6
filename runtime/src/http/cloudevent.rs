//! CloudEvents 1.0 over HTTP as a view of an event: id → id, type → type, subject → aggregate_id, time → timestamp,
//! data → data, traceparent → the trace.

use axum::http::HeaderMap;
use bytes::Bytes;
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
pub(crate) const VERSION: &str = "1.0";

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

    /// The event as it goes on in the stream, and the trace context that it carries itself.
    pub(crate) fn into_inbound(self, now: OffsetDateTime) -> Result<(Bytes, Option<Traceparent>), Problem> {
        let traceparent = self.traceparent();
        let json = self.into_envelope(now)?.write();
        json.map(|json| (json.into(), traceparent)).map_err(refuse)
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

/// The events that a head and a body are in any mode.
#[cfg(feature = "testing")]
pub(crate) fn read_any(head: &[(String, String)], body: &[u8], now: OffsetDateTime) -> Vec<Envelope> {
    use axum::http::{HeaderName, HeaderValue};

    let mut headers = HeaderMap::new();
    for (name, value) in head {
        let (name, value) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    // Whatever is preferred is read without harm.
    let _ = crate::http::reply::is_wanted(&headers);
    let media_type = crate::http::body::media_type(&headers, "");
    let binary = media_type.and_then(|media_type| CloudEvent::binary(&headers, &media_type, body));
    let batch = crate::http::batch::split(body).unwrap_or_default();
    let batch = batch.iter().map(|event| CloudEvent::structured(event.get().as_bytes()));
    let read = [binary, CloudEvent::structured(body)].into_iter().chain(batch);
    read.flatten().filter_map(|event| event.into_envelope(now).ok()).collect()
}

/// What is read of `envelope` after it went out as a CloudEvent, in binary and in structured mode.
#[cfg(feature = "testing")]
pub(crate) fn out_and_in(envelope: &Envelope) -> Option<[Envelope; 2]> {
    let stored = crate::core::broker::Stored {
        subject: envelope.subject(),
        sequence: 1,
        headers: Vec::new(),
        payload: envelope.write().ok()?.into(),
    };
    let out = crate::http::outgoing::Outgoing::of(&stored)?;
    let (head, body) = out.binary();
    let binary = CloudEvent::binary(&head, "application/json", &body);
    let structured = CloudEvent::structured(&out.structured().ok()?);
    let read =
        |event: Result<CloudEvent, Problem>| event.ok()?.into_envelope(OffsetDateTime::UNIX_EPOCH).ok();
    Some([read(binary)?, read(structured)?])
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
    use proptest::prelude::*;

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

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    /// As a sender encodes a header's value: everything that is not plain, percent by byte.
    fn encoded(text: &str) -> String {
        let byte = |b: u8| match b {
            b'!' | b'#'..=b'$' | b'&'..=b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        };
        text.bytes().map(byte).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn an_event_is_the_same_in_every_mode(
            id in "[^\\p{Cc}]{1,24}", subject in "[^\\p{Cc}]{1,24}", data in "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?",
            nanos in 0u32..1_000_000_000, extension in ".{0,20}",
        ) {
            let time = format!("2026-01-02T03:04:05.{nanos:09}Z");
            let structured = serde_json::json!({
                "specversion": "1.0", "id": id, "source": "/s", "type": "a.b", "subject": subject, "time": time,
                "data": "DATA", "anextension": extension,
            });
            let structured = structured.to_string().replace("\"DATA\"", &data);
            let mut head = HeaderMap::new();
            for (name, value) in [
                ("ce-specversion", "1.0"), ("ce-id", &id), ("ce-source", "/s"), ("ce-type", "a.b"),
                ("ce-subject", &subject), ("ce-time", &time), ("ce-anextension", &extension),
            ] {
                head.insert(name, encoded(value).parse().unwrap());
            }
            let structured = CloudEvent::structured(structured.as_bytes());
            let binary = CloudEvent::binary(&head, "application/json", data.as_bytes());
            let [one, other] = [structured, binary].map(|event| event.and_then(|event| event.into_envelope(NOW)).unwrap());
            for event in [&one, &other] {
                prop_assert_eq!((&event.id, &event.aggregate_id, event.data.get()), (&id, &subject, data.as_str()));
                prop_assert_eq!(event.timestamp.nanosecond(), nanos);
            }
            prop_assert_eq!(one.write().unwrap(), other.write().unwrap());
        }

        #[test]
        fn nothing_is_read_with_harm(
            body in prop_oneof![prop::collection::vec(any::<u8>(), 0..100), ".{0,60}".prop_map(String::into_bytes)],
            values in prop::collection::vec(prop::collection::vec(prop_oneof![0x20u8..0x7f, 0x80u8..], 0..20), 6),
        ) {
            let names = ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time"];
            let mut head = HeaderMap::new();
            for (name, value) in names.iter().zip(values) {
                head.insert(*name, axum::http::HeaderValue::from_bytes(&value).unwrap());
            }
            let _ = CloudEvent::structured(&body).and_then(|event| event.into_envelope(NOW));
            let _ = CloudEvent::binary(&head, "application/json", &body).and_then(|event| event.into_envelope(NOW));
        }
    }
}
