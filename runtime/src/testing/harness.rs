//! One function on a broker in memory, one input at a time: the production core from delivery to answer.

mod load;

pub use load::Delivered;

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::core::batch::live_batch;
use crate::core::broker::{Broker as _, Delivery, Message, Stored as Kept, Stream};
use crate::core::each::live_each;
use crate::core::engine::Engine;
use crate::core::life::live;
use crate::dead_letter::Attempt;
use crate::event::Envelope;
use crate::handler::{Bindings, Handler};
use crate::memory::Still;
use crate::memory::server::Receipt;
use crate::subject::Subject;
use crate::testing::{DeadLetter, Emitted, Outcome};
use crate::{Contract, Incoming, Outgoing, Payload, Stored, headers};

/// A function under test. Time stands still between inputs; [`next_attempt`](Self::next_attempt) moves it on.
///
/// ```
/// # use std::time::Duration;
/// # use jetlag::{Contract, Event, Failure, Payload, Retry};
/// # use jetlag::testing::{Outcome, harness};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Sent { id: String }
/// # impl Payload for Sent {
/// #     const TYPE: &'static str = "parcels.sent"; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.id }
/// #     fn example() -> Self { Sent { id: "P-1".into() } }
/// # }
/// # #[derive(Serialize, Deserialize)] struct Billed { id: String }
/// # impl Payload for Billed {
/// #     const TYPE: &'static str = "parcels.billed"; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.id }
/// #     fn example() -> Self { Billed { id: "P-1".into() } }
/// # }
/// const CONTRACT: Contract<Sent, Billed> = Contract::new("billing", "Bills what was sent.");
///
/// async fn bill(_: &(), event: Event<Sent>) -> Result<Billed, Failure> {
///     if event.attempt == 1 {
///         return Err(Failure::retry("the printer is out of paper"));
///     }
///     Ok(Billed { id: event.data.id })
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let billing = harness(CONTRACT, (), bill);
/// let first = billing.deliver(Sent { id: "P-1".into() }).await;
/// assert!(matches!(first, Outcome::Retried { attempt: 1, .. }));
/// let second = billing.next_attempt().await;
/// assert_eq!(second, Some(Outcome::ack([Billed { id: "P-1".into() }])));
/// # }
/// ```
pub struct Harness {
    engine: Arc<Engine<Still>>,
    broker: Arc<Still>,
    retries: usize,
    trail: usize,
    publishing: JoinHandle<()>,
}

/// Puts a function under test. To be called within a tokio runtime.
pub fn harness<D, I, O, H, Form>(contract: Contract<I, O>, deps: D, handler: H) -> Harness
where
    D: Send + Sync + 'static,
    I: Incoming,
    O: Outgoing,
    H: for<'a> Handler<'a, D, I, O, Form>,
    Form: 'static,
{
    let bindings = Bindings::new(contract, deps, handler);
    let retries = Subject::from_broker(&format!("retry.{}.>", bindings.terms.name));
    let broker = Arc::new(Still::new());
    let (retries, trail) = broker.with(|server, _| {
        let trail = vec![Subject::from_broker("audit.>")];
        let retries = server.subscribe(Stream::Retry, vec![retries], usize::MAX);
        (retries, server.subscribe(Stream::Audit, trail, usize::MAX))
    });
    let (engine, publishing) = Engine::new(bindings, Arc::clone(&broker), CancellationToken::new());
    Harness { engine, broker, retries, trail, publishing: tokio::spawn(publishing) }
}

impl Harness {
    /// The function with `value` as its state under `key`.
    ///
    /// # Panics
    /// The value does not serialise.
    #[must_use]
    #[allow(clippy::expect_used, reason = "only tests call this")]
    pub fn with_state<S: Stored>(self, key: &str, value: &S) -> Self {
        let json = serde_json::to_vec(value).expect("state in a test serialises");
        self.put(Message::new(Subject::of_state(self.engine.terms.name, S::KIND, key), Bytes::from(json)));
        self
    }

    /// Delivers an event of `payload`. The same payload again is the same event again.
    ///
    /// # Panics
    /// The payload does not serialise.
    pub async fn deliver(&self, payload: impl Payload) -> Outcome {
        self.deliver_with(payload, &[]).await
    }

