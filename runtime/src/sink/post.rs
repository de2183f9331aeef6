//! Events on their way to the sink, each a CloudEvent in binary mode.

use std::time::Duration;

use futures::TryStreamExt;
use reqwest::{Client, StatusCode, redirect};
use tokio::sync::Semaphore;

use crate::core::broker::{Message, Stored};
use crate::headers;
use crate::http::outgoing::Outgoing;
use crate::http::reply::is_receipt;
use crate::sink::Sink;
use crate::telemetry::Call;

/// How long the sink may take to be connected.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How long it may take for one event.
const EVENT_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take for all events of one input: less than whoever sent that waits.
const INPUT_LIMIT: Duration = Duration::from_secs(20);
/// How many events are on their way at a time.
const EVENTS_MAX: usize = 64;
/// How many of one input.
const EVENTS_OF_INPUT_MAX: usize = 8;

/// The way to the sink.
pub(crate) struct Post {
    client: Client,
    sink: Sink,
    places: Semaphore,
}

/// Why an event, or some of an input's, are not with the sink as far as it is known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("the sink has not taken {event}: it answered {status}")]
    Refused { event: String, status: StatusCode },
    #[error("the sink has not answered for {event}: {}", crate::failure::chain(.source))]
    Unanswered { event: String, source: reqwest::Error },
    #[error("the sink has not taken all events within {INPUT_LIMIT:?}")]
    Late,
    #[error("an event cannot be written as a CloudEvent")]
    Unwritable,
}

impl Post {
    /// The way to `sink`.
    pub(crate) fn to(sink: Sink) -> Result<Self, reqwest::Error> {
        // Somebody else in this process may have chosen a provider before; then that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(EVENT_LIMIT)
            // A redirected event would be told to whoever is named there.
            .redirect(redirect::Policy::none());
        if sink.url.starts_with("http://") {
            // Without this, a machine without CA certificates could not even speak plain HTTP.
            client = client.tls_certs_only([]);
        }
        Ok(Self { client: client.build()?, sink, places: Semaphore::new(EVENTS_MAX) })
    }

    /// Sends the events among `messages`: done once the sink has taken every one of them. If one is not taken, others may have
    /// been: whoever receives them tells them by their ids when they come again.
    pub(crate) async fn all(&self, messages: Vec<Message>) -> Result<(), NotTaken> {
        let stored = messages.into_iter().map(|message| Stored {
            subject: message.subject,
            sequence: 0,
            headers: message.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            payload: message.payload,
        });
        // A receipt says to the stream that nothing followed; there is none.
        let events = stored.filter(|stored| !is_receipt(stored)).map(|event| Ok(self.one(event)));
        let sent = futures::stream::iter(events)
            .try_buffer_unordered(EVENTS_OF_INPUT_MAX)
            .try_for_each(|()| std::future::ready(Ok(())));
        tokio::time::timeout(INPUT_LIMIT, sent).await.unwrap_or(Err(NotTaken::Late))
    }

    async fn one(&self, event: Stored) -> Result<(), NotTaken> {
        // Never closed.
        let _place = self.places.acquire().await;
        let (mut head, body) = Outgoing::of(&event).ok_or(NotTaken::Unwritable)?.binary();
        head.extend(self.sink.extensions.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
        let call = Call::new("POST", &self.sink.url);
        let traceparent =
            call.traceparent().or_else(|| event.header(headers::TRACEPARENT).map(str::to_owned));
        let mut request = self.client.post(&self.sink.url).headers(head).body(body);
        if let Some(traceparent) = traceparent {
            request = request.header(headers::TRACEPARENT, traceparent);
        }
        if let Some(state) = event.header(headers::TRACESTATE) {
            request = request.header(headers::TRACESTATE, state);
        }
        let name = || event.subject.to_string();
        let answer = call.of(request.send()).await;
        // The URL may name a user.
        let unanswered =
            |error: reqwest::Error| NotTaken::Unanswered { event: name(), source: error.without_url() };
        let status = answer.map_err(unanswered)?.status();
        call.answered(status.as_u16());
        if status.is_success() { Ok(()) } else { Err(NotTaken::Refused { event: name(), status }) }
    }
}
