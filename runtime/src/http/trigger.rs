//! The trigger: an event that is pushed here instead of pulled from the stream. The same core handles it, so it has its
//! effects once, whichever way it comes and however often; the sender is told the outcome and sees to retries.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::core::broker::{Broker, Delivery, Stream};
use crate::core::engine::{Engine, RELEASE_DELAY};
use crate::core::inbound::Inbound;
use crate::core::judge::Disposition;
use crate::failure::Reason;
use crate::http::batch::{self, BATCHED};
use crate::http::body::{self, media_type};
use crate::http::cloudevent::{CloudEvent, STRUCTURED};
use crate::http::guard::Place;
use crate::http::outgoing::Outgoing;
use crate::http::problem::{FAILED, INTERNAL, Kind, NOT_AN_EVENT, Problem, RELEASED, UNAVAILABLE};
use crate::http::reply;
use crate::http::server::Site;
use crate::sequel::Sequel;
use crate::subject::Subject;
use crate::telemetry::spans;
use crate::telemetry::traceparent::Traceparent;
use crate::{Terms, headers};

/// What is taken here.
const ACCEPTS: &str = "application/json, application/cloudevents+json, application/cloudevents-batch+json";
/// The answer's header that tells the outcome where the body must be empty, or is an event.
const OUTCOME: &str = "jetlag-outcome";
/// Says that the sender was given what it preferred (RFC 7240).
const PREFERENCE_APPLIED: &str = "preference-applied";

/// How the event came, and so how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Article,
    /// Knative takes an answer with a body for a CloudEvent, and calls the delivery failed if it is none.
    Binary,
    Structured,
}

/// The trace that a request belongs to, as its headers tell it.
///
/// Nothing else of the head comes with an event: no header over HTTP instructs the runtime or the broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    traceparent: Option<Traceparent>,
    tracestate: Option<String>,
}

#[derive(Serialize)]
struct Taken<'a> {
    outcome: &'static str,
    event_id: &'a str,
}

/// `POST /`: handles the event in `request`, or each of a batch.
pub(crate) async fn take<B: Sequel>(
    State(site): State<Arc<Site<B>>>,
    work: TaskTracker,
    request: Request,
) -> Result<Response, Problem> {
    let engine = Arc::clone(site.engine()?);
    let place = Place::of(&request)?;
    let (head, body) = request.into_parts();
    let media_type = media_type(&head.headers, ACCEPTS)?;
    let form = match media_type.as_str() {
        BATCHED | STRUCTURED => Form::Structured,
        "application/json" if CloudEvent::is_binary(&head.headers) => Form::Binary,
        "application/json" => Form::Article,
        _ => return Err(body::unsupported(&media_type, ACCEPTS)),
    };
    let bytes = body::read(&head.headers, body, &place).await?;
    let context = Context::of(&head.headers);
    // To its end even if the sender goes away: a run that is dropped half-way would leave its commit in doubt, and the
    // circuit breaker without an answer.
    if media_type == BATCHED {
        let events = batch::split(&bytes)?;
        drop(bytes);
        let handled = work.spawn(async move {
            let _place = place;
            batch::handle(&engine, events, &context).await
        });
        return handled.await.map(batch::answer).map_err(|_| fault());
    }
    let inbound = read(&engine, form, &head.headers, &bytes, &context)?;
    let event_id = inbound.input.envelope.id.clone();
    let replies = reply::is_wanted(&head.headers);
    let handled = work.spawn(async move {
        let _place = place;
        let cause = inbound.cause.clone();
        let outcome = outcome(live(&engine, inbound).await)?;
        let reply = if replies { reply::to(&*engine.broker, &cause).await } else { Ok(None) };
        // Its effects are there, and nothing but the reply is missing: the same again is not done again.
        let unread = |why: crate::state::Unavailable| {
            Problem::new(UNAVAILABLE, why.to_string()).retry_after(RELEASE_DELAY)
        };
        reply.map(|reply| (outcome, reply)).map_err(unread)
    });
    match handled.await.map_err(|_| fault())?? {
        (outcome, Some(event)) => replied(form, outcome, &event),
        (outcome, None) => Ok(taken(form, outcome, &event_id)),
    }
}

fn fault() -> Problem {
    Problem::new(INTERNAL, "see the function's log")
}

