//! Several CloudEvents in one request (batched mode): each is handled for itself, and the answer has an outcome for each.
//!
//! Most senders read nothing but the status, so the status says what is to be done with the whole: 202 if every event is
//! done with; 503 as long as sending the same batch again gets further, which does nothing twice; 422 once what is left
//! would be refused again.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::core::engine::{Engine, RELEASE_DELAY};
use crate::http::cloudevent::CloudEvent;
use crate::http::problem::{BATCH_REFUSED, BATCH_UNFINISHED, NOT_AN_EVENT, Problem, TOO_LARGE};
use crate::http::trigger::{Context, inbound, live, outcome};
use crate::sequel::Sequel;

/// The media type of several events.
pub(crate) const BATCHED: &str = "application/cloudevents-batch+json";
/// The most events that one request may bring.
pub(crate) const EVENTS_MAX: usize = 1000;

/// What became of one event of a batch; they come in the order of their events.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Item {
    /// The event's id, if it could be read.
    id: Option<String>,
    /// What a request of its own would have been answered.
    status: u16,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// When it may be tried again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Done {
    outcomes: Vec<Item>,
}

/// The events of a body, unread.
pub(crate) fn split(body: &[u8]) -> Result<Vec<Box<RawValue>>, Problem> {
    let events: Vec<Box<RawValue>> = serde_json::from_slice(body).map_err(|error| {
        Problem::new(NOT_AN_EVENT, format!("it is not a JSON array of CloudEvents: {error}"))
    })?;
    if events.len() > EVENTS_MAX {
        let detail = format!("it has {} events; a batch may have {EVENTS_MAX}", events.len());
        return Err(Problem::new(TOO_LARGE, detail));
    }
    Ok(events)
}

/// Handles each of `events`, as many at a time as the function has slots, and each key in the order in which they stand.
pub(crate) async fn handle<B: Sequel>(
    engine: &Engine<B>,
    events: Vec<Box<RawValue>>,
    context: &Context,
) -> Vec<Item> {
    join_all(events.into_iter().map(|event| one(engine, event, context))).await
}

async fn one<B: Sequel>(engine: &Engine<B>, event: Box<RawValue>, context: &Context) -> Item {
    let id = id_of(&event);
    let inbound = CloudEvent::structured(event.get().as_bytes())
        .and_then(|event| event.into_inbound(engine.broker.now()))
        .and_then(|(json, own)| inbound(&engine.terms, json, context.with(own)));
    drop(event);
    let became = match inbound {
        Ok(inbound) => outcome(live(engine, inbound).await),
        Err(problem) => Err(problem),
    };
    match became {
        Ok(outcome) => {
            let status = StatusCode::ACCEPTED.as_u16();
            Item { id, status, outcome, detail: None, retry_after: None }
        }
        Err(problem) => Item {
            id,
            status: problem.kind().status.as_u16(),
            outcome: problem.kind().code,
            retry_after: problem.retry_after_seconds(),
            detail: Some(problem.into_detail()),
        },
    }
}

/// The id of an event that may be anything else than an event.
fn id_of(event: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    serde_json::from_str::<Named>(event.get()).ok().map(|named| named.id)
}

/// The answer for all of them.
pub(crate) fn answer(outcomes: Vec<Item>) -> Response {
    let unfinished: Vec<&Item> = outcomes.iter().filter(|item| item.retry_after.is_some()).collect();
    let refused = outcomes.iter().filter(|item| item.detail.is_some()).count() - unfinished.len();
    // The first that may be tried again: what is done by then is not done twice.
    let soonest = unfinished.iter().filter_map(|item| item.retry_after).min();
    if let Some(seconds) = soonest {
        let detail = format!("{} of {} events are to be sent again", unfinished.len(), outcomes.len());
        let after = Duration::from_secs(seconds).max(RELEASE_DELAY);
        return Problem::new(BATCH_UNFINISHED, detail).retry_after(after).outcomes(outcomes).into_response();
    }
    if refused > 0 {
        let detail = format!("{refused} of {} events can never be handled", outcomes.len());
        return Problem::new(BATCH_REFUSED, detail).outcomes(outcomes).into_response();
    }
    (StatusCode::ACCEPTED, Json(Done { outcomes })).into_response()
}
