//! What every refusal looks like: a problem (RFC 9457), with a code that has a page in docs/errors/.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::Fault;
use crate::http::batch::Item;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a request was not done.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    // Boxed as far as it can be: it is what nearly everything here may give instead of what was asked for.
    detail: Box<str>,
    errors: Box<[Fault]>,
    outcomes: Box<[Item]>,
    retry_after: Option<Duration>,
    accepts: Option<&'static str>,
}

/// A kind of problem: its status, its code, and what it is in a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
}

impl Kind {
    const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title }
    }
}

pub(crate) const NOT_FOUND: Kind = Kind::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here");
pub(crate) const METHOD_NOT_ALLOWED: Kind =
    Kind::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This is not done with this method");
pub(crate) const TOO_LARGE: Kind =
    Kind::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large");
pub(crate) const UNSUPPORTED_MEDIA_TYPE: Kind =
    Kind::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body is of another kind");
pub(crate) const INCOMPLETE: Kind =
    Kind::new(StatusCode::BAD_REQUEST, "incomplete", "The body did not come whole");
pub(crate) const TOO_SLOW: Kind =
    Kind::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "The body did not come in time");
pub(crate) const NOT_JSON: Kind = Kind::new(StatusCode::BAD_REQUEST, "not_json", "The body is not JSON");
pub(crate) const NOT_AN_EVENT: Kind =
    Kind::new(StatusCode::BAD_REQUEST, "not_an_event", "The body is not an event");
pub(crate) const KEY_INVALID: Kind =
    Kind::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", "The Idempotency-Key cannot be used");
pub(crate) const KEY_REUSED: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "idempotency_key_reused",
    "The Idempotency-Key was used for another request",
);
pub(crate) const INVALID: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", "The request cannot be taken as it is");
pub(crate) const ALREADY_EXISTS: Kind =
    Kind::new(StatusCode::CONFLICT, "already_exists", "It is there already");
pub(crate) const TOO_MANY: Kind =
    Kind::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests at a time");
pub(crate) const INTERNAL: Kind =
    Kind::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The function has a fault");
pub(crate) const TIME_LIMIT: Kind =
    Kind::new(StatusCode::GATEWAY_TIMEOUT, "time_limit", "The request took too long");
pub(crate) const STARTING: Kind =
    Kind::new(StatusCode::SERVICE_UNAVAILABLE, "starting", "The function is not connected yet");
pub(crate) const UNAVAILABLE: Kind =
    Kind::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The broker cannot be reached");
pub(crate) const FULL: Kind =
    Kind::new(StatusCode::SERVICE_UNAVAILABLE, "stream_full", "No more can be taken in at present");
pub(crate) const ADMISSION_CLOSED: Kind =
    Kind::new(StatusCode::SERVICE_UNAVAILABLE, "admission_closed", "Nothing new is taken in at present");
pub(crate) const FAILED: Kind = Kind::new(StatusCode::SERVICE_UNAVAILABLE, "failed", "The attempt failed");
pub(crate) const RELEASED: Kind =
    Kind::new(StatusCode::SERVICE_UNAVAILABLE, "released", "The event was not attempted");

pub(crate) const KEY_IN_FLIGHT: Kind = Kind::new(
    StatusCode::CONFLICT,
    "idempotency_key_in_flight",
    "A request with this Idempotency-Key is under way",
);
pub(crate) const BATCH_UNFINISHED: Kind =
    Kind::new(StatusCode::SERVICE_UNAVAILABLE, "batch_unfinished", "Not every event of the batch is done");
pub(crate) const BATCH_REFUSED: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "batch_refused", "Not every event of the batch was taken");

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into().into_boxed_str(),
            errors: Box::default(),
            outcomes: Box::default(),
            retry_after: None,
            accepts: None,
        }
    }

    /// A problem of a request that can be mended: everything that is wrong with it.
    pub(crate) fn of_faults(kind: Kind, errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [one] => one.detail.clone(),
            several => format!("{} faults", several.len()),
        };
        Self { errors: errors.into(), ..Self::new(kind, detail) }
    }

    /// Says when it may be tried again.
    pub(crate) const fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Says what became of each event of a batch.
    pub(crate) fn outcomes(mut self, outcomes: Vec<Item>) -> Self {
        self.outcomes = outcomes.into();
        self
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn into_detail(self) -> String {
        self.detail.into()
    }

    /// Whole seconds, rounded up: earlier would be too early, and 0 would be at once.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|delay| (delay.as_secs() + u64::from(delay.subsec_nanos() > 0)).max(1))
    }

    /// Says which media types are taken.
    pub(crate) const fn accepts(mut self, media_types: &'static str) -> Self {
        self.accepts = Some(media_types);
        self
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    #[serde(skip_serializing_if = "<[Item]>::is_empty")]
    outcomes: &'a [Item],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Kind { status, code, title } = self.kind;
        let body = Body {
            r#type: format!("/errors/{code}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code,
            errors: &self.errors,
            outcomes: &self.outcomes,
        };
        // Text and numbers only: it always serialises.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(media_types) = self.accepts {
            headers.insert("accept-post", HeaderValue::from_static(media_types));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_has_the_members_of_rfc_9457_and_says_when_to_come_again() {
        let problem = Problem::new(FULL, "the stream is full").retry_after(Duration::from_millis(4200));
        let response = problem.into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &"5".parse().unwrap())
        );
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"type":"/errors/stream_full","title":"No more can be taken in at present","status":503,"detail":"the stream is full","code":"stream_full"}"#
        );
    }
}
