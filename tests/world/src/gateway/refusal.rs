//! Every answer that is an error and is not remembered, in Stripe's form.
//!
//! Declines are not among them: a declined request was carried out, so its answer is remembered
//! and made in `answer`.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{answer, execution::PaymentIntent};
use crate::journal::JournalError;

/// A request that changed nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No API key, or none that begins with `sk_`.
    Unauthorized,
    /// The outage switch.
    Outage,
    /// The `fail_next` switch.
    Failing { retry_after_s: u64 },
    /// The hang switch, when the client waited longer than the gateway.
    Hung,
    /// A parameter is missing or wrong.
    Invalid { code: &'static str, param: String, message: String },
    /// The body is not a form.
    Body(String),
    /// The idempotency key is too long or not text.
    BadKey,
    /// The idempotency key came with other parameters before.
    KeyReused(String),
    /// The first request under this key has not ended yet.
    KeyInFlight(String),
    /// No intent has this id.
    NoSuchIntent(String),
    /// The intent is paid already.
    AlreadySucceeded(Box<PaymentIntent>),
    /// No such path.
    NoSuchPath(String),
    /// The gateway holds as many intents as it can.
    Full,
    /// The data file refused the entry.
    Journal(JournalError),
    /// The task that carried the request out died.
    Lost,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let retry_after_s = match &self {
            Refusal::Failing { retry_after_s } => *retry_after_s,
            _ => 0,
        };
        let (status, error) = self.parts();
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        if retry_after_s > 0 {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
        }
        response
    }
}

impl Refusal {
    fn parts(self) -> (StatusCode, Value) {
        match self {
            Refusal::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                invalid("You did not provide a valid API key. Use 'Authorization: Bearer sk_...'."),
            ),
            Refusal::Outage => (StatusCode::SERVICE_UNAVAILABLE, api_error("The gateway is out of service.")),
            Refusal::Failing { .. } => (StatusCode::INTERNAL_SERVER_ERROR, api_error("Nothing was charged.")),
            Refusal::Hung => (StatusCode::GATEWAY_TIMEOUT, api_error("The gateway gave no answer in time.")),
            Refusal::Invalid { code, param, message } => (
                StatusCode::BAD_REQUEST,
                json!({ "type": "invalid_request_error", "code": code, "param": param, "message": message }),
            ),
            Refusal::Body(message) => (StatusCode::BAD_REQUEST, invalid(&message)),
            Refusal::BadKey => {
                (StatusCode::BAD_REQUEST, invalid("Idempotency-Key must be text of 1 to 255 characters."))
            }
            Refusal::KeyReused(key) => (
                StatusCode::BAD_REQUEST,
                json!({ "type": "idempotency_error", "message": format!(
                    "Keys for idempotent requests can only be used with the same parameters they were \
                     first used with. Try using a key other than '{key}' if you meant to execute a \
                     different request."
                ) }),
            ),
            Refusal::KeyInFlight(key) => (
                StatusCode::CONFLICT,
                json!({ "type": "invalid_request_error", "code": "idempotency_key_in_use", "message": format!(
                    "There is currently another in-progress request using this Idempotent Key: {key}."
                ) }),
            ),
            Refusal::NoSuchIntent(id) => (
                StatusCode::NOT_FOUND,
                json!({
                    "type": "invalid_request_error", "code": "resource_missing", "param": "intent",
                    "message": format!("No such payment_intent: '{id}'"),
                }),
            ),
            Refusal::AlreadySucceeded(intent) => (
                StatusCode::BAD_REQUEST,
                json!({
                    "type": "invalid_request_error", "code": "payment_intent_unexpected_state",
                    "message": "This PaymentIntent has already succeeded and cannot be confirmed again.",
                    "payment_intent": answer::intent_json(&intent, None),
                }),
            ),
            Refusal::NoSuchPath(path) => {
                (StatusCode::NOT_FOUND, invalid(&format!("Unrecognized request URL: {path}.")))
            }
            Refusal::Full => {
                (StatusCode::TOO_MANY_REQUESTS, api_error("The gateway holds too many payment intents."))
            }
            Refusal::Journal(error) => (StatusCode::INTERNAL_SERVER_ERROR, api_error(&error.to_string())),
            Refusal::Lost => (StatusCode::INTERNAL_SERVER_ERROR, api_error("The request was lost.")),
        }
    }
}

fn invalid(message: &str) -> Value {
    json!({ "type": "invalid_request_error", "message": message })
}

fn api_error(message: &str) -> Value {
    json!({ "type": "api_error", "message": message })
}
