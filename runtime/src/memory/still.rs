//! The simulated broker without a network: everything arrives, at once, and time passes only when it is told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use crate::core::broker::{Broker, Message, PublishError, Stored, Stream};
use crate::memory::EPOCH_UNIX_S;
use crate::memory::server::consumer::ACK_WAIT;
use crate::memory::server::{MESSAGE_BYTES_MAX, Receipt, Server};
use crate::state::Unavailable;
use crate::subject::Subject;

/// A broker where nothing goes wrong.
#[derive(Debug)]
pub(crate) struct Still {
    epoch: OffsetDateTime,
    inner: Mutex<(Server, Duration)>,
    /// Whether direct reads are answered by a replica that has nothing yet.
    is_behind: AtomicBool,
}

impl Still {
    pub(crate) fn new() -> Self {
        Self::at(OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(EPOCH_UNIX_S))
    }

    /// A broker where it is `epoch` until time is told to pass.
    pub(crate) fn at(epoch: OffsetDateTime) -> Self {
        Self { epoch, inner: Mutex::new((Server::new(), Duration::ZERO)), is_behind: AtomicBool::new(false) }
    }

    /// Does something with the server, which is told how much time has passed so far.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Server, Duration) -> T) -> T {
        let (server, elapsed) = &mut *self.lock();
        act(server, *elapsed)
    }

    /// Lets time pass until so much has passed in all.
    pub(crate) fn pass(&self, elapsed: Duration) {
        let now = &mut self.lock().1;
        *now = elapsed.max(*now);
    }

    /// From now on direct reads are answered by a replica that has nothing yet.
    #[cfg(test)]
    pub(crate) fn fall_behind(&self) {
        self.is_behind.store(true, Ordering::Relaxed);
    }

    pub(crate) fn publish_now(&self, stream: Stream, messages: &[Message]) -> Result<u64, PublishError> {
        self.with(|server, now| server.publish(stream, messages, now, self.epoch))
    }

    /// The time of day after so much time has passed.
    pub(crate) fn time_after(&self, elapsed: Duration) -> OffsetDateTime {
        self.epoch + elapsed
    }

    fn lock(&self) -> MutexGuard<'_, (Server, Duration)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker for Still {
    type Receipt = Receipt;

    async fn publish(&self, stream: Stream, messages: Vec<Message>) -> Result<u64, PublishError> {
        self.publish_now(stream, &messages)
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        if self.is_behind.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.last_at_leader(stream, subject).await
    }

    async fn last_at_leader(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        Ok(self.with(|server, _| server.log(stream).last(subject).map(|entry| entry.stored.clone())))
    }

    async fn ack(&self, receipt: &Receipt) {
        self.with(|server, _| server.ack(*receipt));
    }

    async fn give_back(&self, receipt: &Receipt, delay: Duration) {
        self.with(|server, now| {
            if let Some(consumer) = server.consumer_mut(receipt.consumer) {
                consumer.again_at(receipt.sequence, now + delay);
            }
        });
    }

    async fn in_progress(&self, _: &Receipt) {}

    fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    fn ack_wait(&self) -> Duration {
        ACK_WAIT
    }

    fn now(&self) -> OffsetDateTime {
        self.time_after(self.lock().1)
    }
}