fn read<B: Broker>(
    engine: &Engine<B>,
    form: Form,
    headers: &HeaderMap,
    bytes: &Bytes,
    context: &Context,
) -> Result<Inbound, Problem> {
    let event = match form {
        Form::Article => return inbound(&engine.terms, bytes.clone(), context.clone()),
        Form::Structured => CloudEvent::structured(bytes)?,
        Form::Binary => CloudEvent::binary(headers, "application/json", bytes)?,
    };
    let (json, own) = event.into_inbound(engine.broker.now())?;
    inbound(&engine.terms, json, context.with(own))
}

impl Context {
    fn of(head: &HeaderMap) -> Self {
        let text = |name| head.get(name).and_then(|value| value.to_str().ok());
        Self {
            traceparent: text(headers::TRACEPARENT).and_then(|text| text.parse().ok()),
            tracestate: text(headers::TRACESTATE).map(str::to_owned),
        }
    }

    /// The same around an event that may tell a trace of its own.
    pub(crate) fn with(&self, own: Option<Traceparent>) -> Self {
        Self { traceparent: own.or(self.traceparent), tracestate: self.tracestate.clone() }
    }

    fn into_headers(self) -> Vec<(String, String)> {
        let parent = self.traceparent.map(|parent| (headers::TRACEPARENT.into(), parent.to_string()));
        let state = self.tracestate.map(|state| (headers::TRACESTATE.into(), state));
        parent.into_iter().chain(state).collect()
    }
}

/// The event as the core has it when it comes from the stream.
pub(crate) fn inbound(terms: &Terms, payload: Bytes, context: Context) -> Result<Inbound, Problem> {
    let delivery = Delivery {
        stream: Stream::Intake,
        // Not looked at: what comes in this way has the subject that its own envelope says.
        subject: Subject::from_broker(""),
        headers: context.into_headers(),
        payload,
        sequence: 0,
        time: time::OffsetDateTime::UNIX_EPOCH,
        delivered: 1,
        receipt: (),
    };
    Inbound::read(terms, &delivery).map_err(|unreadable| refusal(unreadable.reason, unreadable.error))
}

/// Handles one event to its end.
pub(crate) async fn live<B: Sequel>(engine: &Engine<B>, mut inbound: Inbound) -> Disposition {
    let span = spans::process(&engine.terms, &mut inbound);
    async {
        let began = Instant::now();
        let disposition = B::handle(engine, &inbound).await;
        engine.meter.handled(&inbound, &disposition, began.elapsed(), engine.broker.now());
        disposition
    }
    .instrument(span)
    .await
}

/// What the sender is told of `disposition`: its name, or why the event is not done with.
pub(crate) fn outcome(disposition: Disposition) -> Result<&'static str, Problem> {
    let outcome = disposition.outcome();
    match disposition {
        Disposition::Ack { .. } => Ok(outcome),
        Disposition::Retry { after, error } => Err(Problem::new(FAILED, error).retry_after(after)),
        Disposition::Release { after, why } => Err(Problem::new(RELEASED, why).retry_after(after)),
        Disposition::DeadLetter { reason, error } => Err(refusal(reason, error)),
    }
}

fn taken(form: Form, outcome: &'static str, event_id: &str) -> Response {
    let head = [(OUTCOME, outcome)];
    match form {
        Form::Article => (StatusCode::ACCEPTED, head, Json(Taken { outcome, event_id })).into_response(),
        Form::Binary | Form::Structured => (StatusCode::ACCEPTED, head).into_response(),
    }
}

/// The one event that followed, in the mode in which its cause came.
fn replied(form: Form, outcome: &'static str, event: &Outgoing) -> Result<Response, Problem> {
    let head = [(OUTCOME, outcome), (PREFERENCE_APPLIED, reply::REPLY)];
    Ok(match form {
        Form::Article | Form::Binary => {
            let (attributes, body) = event.binary();
            (StatusCode::OK, head, attributes, body).into_response()
        }
        Form::Structured => {
            let body = event.structured().map_err(|error| Problem::new(INTERNAL, error.to_string()))?;
            let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(STRUCTURED))];
            (StatusCode::OK, head, kind, body).into_response()
        }
    })
}

/// The answer to an event that no retry mends.
fn refusal(reason: Reason, error: String) -> Problem {
    let kind = match reason {
        Reason::NotAnEvent => NOT_AN_EVENT,
        _ => Kind {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: reason.code(),
            title: "The event cannot be handled",
        },
    };
    Problem::new(kind, error)
}

#[cfg(test)]
mod tests;
