//! Requests to the broker and what it answers, one level below the client's convenience layer: fewer allocations for
//! each message, one inbox for all answers, and the broker's own error codes.

use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::{Client, Request, RequestErrorKind};
use bytes::Bytes;
use serde::Deserialize;

/// How long the broker has for an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestFailed {
    /// Nobody listens: no such stream, no JetStream, or no leader.
    #[error("nobody answers on {subject}: is JetStream enabled, and the stream there?")]
    NoResponders { subject: String },
    /// The message is larger than the broker takes; it was not sent.
    #[error("the message to {subject} was not sent: {why}")]
    TooLarge { subject: String, why: String },
    /// No answer came in time, or the connection is gone.
    #[error("no answer on {subject} within {ANSWER_TIMEOUT:?}: {why}")]
    NoAnswer { subject: String, why: String },
}

/// An error as the JetStream API tells it.
#[derive(Debug, Clone, Deserialize, thiserror::Error)]
#[error("{description} ({err_code})")]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}

/// Sends `payload` to `subject` and waits for the answer.
pub(super) async fn request(
    client: &Client,
    subject: &str,
    headers: Option<HeaderMap>,
    payload: Bytes,
) -> Result<async_nats::Message, RequestFailed> {
    let mut request = Request::new().payload(payload).timeout(Some(ANSWER_TIMEOUT));
    if let Some(headers) = headers {
        request = request.headers(headers);
    }
    // The client's own time limit counts only the answer: sending may wait for a broker that takes nothing.
    let sent =
        tokio::time::timeout(ANSWER_TIMEOUT * 2, client.send_request(subject.to_owned(), request)).await;
    match sent {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
            Err(RequestFailed::NoResponders { subject: subject.into() })
        }
        Ok(Err(error)) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
            Err(RequestFailed::TooLarge { subject: subject.into(), why: error.to_string() })
        }
        Ok(Err(error)) => Err(RequestFailed::NoAnswer { subject: subject.into(), why: error.to_string() }),
        Err(_) => {
            Err(RequestFailed::NoAnswer { subject: subject.into(), why: "the broker takes nothing".into() })
        }
    }
}
