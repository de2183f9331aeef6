//! A broker in memory, behind a process that dies once, at the point that was asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::core::broker::{Broker, Message, PublishError, Stored, Stream};
use crate::invoke::Crash;
use crate::memory::Still;
use crate::memory::server::Receipt;
use crate::state::Unavailable;
use crate::subject::Subject;

/// The broker as one process sees it.
#[derive(Debug)]
pub(super) struct Doomed {
    still: Arc<Still>,
    crash: Mutex<Option<Crash>>,
    is_dead: AtomicBool,
    /// Cancelled when the process is dead.
    pub(super) died: CancellationToken,
}

impl Doomed {
    pub(super) fn new(still: Arc<Still>, crash: Option<Crash>) -> Self {
        Self {
            still,
            crash: Mutex::new(crash),
            is_dead: AtomicBool::new(false),
            died: CancellationToken::new(),
        }
    }

    /// From now on it dies at this point.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn arm(&self, crash: Crash) {
        *self.crash.lock().unwrap_or_else(PoisonError::into_inner) = Some(crash);
    }

    /// Dies, if this is the point. Whoever is dead takes no further step.
    async fn step(&self, point: Crash) {
        if *self.crash.lock().unwrap_or_else(PoisonError::into_inner) == Some(point) {
            self.is_dead.store(true, Ordering::Relaxed);
        }
        if self.is_dead.load(Ordering::Relaxed) {
            self.died.cancel();
            std::future::pending::<()>().await;
        }
    }
}

impl Broker for Doomed {
    type Receipt = Receipt;

    async fn publish(&self, stream: Stream, messages: Vec<Message>) -> Result<u64, PublishError> {
        if stream != Stream::Events {
            return self.still.publish(stream, messages).await;
        }
        self.step(Crash::BeforeCommit).await;
        let published = self.still.publish(stream, messages).await;
        self.step(Crash::AfterCommit).await;
        published
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        self.still.last(stream, subject).await
    }

    async fn last_at_leader(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        self.still.last_at_leader(stream, subject).await
    }

    async fn ack(&self, receipt: &Receipt) {
        self.step(Crash::BeforeAck).await;
        self.still.ack(receipt).await;
    }

    async fn give_back(&self, receipt: &Receipt, delay: Duration) {
        // In whole seconds: a breaker goes by a real clock, and what comes of it is to be the same in every run.
        let part = Duration::from_nanos(u64::from(delay.subsec_nanos()));
        let whole = if part.is_zero() { delay } else { delay.saturating_sub(part) + Duration::from_secs(1) };
        self.still.give_back(receipt, whole).await;
    }

    async fn in_progress(&self, receipt: &Receipt) {
        self.still.in_progress(receipt).await;
    }

    fn message_bytes_max(&self) -> usize {
        self.still.message_bytes_max()
    }

    fn ack_wait(&self) -> Duration {
        self.still.ack_wait()
    }

    fn now(&self) -> OffsetDateTime {
        self.still.now()
    }
}
