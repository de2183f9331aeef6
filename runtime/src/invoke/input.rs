//! The bytes of the event that a request asks for.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::event::Envelope;
use crate::http::cloudevent::CloudEvent;
use crate::invoke::{Input, Parts, Refused};
use crate::{EventKind, Terms};

/// The type of one that listens to everything.
const ANY: &str = "*.*";
/// What such a one is given, if nothing is said.
const ANYTHING: &str = "examples.happened";

/// The bytes that are delivered.
pub(super) fn bytes(terms: &Terms, input: Input, now: OffsetDateTime) -> Result<Vec<u8>, Refused> {
    match input {
        Input::Bytes(text) => Ok(from_cloud_event(&text, now).unwrap_or_else(|| text.into_bytes())),
        Input::Parts(parts) => from_parts(terms, parts, now),
    }
}

/// A CloudEvent in structured mode as the event that it is a view of.
fn from_cloud_event(text: &str, now: OffsetDateTime) -> Option<Vec<u8>> {
    let is_one = serde_json::from_str::<Value>(text).is_ok_and(|json| json.get("specversion").is_some());
    if !is_one {
        return None;
    }
    let event = CloudEvent::structured(text.as_bytes()).ok()?;
    let trace_id = event.traceparent().map(|context| context.trace_id());
    let mut envelope = event.into_envelope(now).ok()?;
    envelope.trace_id = trace_id.unwrap_or_default();
    envelope.write().ok()
}

fn from_parts(terms: &Terms, parts: Parts, now: OffsetDateTime) -> Result<Vec<u8>, Refused> {
    let kind = kind_of(terms, parts.kind.as_deref())?;
    // Who listens to everything has no example of it.
    let (name, anything) = match kind.name {
        ANY => (parts.kind.clone().unwrap_or_else(|| ANYTHING.to_owned()), Some(empty())),
        name => (name.to_owned(), None),
    };
    let data = match parts.data.or(anything) {
        Some(data) => data,
        None => (kind.example)().ok_or_else(|| Refused::NoExample(name.clone()))?,
    };
    let data = with_fields(data, parts.fields)?;
    let aggregate_id = match parts.aggregate_id {
        Some(id) => id,
        // Invalid data does not say what it is about; the function is to see it all the same.
        None => (kind.check)(&data).unwrap_or_else(|_| "unknown".to_owned()),
    };
    let id = parts.id.unwrap_or_else(|| crate::derive(&["invoke", &name, &aggregate_id]));
    let envelope = Envelope {
        trace_id: parts.trace_id.unwrap_or_else(|| crate::identity::trace_id(&id)),
        id,
        kind: name,
        aggregate_id,
        data,
        timestamp: now,
    };
    envelope.write().map_err(|error| Refused::Request(error.to_string()))
}

fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The type that is meant: among those that the function listens to or admits.
fn kind_of(terms: &Terms, name: Option<&str>) -> Result<EventKind, Refused> {
    let takes = || terms.listens_to.iter().chain(terms.admits);
    let found = match name {
        None => takes().next(),
        Some(name) => takes().find(|kind| kind.name == name || kind.name == ANY),
    };
    found.copied().ok_or_else(|| Refused::Type {
        function: terms.name.to_owned(),
        kind: name.unwrap_or("anything").to_owned(),
        takes: takes().map(|kind| kind.name.to_owned()).collect(),
    })
}

fn with_fields(
    data: Box<RawValue>,
    fields: std::collections::BTreeMap<String, Box<RawValue>>,
) -> Result<Box<RawValue>, Refused> {
    let Some(first) = fields.keys().next().cloned() else { return Ok(data) };
    let invalid = |error: serde_json::Error| Refused::Request(error.to_string());
    let mut object: Map<String, Value> =
        serde_json::from_str(data.get()).map_err(|_| Refused::NoFields(first))?;
    for (name, value) in fields {
        object.insert(name, serde_json::from_str(value.get()).map_err(invalid)?);
    }
    serde_json::value::to_raw_value(&object).map_err(invalid)
}
