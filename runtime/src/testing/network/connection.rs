//! A process's connection to the simulated broker: what the core sees of it.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use crate::core::broker::{Broker, Message, PublishError, Stored, Stream};
use crate::memory::server::Receipt;
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::testing::network::Network;
use crate::testing::network::parcel::Reply;

/// The most bytes that a message may have.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A process, alive or dead.
pub(crate) struct Life {
    pub(crate) number: u32,
    pub(crate) function: &'static str,
    is_dead: AtomicBool,
}

impl Life {
    pub(crate) const fn new(number: u32, function: &'static str) -> Self {
        Self { number, function, is_dead: AtomicBool::new(false) }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
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
    /// A point at which the process may die. Whoever is dead stays here for ever, as if dropped.
    pub(crate) async fn step(&self) {
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
        let Ok(result) = self.network.last(&self.life, stream, subject).await else { return pending().await };
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

    fn now(&self) -> OffsetDateTime {
        self.network.time_of_day()
    }
}
