//! The trigger: an event that is pushed here instead of pulled from the stream. The same core handles it, so it has its
//! effects once, whichever way it comes and however often; the sender is told the outcome and sees to retries.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::core::broker::{Broker, Delivery, Stream};
use crate::core::engine::Engine;
use crate::core::inbound::Inbound;
use crate::core::judge::Disposition;
use crate::core::life::handle;
use crate::failure::Reason;
use crate::http::body::{self, media_type};
use crate::http::cloudevent::{CloudEvent, STRUCTURED};
use crate::http::guard::Place;
use crate::http::problem::{FAILED, INTERNAL, Kind, NOT_AN_EVENT, Problem, RELEASED};
use crate::http::server::Site;
use crate::subject::Subject;
use crate::telemetry::spans;
use crate::{Terms, headers};

/// What is taken here.
const ACCEPTS: &str = "application/json, application/cloudevents+json";
/// The answer's header that tells the outcome where the body must be empty.
const OUTCOME: &str = "jetlag-outcome";

/// How the event came, and so how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Article,
    /// Knative takes an answer with a body for a CloudEvent, and calls the delivery failed if it is none.
    CloudEvent,
}

#[derive(Serialize)]
struct Taken<'a> {
    outcome: &'static str,
    event_id: &'a str,
}

/// `POST /`: handles the event in `request`.
pub(crate) async fn take<B: Broker>(
    State(site): State<Arc<Site<B>>>,
    work: TaskTracker,
    Extension(place): Extension<Place>,
    request: Request,
) -> Result<Response, Problem> {
    let engine = Arc::clone(site.engine()?);
    let (form, inbound) = read(&engine, request).await?;
    let event_id = inbound.input.envelope.id.clone();
    // To its end even if the sender goes away: a run that is dropped half-way would leave its commit in doubt, and the
    // circuit breaker without an answer.
    let handled = work.spawn(async move {
        let _place = place;
        live(&engine, inbound).await
    });
    let disposition = handled.await.map_err(|_| Problem::new(INTERNAL, "see the function's log"))?;
    answer(form, &event_id, disposition)
}

async fn read<B: Broker>(engine: &Engine<B>, request: Request) -> Result<(Form, Inbound), Problem> {
    let (head, body) = request.into_parts();
    let media_type = media_type(&head.headers, ACCEPTS)?;
    let of_request =
        head.headers.get(headers::TRACEPARENT).and_then(|value| value.to_str().ok()?.parse().ok());
    let structured = media_type == STRUCTURED;
    let form =
        if structured || CloudEvent::is_binary(&head.headers) { Form::CloudEvent } else { Form::Article };
    if !(structured || media_type == "application/json") {
        return Err(body::unsupported(&media_type, ACCEPTS));
    }
    let bytes = body::read(&head.headers, body).await?;
    let (bytes, traceparent) = match form {
        Form::Article => (bytes, of_request),
        Form::CloudEvent => {
            let event = if structured {
                CloudEvent::structured(&bytes)?
            } else {
                CloudEvent::binary(&head.headers, &media_type, &bytes)?
            };
            let traceparent = event.traceparent().or(of_request);
            let envelope = event.into_envelope(engine.broker.now())?;
            let json = envelope.write().map_err(|error| Problem::new(NOT_AN_EVENT, error.to_string()))?;
            (Bytes::from(json), traceparent)
        }
    };
    let state = head.headers.get(headers::TRACESTATE).and_then(|value| value.to_str().ok());
    let context = traceparent.map(|traceparent| (headers::TRACEPARENT, traceparent.to_string()));
    let context = context.into_iter().chain(state.map(|state| (headers::TRACESTATE, state.to_owned())));
    Ok((form, inbound(&engine.terms, bytes, context)?))
}

/// The event as the core has it when it comes from the stream.
///
/// Nothing of the head but the trace's `context` comes with it: no header over HTTP instructs the runtime or the broker.
fn inbound(
    terms: &Terms,
    payload: Bytes,
    context: impl Iterator<Item = (&'static str, String)>,
) -> Result<Inbound, Problem> {
    let delivery = Delivery {
        stream: Stream::Intake,
        // Not looked at: what comes in this way has the subject that its own envelope says.
        subject: Subject::from_broker(""),
        headers: context.map(|(name, value)| (name.to_owned(), value)).collect(),
        payload,
        sequence: 0,
        time: time::OffsetDateTime::UNIX_EPOCH,
        delivered: 1,
        receipt: (),
    };
    Inbound::read(terms, &delivery).map_err(|unreadable| refusal(unreadable.reason, unreadable.error))
}

async fn live<B: Broker>(engine: &Engine<B>, mut inbound: Inbound) -> Disposition {
    let span = spans::process(&engine.terms, &mut inbound);
    async {
        let began = Instant::now();
        let disposition = handle(engine, &inbound).await;
        engine.meter.handled(&inbound, &disposition, began.elapsed(), engine.broker.now());
        disposition
    }
    .instrument(span)
    .await
}

fn answer(form: Form, event_id: &str, disposition: Disposition) -> Result<Response, Problem> {
    let outcome = disposition.outcome();
    match disposition {
        Disposition::Ack { .. } => {
            let head = [(OUTCOME, outcome)];
            Ok(match form {
                Form::Article => {
                    (StatusCode::ACCEPTED, head, Json(Taken { outcome, event_id })).into_response()
                }
                Form::CloudEvent => (StatusCode::ACCEPTED, head).into_response(),
            })
        }
        Disposition::Retry { after, error } => Err(Problem::new(FAILED, error).retry_after(after)),
        Disposition::Release { after, why } => Err(Problem::new(RELEASED, why).retry_after(after)),
        Disposition::DeadLetter { reason, error } => Err(refusal(reason, error)),
    }
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
