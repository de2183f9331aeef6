//! An endpoint: a request that becomes an event, once.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use serde_json::Value;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::core::admit::{Admission, publish_once};
use crate::core::broker::{Broker, Expect, Message, PublishError, Stream};
use crate::core::commit::event_bytes_max;
use crate::core::engine::{Engine, FULL_DELAY, RELEASE_DELAY};
use crate::endpoint::Refusal;
use crate::event::Envelope;
use crate::failure::chain;
use crate::http::body::{self, is_json, media_type, unsupported};
use crate::http::claim::{Key, NotClaimed, reused};
use crate::http::guard::{Place, Traced};
use crate::http::problem::{
    ADMISSION_CLOSED, ALREADY_EXISTS, FULL, INTERNAL, INVALID, NOT_FOUND, NOT_JSON, Problem, TOO_LARGE,
    UNAVAILABLE,
};
use crate::http::server::Site;
use crate::identity::derive;
use crate::subject::Subject;
use crate::telemetry::spans;
use crate::telemetry::traceparent::{Traceparent, tracestate};
use crate::{Endpoint, EventKind, headers, token};

/// What is taken here.
const ACCEPTS: &str = "application/json";
/// Says that the answer is the one of an earlier request.
const REPLAYED: &str = "idempotent-replayed";

/// The event that stands for a request.
struct Placed {
    aggregate: &'static str,
    event: Envelope,
    replayed: bool,
}

/// `POST <path>`: makes an event of `request` at the endpoint with the number `at`.
pub(crate) async fn enter<B: Broker>(
    State(site): State<Arc<Site<B>>>,
    at: usize,
    request: Request,
) -> Result<Response, Problem> {
    let endpoint = site.ways.endpoints.get(at).ok_or_else(|| Problem::new(NOT_FOUND, "no such endpoint"))?;
    let engine = site.engine()?;
    let parent = traceparent(request.headers());
    let span = spans::request(endpoint.path, parent.as_ref());
    let placed = place(engine, endpoint, request, parent, &span).instrument(span.clone()).await;
    let response = placed.map(|placed| answer(endpoint.path, &placed)).map_err(IntoResponse::into_response);
    let mut response = response.unwrap_or_else(|refused| refused);
    if let Some(trace) = spans::answered(&span, response.status().as_u16()) {
        response.extensions_mut().insert(Traced(trace));
    }
    Ok(response)
}

async fn place<B: Broker>(
    engine: &Engine<B>,
    endpoint: &Endpoint,
    request: Request,
    parent: Option<Traceparent>,
    span: &Span,
) -> Result<Placed, Problem> {
    if !engine.admission.is_open() {
        let detail = "the stream of events is nearly full, and the room left is for what was taken in before";
        return Err(Problem::new(ADMISSION_CLOSED, detail).retry_after(FULL_DELAY));
    }
    let place = Place::of(&request)?;
    let (head, body) = request.into_parts();
    let media_type = media_type(&head.headers, ACCEPTS)?;
    if !is_json(&media_type) {
        return Err(unsupported(&media_type, ACCEPTS));
    }
    let key = Key::of(&head.headers, engine.terms.name, endpoint.path)?;
    let bytes = body::read(&head.headers, body, &place).await?;
    let _under_way = key.as_ref().map(|key| endpoint.in_flight.enter(key)).transpose()?;
    let fresh_id = key.as_ref().map_or_else(|| Uuid::now_v7().to_string(), |key| key.id("aggregate"));
    let outbound = (endpoint.admit)(&bytes, &fresh_id).map_err(refusal)?;
    let kind = outbound.kind;
    let event_id = match &key {
        Some(key) => key.id("event"),
        // What an aggregate has once has the same id however often it is asked for.
        None if kind.once_per_aggregate => event_of(engine, endpoint, &outbound.aggregate_id),
        None => event_of(engine, endpoint, &fresh_id),
    };
    let trace = spans::traceparent(span)
        .or(parent)
        .or_else(|| Traceparent::of_event(&Uuid::new_v4().simple().to_string(), &event_id));
    let trace_id = trace.map(|trace| trace.trace_id()).unwrap_or_default();
    span.record("aggregate", kind.aggregate).record("aggregate_id", &outbound.aggregate_id);
    span.record("event_id", &event_id).record("event_type", kind.name).record("trace_id", &trace_id);

    let event = Envelope::around(outbound, event_id, engine.broker.now(), trace_id);
    let mut message = message(engine, &kind, &event, trace)?;
    let state = head.headers.get(headers::TRACESTATE).filter(|_| parent.is_some());
    let state = state.and_then(|value| tracestate(value.to_str().ok()?));
    message.headers.extend(state.map(|state| (headers::TRACESTATE, state.to_string())));
    if let Some(key) = &key {
        key.claim(engine, &event).await.map_err(|error| match error {
            NotClaimed::Reused => reused(),
            NotClaimed::Broker(error) => not_published(&error),
        })?;
    }
    let existing =
        match publish_once(&*engine.broker, message).await.map_err(|error| not_published(&error))? {
            Admission::Now => {
                engine.meter.placed(false);
                tracing::debug!("event placed");
                return Ok(Placed { aggregate: kind.aggregate, event, replayed: false });
            }
            Admission::Again => event.subject(),
            Admission::Taken(by) => by,
        };
    let stored = stored(engine, &existing).await?;
    if !same(&stored, &event) {
        let detail =
            format!("the {} {:?} is there, and it is not this one", kind.aggregate, event.aggregate_id);
        return Err(Problem::new(ALREADY_EXISTS, detail));
    }
    engine.meter.placed(true);
    Ok(Placed { aggregate: kind.aggregate, event: stored, replayed: true })
}

