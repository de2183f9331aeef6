//! An `Idempotency-Key` and the one request that it stands for.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::core::admit::{Admission, publish_once};
use crate::core::broker::{Broker, Expect, Message, PublishError, Stream};
use crate::core::engine::{Engine, RELEASE_DELAY};
use crate::event::Envelope;
use crate::headers;
use crate::http::problem::{KEY_IN_FLIGHT, KEY_INVALID, KEY_REUSED, Problem};
use crate::identity::derive;

/// The most characters that a key may have.
pub(crate) const KEY_CHARS_MAX: usize = 255;
/// The header that brings it.
const HEADER: &str = "idempotency-key";

/// A key, at one endpoint of one function.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    function: &'static str,
    path: &'static str,
    text: String,
}

/// The keys of an endpoint whose requests are under way in this process: one for each of them, so no more than there are
/// requests.
///
/// Requests with one key in two processes at a time need no such list: their claim decides which of them it stands for, and
/// each finds out.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashSet<String>>);

/// A key whose request is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'a> {
    all: &'a InFlight,
    text: String,
}

impl InFlight {
    /// Notes that a request with `key` is under way, unless one is.
    pub(crate) fn enter(&self, key: &Key) -> Result<UnderWay<'_>, Problem> {
        if self.lock().insert(key.text.clone()) {
            return Ok(UnderWay { all: self, text: key.text.clone() });
        }
        let detail =
            "another request with this key is being worked on: the same again later is told its answer";
        Err(Problem::new(KEY_IN_FLIGHT, detail).retry_after(RELEASE_DELAY))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.text);
    }
}

/// What a key stands for, as it is stored: a receipt beside the events, kept as long as they are.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    outcome: String,
    aggregate_id: String,
    fingerprint: String,
}

/// Why a key could not be claimed.
#[derive(Debug)]
pub(crate) enum NotClaimed {
    /// It stands for another request.
    Reused,
    /// The broker did not say.
    Broker(PublishError),
}

impl Key {
    /// The key that a request brings, if it does.
    pub(crate) fn of(
        headers: &HeaderMap,
        function: &'static str,
        path: &'static str,
    ) -> Result<Option<Self>, Problem> {
        let refuse = |why: &str| Err(Problem::new(KEY_INVALID, why));
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return refuse("there is more than one");
        }
        let is_printable = value.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte));
        match value.to_str() {
            Ok(text) if is_printable && (1..=KEY_CHARS_MAX).contains(&text.len()) => {
                Ok(Some(Self { function, path, text: text.to_owned() }))
            }
            _ => refuse("it must have 1 to 255 printable ASCII characters"),
        }
    }

    /// An id that is the same whenever this key comes. `purpose` tells several apart.
    pub(crate) fn id(&self, purpose: &str) -> String {
        derive(&[purpose, self.function, self.path, &self.text])
    }

    /// Makes this key stand for the request that became `event`, from now on and for no other request.
    ///
    /// It comes before the event, under a guard of its own: a request whose body brings its aggregate's id would
    /// otherwise slip past, since its event has another subject. A process that dies in between leaves a claim that the
    /// same request finds to be its own.
    pub(crate) async fn claim<B: Broker>(
        &self,
        engine: &Engine<B>,
        event: &Envelope,
    ) -> Result<(), NotClaimed> {
        let claim = Claim {
            outcome: "claimed".into(),
            aggregate_id: event.aggregate_id.clone(),
            fingerprint: derive(&[&event.aggregate_id, event.data.get()]),
        };
        let message = self.message(engine, &claim).map_err(|error| rejected(&error))?;
        let subject = message.subject.clone();
        match publish_once(&*engine.broker, message).await.map_err(NotClaimed::Broker)? {
            Admission::Now => return Ok(()),
            Admission::Again | Admission::Taken(_) => {}
        }
        let stored = engine.broker.last_at_leader(Stream::Events, &subject).await;
        let stored =
            stored.map_err(|error| NotClaimed::Broker(PublishError::Ambiguous(error.to_string())))?;
        let Some(stored) = stored else {
            return Err(NotClaimed::Broker(PublishError::Ambiguous(
                "the claim of the key is gone again".into(),
            )));
        };
        let earlier: Envelope = serde_json::from_slice(&stored.payload).map_err(|error| rejected(&error))?;
        let earlier: Claim = serde_json::from_str(earlier.data.get()).map_err(|error| rejected(&error))?;
        if earlier == claim { Ok(()) } else { Err(NotClaimed::Reused) }
    }

    fn message<B: Broker>(&self, engine: &Engine<B>, claim: &Claim) -> Result<Message, serde_json::Error> {
        let id = self.id("claim");
        let envelope = Envelope {
            kind: format!("done.{}", self.function),
            aggregate_id: self.id("key"),
            data: serde_json::value::to_raw_value(claim)?,
            timestamp: engine.broker.now(),
            trace_id: crate::identity::trace_id(&id),
            id,
        };
        let mut message = Message::new(envelope.subject(), envelope.write()?.into());
        message.headers = vec![(headers::FUNCTION, self.function.into())];
        message.expect = Some(Expect { sequence: 0, scope: None });
        Ok(message)
    }
}

fn rejected(error: &serde_json::Error) -> NotClaimed {
    NotClaimed::Broker(PublishError::Rejected(format!("the claim of the key does not read: {error}")))
}

/// The answer to a key that stands for another request.
pub(crate) fn reused() -> Problem {
    Problem::new(KEY_REUSED, "this key came with another body before: take a new key for a new request")
}
