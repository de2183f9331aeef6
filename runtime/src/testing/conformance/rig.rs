//! What a property asks of a broker beyond what the core asks: streams, consumers, and a look at both.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::core::broker::{Broker, Delivery, Expect, Lane, Message, Pulled, Stream};
use crate::subject::Subject;

/// Whether a property holds, or what was seen instead.
pub(crate) type Check = Result<(), String>;

/// How long anything that has to happen may take; a machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// How long nothing has to happen before it is taken for nothing.
pub(crate) const SILENCE: Duration = Duration::from_millis(400);
/// An `ack_wait` that no property lives to see: whatever comes again does so for another reason.
const NEVER: Duration = PATIENCE.saturating_mul(4);
/// How often something is looked at that has to change.
const POLL: Duration = Duration::from_millis(20);

/// A broker of its own for one property, with nothing in it.
pub(crate) trait Rig {
    type Receipt: Clone + fmt::Debug + Send + Sync + 'static;
    type Broker: Broker<Receipt = Self::Receipt>;
    type Lane: Lane<Self::Receipt>;

    /// How many copies of each stream there are.
    fn replicas(&self) -> u8;

    /// Makes `streams`, as the runtime makes them but for `settings`.
    async fn provide(&self, streams: &[Stream], settings: Settings) -> Check;

    /// Makes a consumer, as the runtime makes it but for what `consumer` says.
    async fn subscribe(&self, consumer: &Consumer) -> Check;

    /// A connection of its own.
    async fn connect(&self) -> Result<Self::Broker, String>;

    /// A lane from a consumer, over a connection of its own.
    async fn lane(&self, consumer: &Consumer) -> Result<Self::Lane, String>;

    /// What a consumer has before it.
    async fn lag(&self, consumer: &Consumer) -> Result<Lag, String>;

    /// Deletes a consumer.
    async fn remove(&self, consumer: &Consumer) -> Check;

    /// How many messages `stream` holds.
    async fn count(&self, stream: Stream) -> Result<u64, String>;

    /// Brings the stream of events to its limit.
    async fn fill(&self) -> Check;
}

/// What is otherwise in the streams of a property than in those of the runtime.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// How long an event is kept.
    pub(crate) horizon: Duration,
    /// The most bytes of events and state.
    pub(crate) events_bytes_max: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { horizon: Duration::from_secs(3600), events_bytes_max: 64 * 1024 * 1024 }
    }
}

/// A consumer of a property.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consumer {
    pub(crate) stream: Stream,
    pub(crate) name: &'static str,
    pub(crate) filters: &'static [&'static str],
    pub(crate) ack_wait: Duration,
    pub(crate) held_max: usize,
}

impl Consumer {
    pub(crate) const fn of(stream: Stream, filters: &'static [&'static str]) -> Self {
        Self { stream, name: "f", filters, ack_wait: NEVER, held_max: 1000 }
    }

    pub(crate) const fn ack_wait(mut self, ack_wait: Duration) -> Self {
        self.ack_wait = ack_wait;
        self
    }

    pub(crate) const fn held_max(mut self, held_max: usize) -> Self {
        self.held_max = held_max;
        self
    }
}

/// What a consumer has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lag {
    /// Not delivered yet.
    pub(crate) undelivered: u64,
    /// Delivered, and not answered.
    pub(crate) unanswered: u64,
}

pub(crate) const fn lag(undelivered: u64, unanswered: u64) -> Lag {
    Lag { undelivered, unanswered }
}

pub(crate) fn subject(text: &str) -> Subject {
    Subject::from_broker(text)
}

pub(crate) fn message(on: &str) -> Message {
    Message::new(subject(on), Bytes::from_static(b"{}"))
}

/// A message that insists on `sequence` on its own subject.
pub(crate) fn after(sequence: u64, on: &str) -> Message {
    let mut message = message(on);
    message.expect = Some(Expect { sequence, scope: None });
    message
}

/// A message that insists on `sequence` in a scope.
pub(crate) fn guarded(sequence: u64, on: &str, scope: &str) -> Message {
    let mut message = message(on);
    message.expect = Some(Expect { sequence, scope: Some(subject(scope)) });
    message
}

/// Whether `seen` is what it must be.
pub(crate) fn same<T: PartialEq<U> + fmt::Debug, U: fmt::Debug>(what: &str, seen: T, wanted: U) -> Check {
    if seen == wanted { Ok(()) } else { Err(format!("{what}: {seen:?}, and it must be {wanted:?}")) }
}

/// Whether something `holds`.
pub(crate) fn sure(holds: bool, otherwise: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The next input, whatever else comes before it.
pub(crate) async fn next<R>(lane: &mut impl Lane<R>) -> Result<Delivery<R>, String> {
    let waiting = async {
        loop {
            match lane.next().await {
                Pulled::Delivery(delivery) => return Ok(*delivery),
                // A request that is over: nothing else will come of it.
                Pulled::Expired(credit) => lane.request(credit).await,
                Pulled::Lost => return Err("the lane says that its requests are lost".to_owned()),
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| format!("no input within {PATIENCE:?}"))?
}

/// Asks for one input and gives it.
pub(crate) async fn pull<R>(lane: &mut impl Lane<R>) -> Result<Delivery<R>, String> {
    lane.request(1).await;
    next(lane).await
}

/// Whether no input comes within [`SILENCE`].
pub(crate) async fn nothing<R>(lane: &mut impl Lane<R>) -> Check {
    let end = Instant::now() + SILENCE;
    while let Ok(pulled) = tokio::time::timeout_at(end, lane.next()).await {
        if let Pulled::Delivery(delivery) = pulled {
            let (subject, delivered) = (&delivery.subject, delivery.delivered);
            return Err(format!("{subject} came ({delivered}), where nothing must come"));
        }
    }
    Ok(())
}

/// Looks until `look` is satisfied; what it said last is the error.
pub(crate) async fn eventually(what: &str, mut look: impl AsyncFnMut() -> Check) -> Check {
    let end = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Err(why) if Instant::now() > end => {
                return Err(format!("{what}, not within {PATIENCE:?}: {why}"));
            }
            Err(_) => tokio::time::sleep(POLL).await,
            Ok(()) => return Ok(()),
        }
    }
}

/// Waits until a consumer has this before it.
pub(crate) async fn comes_to(rig: &impl Rig, consumer: &Consumer, wanted: Lag) -> Check {
    eventually("the consumer", async || same("its lag", rig.lag(consumer).await?, wanted)).await
}
