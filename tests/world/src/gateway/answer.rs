//! The answer to an execution: a pure function of it, so that a replay is the same to the byte.

use axum::{
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    decline::DeclineCode,
    execution::{Execution, PaymentIntent, Status},
};

/// Tells a client that this answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What the client gets for an execution, the first time or again.
pub(crate) fn answer(execution: &Execution, replayed: bool) -> Response {
    let (status, body) = render(execution);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, header::HeaderValue::from_static("true"));
    }
    response
}

fn render(execution: &Execution) -> (StatusCode, String) {
    let intent = &execution.intent;
    let Some(decline) = execution.decline else {
        return (StatusCode::OK, intent_json(intent, None).to_string());
    };
    let mut error = decline_json(decline, intent);
    if let Some(fields) = error.as_object_mut() {
        fields.insert("payment_intent".to_owned(), intent_json(intent, Some(decline)));
    }
    (StatusCode::PAYMENT_REQUIRED, json!({ "error": error }).to_string())
}

/// The payment intent object of Stripe's API, as far as this gateway gives it a meaning.
pub(crate) fn intent_json(intent: &PaymentIntent, decline: Option<DeclineCode>) -> Value {
    let received_minor = if intent.status == Status::Succeeded { intent.amount_minor } else { 0 };
    json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount_minor,
        "amount_received": received_minor,
        "capture_method": "automatic",
        "confirmation_method": "automatic",
        "created": intent.created_s,
        "currency": intent.currency,
        "description": intent.description,
        "last_payment_error": decline.map(|decline| decline_json(decline, intent)),
        "latest_charge": intent.latest_charge,
        "livemode": false,
        "metadata": intent.metadata,
        "payment_method": intent.payment_method,
        "payment_method_types": ["card"],
        "status": intent.status.as_str(),
    })
}

fn decline_json(decline: DeclineCode, intent: &PaymentIntent) -> Value {
    json!({
        "type": "card_error",
        "code": "card_declined",
        "decline_code": decline.as_str(),
        "charge": intent.latest_charge,
        "message": decline.message(),
    })
}