    /// Delivers an event of `payload` that came with these headers.
    ///
    /// # Panics
    /// The payload does not serialise.
    pub async fn deliver_with(&self, payload: impl Payload, headers: &[(&'static str, &str)]) -> Outcome {
        let envelope = envelope(&payload, &self.broker);
        let subject = envelope.subject();
        let mut message = message(&envelope);
        message.headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.put(message);
        // A consumer of its own: what the function emits may be of a type that it listens to itself.
        let delivery = self.broker.with(|server, now| {
            let inputs = server.subscribe(Stream::Events, vec![subject], usize::MAX);
            server.fetch(inputs, now)
        });
        self.outcome_of(delivery).await.unwrap_or(Outcome::Released)
    }

    /// Delivers an event of each of `payloads` in one batch, to a function that gives an outcome for each; in their order.
    ///
    /// # Panics
    /// A payload does not serialise.
    pub async fn deliver_each<O: Outgoing>(&self, payloads: impl IntoIterator<Item = O>) -> Vec<Outcome> {
        let subjects: Vec<Subject> = payloads
            .into_iter()
            .map(|payload| {
                let envelope = envelope(&payload, &self.broker);
                self.put(message(&envelope));
                envelope.subject()
            })
            .collect();
        let deliveries: Vec<Delivery<Receipt>> = self.broker.with(|server, now| {
            let consumers = subjects
                .iter()
                .map(|subject| server.subscribe(Stream::Events, vec![subject.clone()], usize::MAX));
            let consumers: Vec<usize> = consumers.collect();
            consumers.into_iter().filter_map(|consumer| server.fetch(consumer, now)).collect()
        });
        let before = self.mark();
        let receipts: Vec<Receipt> = deliveries.iter().map(|delivery| delivery.receipt).collect();
        live_each(Arc::clone(&self.engine), deliveries).await;
        let each = subjects.iter().zip(receipts);
        each.map(|(subject, receipt)| self.of_input(subject, &before, receipt)).collect()
    }

    /// Delivers to a function that reads the trail all of `payloads` in one batch, behind what it has left over before.
    ///
    /// # Panics
    /// A payload does not serialise.
    pub async fn deliver_trail<O: Outgoing>(&self, payloads: impl IntoIterator<Item = O>) -> Outcome {
        for payload in payloads {
            self.put(message(&envelope(&payload, &self.broker)));
        }
        let before = self.mark();
        let batch: Vec<Delivery<Receipt>> = self.broker.with(|server, now| {
            server.copy_to_audit(now);
            std::iter::from_fn(|| server.fetch(self.trail, now)).take(self.engine.terms.batch).collect()
        });
        let last = batch.last().map(|delivery| delivery.receipt);
        live_batch(Arc::clone(&self.engine), batch).await;
        self.since(&before, last)
    }

    /// Moves time on to when the next failed attempt is due, and makes it; nothing if none waits.
    pub async fn next_attempt(&self) -> Option<Outcome> {
        let due = self.broker.with(|server, _| server.next_due())?;
        self.broker.pass(due);
        let delivery = self.broker.with(|server, now| server.fetch(self.retries, now));
        self.outcome_of(delivery).await
    }

    /// The state under `key`.
    pub fn state<S: Stored>(&self, key: &str) -> Option<S> {
        let subject = Subject::of_state(self.engine.terms.name, S::KIND, key);
        let json = self.broker.with(|server, _| {
            server.log(Stream::Events).last(&subject).map(|entry| entry.stored.payload.clone())
        })?;
        serde_json::from_slice(&json).ok()
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> &crate::core::keys::Keys {
        &self.engine.keys
    }

    /// Every dead letter so far, in order.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.stored_since(Stream::DeadLetters, 0).iter().map(DeadLetter::of).collect()
    }

    async fn outcome_of(&self, delivery: Option<Delivery<Receipt>>) -> Option<Outcome> {
        let delivery = delivery?;
        let (before, receipt) = (self.mark(), delivery.receipt);
        live(Arc::clone(&self.engine), delivery, None).await;
        Some(self.since(&before, Some(receipt)))
    }

    /// How far the streams of events, retries and dead letters reach.
    fn mark(&self) -> [u64; 3] {
        let streams = [Stream::Events, Stream::Retry, Stream::DeadLetters];
        self.broker.with(|server, _| streams.map(|stream| server.log(stream).last_sequence()))
    }

    /// What has become of the input of `receipt`, by what was stored since `mark`.
    fn since(&self, mark: &[u64; 3], receipt: Option<Receipt>) -> Outcome {
        let [events, retries, letters] = *mark;
        if let Some(letter) = self.stored_since(Stream::DeadLetters, letters).pop() {
            let DeadLetter { reason, error, .. } = DeadLetter::of(&letter);
            return Outcome::DeadLettered { reason, error };
        }
        if let Some(retry) = self.stored_since(Stream::Retry, retries).pop() {
            return self.retried(&retry);
        }
        let is_held = receipt.is_some_and(|receipt| {
            self.broker.with(|server, _| server.consumer(receipt.consumer).is_some_and(|c| c.in_flight() > 0))
        });
        if is_held {
            return Outcome::Released;
        }
        let events = self.stored_since(Stream::Events, events);
        Outcome::Acked(events.iter().filter(is_event).filter_map(Emitted::of).collect())
    }

    /// What has become of one of several inputs since `mark`.
    fn of_input(&self, subject: &Subject, mark: &[u64; 3], receipt: Receipt) -> Outcome {
        let [events, retries, letters] = *mark;
        let about = |stream, mark, name: &str| -> Vec<Kept> {
            let stored = self.stored_since(stream, mark).into_iter();
            stored.filter(|stored| stored.header(name) == Some(subject.as_str())).collect()
        };
        if let Some(letter) = about(Stream::DeadLetters, letters, headers::SUBJECT).pop() {
            let DeadLetter { reason, error, .. } = DeadLetter::of(&letter);
            return Outcome::DeadLettered { reason, error };
        }
        if let Some(retry) = about(Stream::Retry, retries, headers::SUBJECT).pop() {
            return self.retried(&retry);
        }
        let is_held = self
            .broker
            .with(|server, _| server.consumer(receipt.consumer).is_some_and(|c| c.in_flight() > 0));
        if is_held {
            return Outcome::Released;
        }
        let events = about(Stream::Events, events, headers::CAUSE);
        Outcome::Acked(events.iter().filter(is_event).filter_map(Emitted::of).collect())
    }

    fn retried(&self, retry: &Kept) -> Outcome {
        let failed =
            retry.header(headers::HISTORY).and_then(|json| serde_json::from_str::<Vec<Attempt>>(json).ok());
        let (attempt, error) = failed
            .and_then(|mut failed| failed.pop())
            .map(|last| (last.attempt, last.error))
            .unwrap_or_default();
        let after = self.broker.with(|server, now| server.next_retry().unwrap_or(now).saturating_sub(now));
        Outcome::Retried { attempt, after, error }
    }

    fn stored_since(&self, stream: Stream, mark: u64) -> Vec<Kept> {
        self.broker.with(|server, _| {
            let later = server.log(stream).history().filter(|entry| entry.stored.sequence > mark);
            later.map(|entry| entry.stored.clone()).collect()
        })
    }

    #[allow(clippy::expect_used, reason = "only tests call this")]
    fn put(&self, message: Message) {
        self.broker
            .publish_now(Stream::Events, &[message])
            .expect("a stream without limits takes everything");
    }
}

fn is_event(stored: &&Kept) -> bool {
    stored.subject.parse_event().is_some() && !stored.subject.is_receipt()
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.publishing.abort();
    }
}

#[allow(clippy::expect_used, reason = "only tests call this")]
fn envelope(payload: &impl Outgoing, broker: &Still) -> Envelope {
    let outbound = payload.encode().expect("a payload in a test serialises");
    let id = format!("{}-{}", outbound.aggregate_id, outbound.kind.name.replace('.', "-"));
    let trace_id = crate::identity::trace_id(&id);
    Envelope::around(outbound, id, broker.now(), trace_id)
}

#[allow(clippy::expect_used, reason = "only tests call this")]
fn message(envelope: &Envelope) -> Message {
    let json = envelope.write().expect("an envelope in a test serialises");
    Message::new(envelope.subject(), Bytes::from(json))
}

#[cfg(test)]
mod tests;
