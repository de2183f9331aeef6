//! The HTTP face of the receiver.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    inbox::{Channel, Content, Summary},
    post::{Change, Post, Rejection, Switches},
};

/// The largest notification, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Why a request got no better answer.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("out of service")]
    Outage,
    #[error("the body is not JSON")]
    Body,
    #[error("neither the header Idempotency-Key nor the field id says which message this is")]
    NoId,
    #[error("latency_ms is too large")]
    Latency,
    #[error("no such message")]
    Unknown,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// The receiver's paths.
pub(crate) fn router(office: Arc<Post>) -> Router {
    Router::new()
        .route("/notify", post(notify))
        .route("/received", get(summary))
        // An id may hold slashes.
        .route("/received/{*id}", get(message))
        .route("/control", get(show_control).put(change_control))
        .route("/health", get(StatusCode::OK))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(office)
}

async fn notify(
    State(office): State<Arc<Post>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Error> {
    if office.switches().outage {
        return Err(Error::Outage);
    }
    let notification: Value = serde_json::from_slice(&body).map_err(|_| Error::Body)?;
    let id = message_id(&headers, &notification).ok_or(Error::NoId)?;
    let count = office.deliver(&id, Channel::Http, Content::of(None, Vec::new(), &body))?;
    office.delay().await;
    let status = if count > 1 { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(json!({ "id": id, "count": count, "duplicate": count > 1 }))))
}

fn message_id(headers: &HeaderMap, notification: &Value) -> Option<String> {
    if let Some(key) = headers.get("idempotency-key") {
        return key.to_str().ok().map(str::to_owned);
    }
    match notification.get("id")? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

async fn summary(State(office): State<Arc<Post>>) -> Json<Summary> {
    Json(office.summary())
}

async fn message(State(office): State<Arc<Post>>, Path(id): Path<String>) -> Result<Response, Error> {
    let message = office.message(&id).ok_or(Error::Unknown)?;
    Ok(Json(message).into_response())
}

async fn show_control(State(office): State<Arc<Post>>) -> Json<Switches> {
    Json(office.switches())
}

async fn change_control(
    State(office): State<Arc<Post>>,
    Json(change): Json<Change>,
) -> Result<Json<Switches>, Error> {
    office.change(&change).map(Json).ok_or(Error::Latency)
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Error::Outage => StatusCode::SERVICE_UNAVAILABLE,
            Error::Body | Error::NoId | Error::Latency | Error::Rejected(Rejection::Id) => {
                StatusCode::BAD_REQUEST
            }
            Error::Unknown => StatusCode::NOT_FOUND,
            Error::Rejected(Rejection::Full) => StatusCode::INSUFFICIENT_STORAGE,
            Error::Rejected(Rejection::Journal(_)) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
