//! Requests to the broker and what it answers, one level below the client's convenience layer: fewer allocations for
//! each message, one inbox for all answers, and the broker's own error codes.

use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::{Client, Request, RequestErrorKind};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::watch;

use crate::jetstream::denial::Denials;
use crate::jetstream::link::Link;

/// How long the broker has for an answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestFailed {
    /// Nobody listens: no JetStream, no such stream, or no leader.
    #[error("nobody answers on {subject}: {}", who_should(subject))]
    NoResponders { subject: String },
    /// The message is larger than the broker takes; it was not sent.
    #[error("the message to {subject} was not sent: {why}")]
    TooLarge { subject: String, why: String },
    /// No answer came in time, or the connection is gone.
    #[error("no answer on {subject} within {ANSWER_TIMEOUT:?}: {why}")]
    NoAnswer { subject: String, why: String },
    /// The broker denies this user the subject.
    #[error("{0}")]
    Denied(String),
}

/// A connection, and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) link: watch::Receiver<Link>,
    pub(super) denials: watch::Receiver<Denials>,
}

impl Caller {
    /// Over a connection that nobody watches: it counts as up.
    #[cfg(feature = "testing")]
    pub(super) fn unwatched(client: Client) -> Self {
        Self { client, link: watch::channel(Link::Up).1, denials: watch::channel(Denials::default()).1 }
    }

    /// What the broker has denied this user, if it has.
    pub(super) fn denied(&self) -> Option<String> {
        match &*self.link.borrow() {
            Link::Denied(why) => Some(why.clone()),
            Link::Up | Link::Down { .. } => None,
        }
    }

    /// Waits until the broker denies this user `subject`. What is denied otherwise does not matter: a function that ends
    /// for it still finishes what it may.
    pub(super) async fn denial(&self, subject: &str) -> String {
        let mut denials = self.denials.clone();
        let denied = denials.wait_for(|denials| denials.of(subject).is_some()).await;
        let why = denied.ok().and_then(|denials| denials.of(subject).map(str::to_owned));
        match why {
            Some(why) => why,
            // The client has ended, which whoever waits for an answer is told in another way.
            None => std::future::pending().await,
        }
    }
}

/// Who is not there if nobody answers on `subject`.
fn who_should(subject: &str) -> &'static str {
    if subject.starts_with("$JS.API.") && !subject.starts_with("$JS.API.DIRECT.") {
        "JetStream is not enabled on this server, not for this account, or it has stopped for want of disk space"
    } else {
        "the stream is not there, or JetStream is not"
    }
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
    caller: &Caller,
    subject: &str,
    headers: Option<HeaderMap>,
    payload: Bytes,
) -> Result<async_nats::Message, RequestFailed> {
    // The client's own time limit counts only the answer, and sending may wait for a broker that takes nothing: one limit,
    // here, is for both.
    let mut request = Request::new().payload(payload).timeout(None);
    if let Some(headers) = headers {
        request = request.headers(headers);
    }
    let sending = caller.client.send_request(subject.to_owned(), request);
    let sent = tokio::select! {
        biased;
        sent = tokio::time::timeout(ANSWER_TIMEOUT, sending) => sent,
        // The broker tells of what it denies aside, and does not answer.
        why = caller.denial(subject) => return Err(RequestFailed::Denied(why)),
    };
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
            Err(RequestFailed::NoAnswer { subject: subject.into(), why: "the broker is silent".into() })
        }
    }
}
