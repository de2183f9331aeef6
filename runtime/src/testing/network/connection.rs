//! A process's connection to the simulated broker: what the core sees of it.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use crate::core::broker::{Broker, Message, PublishError, Stored, Stream};
use crate::memory::server::consumer::ACK_WAIT;
use crate::memory::server::{MESSAGE_BYTES_MAX, Receipt};
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::testing::network::Network;
use crate::testing::network::parcel::Reply;

/// A process, alive or dead.
pub(crate) struct Life {
    pub(crate) number: u32,
    pub(crate) function: &'static str,
    /// How far its clock is off.
    skew: time::Duration,
    is_dead: AtomicBool,
    /// Until when it stands still, in milliseconds since the beginning of the simulation.
    stopped_until_ms: AtomicU64,
}

impl Life {
    pub(crate) const fn new(number: u32, function: &'static str, skew: time::Duration) -> Self {
        let (is_dead, stopped_until_ms) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { number, function, skew, is_dead, stopped_until_ms }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Stops the process where it stands; after `until` it goes on as if nothing had been.
    pub(crate) fn stop(&self, until: Duration) {
        self.stopped_until_ms.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Until when it stands still, if it does.
    pub(crate) fn stopped_until(&self, now: Duration) -> Option<Duration> {
        let until = Duration::from_millis(self.stopped_until_ms.load(Ordering::Relaxed));
        (until > now).then_some(until)
    }

    /// Ends the process where it stands: none of its tasks ever takes another step that the world could see.
    pub(crate) fn end(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.function, self.number)
    }
}

/// One process's way to the broker.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) network: Arc<Network>,
    pub(crate) life: Arc<Life>,
}

impl Connection {
    /// A point at which the process may die. Whoever is dead stays here for ever, as if dropped; who is stopped waits.
    pub(crate) async fn step(&self) {
        while let Some(until) = self.life.stopped_until(self.network.now()) {
            tokio::time::sleep_until(self.network.moment(until)).await;
        }
        if self.network.is_over_for(&self.life) {
            pending::<()>().await;
        }
    }
}

impl Broker for Connection {
    type Receipt = Receipt;

    async fn publish(&self, stream: Stream, messages: Vec<Message>) -> Result<u64, PublishError> {
        self.step().await;
        let answer = self.network.publish(&self.life, stream, messages);
        self.step().await;
        let Ok(result) = answer.await else { return pending().await };
        self.step().await;
        result
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        self.step().await;
        let Ok(result) = self.network.last(&self.life, stream, subject, true).await else {
            return pending().await;
        };
        self.step().await;
        result
    }

    async fn last_at_leader(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        self.step().await;
        let Ok(result) = self.network.last(&self.life, stream, subject, false).await else {
            return pending().await;
        };
        self.step().await;
        result
    }

    async fn ack(&self, receipt: &Receipt) {
        self.step().await;
        self.network.reply(&self.life, *receipt, Reply::Ack);
        self.step().await;
    }

    async fn give_back(&self, receipt: &Receipt, delay: Duration) {
        self.step().await;
        self.network.reply(&self.life, *receipt, Reply::GiveBack(delay));
        self.step().await;
    }

    async fn in_progress(&self, receipt: &Receipt) {
        self.step().await;
        self.network.reply(&self.life, *receipt, Reply::InProgress);
    }

    fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    fn ack_wait(&self) -> Duration {
        ACK_WAIT
    }

    fn now(&self) -> OffsetDateTime {
        self.network.time_of_day() + self.life.skew
    }
}