fn event_of<B: Broker>(engine: &Engine<B>, endpoint: &Endpoint, id: &str) -> String {
    derive(&["event of", engine.terms.name, endpoint.path, id])
}

fn traceparent(headers: &HeaderMap) -> Option<Traceparent> {
    headers.get(headers::TRACEPARENT)?.to_str().ok()?.parse().ok()
}

fn message<B: Broker>(
    engine: &Engine<B>,
    kind: &EventKind,
    event: &Envelope,
    trace: Option<Traceparent>,
) -> Result<Message, Problem> {
    let json = event.write().map_err(|error| Problem::new(INTERNAL, error.to_string()))?;
    let mut message = Message::new(event.subject(), json.into());
    message.headers = vec![(headers::FUNCTION, engine.terms.name.to_owned())];
    message.headers.extend(trace.map(|trace| (headers::TRACEPARENT, trace.to_string())));
    let scope = kind.once_per_aggregate.then(|| Subject::any_of_type(kind.name, &event.aggregate_id));
    message.expect = Some(Expect { sequence: 0, scope });
    let (bytes, most) = (message.size(), event_bytes_max(engine.broker.message_bytes_max()));
    if bytes > most {
        return Err(Problem::new(
            TOO_LARGE,
            format!("it makes an event of {bytes} bytes; it may have {most}"),
        ));
    }
    Ok(message)
}

/// The event that has the place already.
async fn stored<B: Broker>(engine: &Engine<B>, subject: &Subject) -> Result<Envelope, Problem> {
    let unavailable = |why: String| not_published(&PublishError::Ambiguous(why));
    let found = engine
        .broker
        .last_at_leader(Stream::Events, subject)
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    let found = found.ok_or_else(|| unavailable(format!("{subject} is gone again")))?;
    Envelope::read(&found.payload)
        .map_err(|error| Problem::new(INTERNAL, format!("{subject}: {}", chain(&error))))
}

/// Whether two events say the same, however it is written.
fn same(one: &Envelope, other: &Envelope) -> bool {
    let value = |event: &Envelope| serde_json::from_str::<Value>(event.data.get()).ok();
    one.data.get() == other.data.get()
        || value(one).is_some_and(|value_of_one| Some(value_of_one) == value(other))
}

fn refusal(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NotJson(error) => Problem::new(NOT_JSON, error.to_string()),
        Refusal::Invalid(faults) => Problem::of_faults(INVALID, faults),
    }
}

fn not_published(error: &PublishError) -> Problem {
    match error {
        PublishError::Full => Problem::new(FULL, error.to_string()).retry_after(FULL_DELAY),
        PublishError::Refused | PublishError::Rejected(_) | PublishError::Ambiguous(_) => {
            // A loss of the broker is told once, not for each request.
            tracing::debug!(%error, "request not placed");
            let detail = "it may or may not have been taken; with the same Idempotency-Key it is taken once";
            Problem::new(UNAVAILABLE, detail).retry_after(RELEASE_DELAY)
        }
    }
}

fn answer(path: &str, placed: &Placed) -> Response {
    // A token is also a segment of a path: letters, digits, -, _ and percent-encoded bytes.
    let location = format!("{}/{}", path.trim_end_matches('/'), token::encode(&placed.event.aggregate_id));
    let mut response = (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(placed)).into_response();
    if placed.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

impl Serialize for Placed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let aggregate_id = format!("{}_id", self.aggregate);
        serializer.collect_map([
            (aggregate_id.as_str(), &self.event.aggregate_id),
            ("event_id", &self.event.id),
            ("trace_id", &self.event.trace_id),
        ])
    }
}

#[cfg(test)]
mod tests;
