//! What is around every request: its time, its panics, its share of the process, and a count of it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use metrics::histogram;
use opentelemetry::trace::TraceId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::problem::{INTERNAL, Problem, TIME_LIMIT, TOO_MANY};
use crate::telemetry::metrics::exemplar;
use crate::telemetry::names;

/// How many requests are worked on at a time; more are sent away.
pub(crate) const REQUESTS_MAX: usize = 512;
/// How long a client that was sent away should stay away.
const TOO_MANY_DELAY: Duration = Duration::from_secs(1);
/// How long one request may take, its body included.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// The most bytes that the bodies of all of them may have together; a request whose body would be one too many is sent away.
pub(crate) const BODIES_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The share of the process that requests may take.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    places: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// A request's place, held until it is dropped: by whatever works on the request, even if its client has gone.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<Held>);

/// The trace of an answered request, where it is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced(pub(crate) TraceId);

#[derive(Debug)]
struct Held {
    _permit: OwnedSemaphorePermit,
    all: Arc<Semaphore>,
    bytes: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Default for Limits {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(REQUESTS_MAX));
        Self { places, bytes: Arc::new(Semaphore::new(BODIES_BYTES_MAX)) }
    }
}

impl Place {
    /// The place of `request`, which has one behind [`bound`].
    pub(crate) fn of(request: &Request) -> Result<Self, Problem> {
        let place = request.extensions().get::<Self>();
        place.cloned().ok_or_else(|| Problem::new(INTERNAL, "a request without a place"))
    }

    /// Makes room for so many bytes more of its body, if there is room.
    pub(crate) fn make_room(&self, bytes: usize) -> Result<(), Problem> {
        let Held { all, bytes: held, .. } = &*self.0;
        let more =
            u32::try_from(bytes).ok().and_then(|more| Arc::clone(all).try_acquire_many_owned(more).ok());
        let Some(more) = more else {
            let detail = format!("the bodies that are being worked on have {BODIES_BYTES_MAX} bytes");
            return Err(Problem::new(TOO_MANY, detail).retry_after(TOO_MANY_DELAY));
        };
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

/// Lets a request in if there is a place for it, for [`REQUEST_LIMIT`] at most.
pub(crate) async fn bound(
    State(Limits { places, bytes }): State<Limits>,
    mut request: Request,
    next: Next,
) -> Response {
    let Ok(permit) = places.try_acquire_owned() else {
        let detail = format!("{REQUESTS_MAX} requests are being worked on");
        return Problem::new(TOO_MANY, detail).retry_after(TOO_MANY_DELAY).into_response();
    };
    let held = Held { _permit: permit, all: bytes, bytes: Mutex::default() };
    request.extensions_mut().insert(Place(Arc::new(held)));
    match tokio::time::timeout(REQUEST_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail =
                format!("it took longer than {REQUEST_LIMIT:?}; send the same again to learn its outcome");
            Problem::new(TIME_LIMIT, detail).into_response()
        }
    }
}

/// Turns a panic into an answer, and counts the request.
pub(crate) async fn watch(State(function): State<&'static str>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    // The path as it was declared: what a client asks for is not let into the metrics.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response =
        response.unwrap_or_else(|_| Problem::new(INTERNAL, "see the function's log").into_response());
    let route = route.unwrap_or_else(|| "other".into());
    let status = response.status().as_str().to_owned();
    let duration =
        histogram!(names::HTTP_DURATION, "function" => function, "route" => route, "status" => status);
    let trace = response.extensions().get::<Traced>().map(|traced| traced.0);
    exemplar::of(trace, || duration.record(began.elapsed()));
    response
}
