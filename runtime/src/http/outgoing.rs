//! An event on its way out as a CloudEvent: the other direction of [`cloudevent`](crate::http::cloudevent).

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::core::broker::Stored;
use crate::event::{Envelope, rfc3339};
use crate::headers;
use crate::http::cloudevent::VERSION;

/// The media type of an event's data.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An event of a function, and what CloudEvents says beside it.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    envelope: Envelope,
    /// Whose event it is. Together with the id it tells a repetition.
    source: String,
    traceparent: Option<String>,
}

/// The event in structured mode.
#[derive(Serialize)]
struct Structured<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    partitionkey: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: &'a RawValue,
}

impl Outgoing {
    /// The event in `stored`; nothing if it is none.
    pub(crate) fn of(stored: &Stored) -> Option<Self> {
        let function = stored.header(headers::FUNCTION).unwrap_or("unknown");
        Some(Self {
            envelope: Envelope::read(&stored.payload).ok()?,
            source: format!("/jetlag/{function}"),
            traceparent: stored.header(headers::TRACEPARENT).map(str::to_owned),
        })
    }

    /// In binary mode: the attributes as headers, the data as the body, to the byte.
    pub(crate) fn binary(&self) -> (HeaderMap, Bytes) {
        let Envelope { id, kind, aggregate_id, data, timestamp, trace_id: _ } = &self.envelope;
        let time = rfc3339(*timestamp);
        let attributes = [
            ("ce-specversion", Some(VERSION)),
            ("ce-id", Some(id.as_str())),
            ("ce-source", Some(&self.source)),
            ("ce-type", Some(kind)),
            ("ce-subject", Some(aggregate_id)),
            ("ce-time", Some(&time)),
            ("ce-partitionkey", Some(aggregate_id)),
            ("ce-traceparent", self.traceparent.as_deref()),
        ];
        let mut head = HeaderMap::with_capacity(attributes.len() + 1);
        for (name, text) in attributes {
            // What is encoded is printable ASCII.
            if let Some(Ok(value)) = text.map(|text| HeaderValue::try_from(encoded(text))) {
                head.insert(HeaderName::from_static(name), value);
            }
        }
        head.insert(axum::http::header::CONTENT_TYPE, JSON);
        (head, Bytes::copy_from_slice(data.get().as_bytes()))
    }

    /// In structured mode: all of it as JSON.
    pub(crate) fn structured(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Envelope { id, kind, aggregate_id, data, timestamp, trace_id: _ } = &self.envelope;
        serde_json::to_vec(&Structured {
            specversion: VERSION,
            id,
            source: &self.source,
            r#type: kind,
            subject: aggregate_id,
            time: rfc3339(*timestamp),
            datacontenttype: "application/json",
            partitionkey: aggregate_id,
            traceparent: self.traceparent.as_deref(),
            data,
        })
    }
}

/// A value as a header has it: space, quote, percent and whatever is not printable ASCII percent-encoded (HTTP protocol
/// binding, 3.1.3.2).
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            out.push(char::from(byte));
        } else {
            // Writing to a text never fails.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::cloudevent::CloudEvent;
    use crate::subject::Subject;
    use proptest::prelude::*;
    use time::OffsetDateTime;

    proptest! {
        #[test]
        fn what_goes_out_in_either_mode_reads_back_the_same(
            id in "[^\\p{Cc}]{1,24}", subject in "[^\\p{Cc}]{1,24}", text in ".{0,30}", nanos in 0u32..1_000_000_000,
        ) {
            let data = serde_json::json!({"text": text, "amount": 12.5}).to_string();
            let envelope = Envelope {
                id,
                kind: "orders.placed".into(),
                aggregate_id: subject,
                data: serde_json::from_str(&data).unwrap(),
                timestamp: OffsetDateTime::UNIX_EPOCH.replace_nanosecond(nanos).unwrap(),
                trace_id: String::new(),
            };
            let stored = Stored {
                subject: Subject::from_broker("orders.placed.x.y"),
                sequence: 1,
                headers: vec![(headers::FUNCTION.into(), "order".into())],
                payload: envelope.write().unwrap().into(),
            };
            let out = Outgoing::of(&stored).unwrap();
            let (head, body) = out.binary();
            prop_assert!(head.values().all(|value| value.to_str().is_ok()));
            prop_assert_eq!(head.len(), 8, "{:?}", head);
            let binary = CloudEvent::binary(&head, "application/json", &body);
            let structured = CloudEvent::structured(&out.structured().unwrap());
            for read in [binary, structured] {
                let read = read.and_then(|event| event.into_envelope(OffsetDateTime::UNIX_EPOCH)).unwrap();
                prop_assert_eq!(
                    (&read.id, &read.kind, &read.aggregate_id, read.data.get(), read.timestamp),
                    (&envelope.id, &envelope.kind, &envelope.aggregate_id, data.as_str(), envelope.timestamp)
                );
            }
        }
    }
}
