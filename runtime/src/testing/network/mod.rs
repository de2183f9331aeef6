//! Between processes and the simulated broker: everything takes time, and some of it goes wrong.

mod archive;
mod arrival;
pub(crate) mod connection;
mod fate;
pub(crate) mod lane;
pub(crate) mod parcel;
pub(crate) mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::core::broker::{Message, PublishError, Stored, Stream};
use crate::memory::EPOCH_UNIX_S;
use crate::memory::server::Receipt;
use crate::state::Unavailable;
use crate::subject::Subject;
use connection::Life;
use parcel::{Arrival, Load, Reply};
use wire::Wire;

/// The network, with the broker at its end. Time is tokio's, which stands still while anyone has something to do.
pub(crate) struct Network {
    start: Instant,
    epoch: OffsetDateTime,
    wire: Mutex<Wire>,
    /// Something is under way that may arrive before everything else.
    pub(crate) news: Notify,
}

impl Network {
    pub(crate) fn new(wire: Wire) -> Self {
        let epoch = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(EPOCH_UNIX_S);
        Self { start: Instant::now(), epoch, wire: Mutex::new(wire), news: Notify::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the simulation has been running.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The moment at which it will have been running for `elapsed`.
    pub(crate) fn moment(&self, elapsed: Duration) -> Instant {
        self.start + elapsed
    }

    /// The time of day at the start.
    pub(crate) const fn epoch(&self) -> OffsetDateTime {
        self.epoch
    }

    pub(crate) fn time_of_day(&self) -> OffsetDateTime {
        self.epoch + self.now()
    }

    /// Whether the process is dead, or dies here.
    pub(crate) fn is_over_for(&self, life: &Life) -> bool {
        if life.is_dead() {
            return true;
        }
        let now = self.now();
        let mut wire = self.lock();
        if wire.strikes() {
            life.end();
            wire.journal.note(now, || format!("{life} is killed"));
            drop(wire);
            self.news.notify_one();
            return true;
        }
        false
    }

    /// Brings everything to its place that has arrived by now, and tells when something arrives next.
    pub(crate) fn turn(&self) -> Option<Duration> {
        self.lock().turn(self.now(), self.epoch)
    }

    fn publish(
        &self,
        life: &Life,
        stream: Stream,
        messages: Vec<Message>,
    ) -> oneshot::Receiver<Result<u64, PublishError>> {
        let (answer, answered) = oneshot::channel();
        self.lock().publish(self.now(), life, stream, messages, answer);
        self.news.notify_one();
        answered
    }

    fn last(
        &self,
        life: &Life,
        stream: Stream,
        subject: &Subject,
        may_lag: bool,
    ) -> oneshot::Receiver<Result<Option<Stored>, Unavailable>> {
        let (answer, answered) = oneshot::channel();
        self.lock().last(self.now(), life, (stream, subject.clone()), may_lag, answer);
        self.news.notify_one();
        answered
    }

    fn reply(&self, life: &Life, receipt: Receipt, reply: Reply) {
        self.lock().reply(self.now(), life, receipt, reply);
        self.news.notify_one();
    }

    fn pull(&self, consumer: usize, lane: u64, credit: usize) -> u64 {
        let request = self.lock().pull(self.now(), consumer, lane, credit);
        self.news.notify_one();
        request
    }

    /// Whether the broker knows of a request on the lane, and can be heard.
    fn stands(&self, consumer: usize, lane: u64) -> bool {
        self.lock().stands(self.now(), consumer, lane)
    }

    fn open_lane(
        &self,
        life: &Life,
        consumer: usize,
        most: usize,
    ) -> (u64, mpsc::UnboundedReceiver<Arrival>) {
        let (sender, arrivals) = mpsc::unbounded_channel();
        (self.lock().open_lane(life.number, consumer, most, sender), arrivals)
    }

    fn disconnect(&self, lane: u64) {
        self.lock().send_soon(self.now(), Load::Disconnect { lane });
        self.news.notify_one();
    }
}
