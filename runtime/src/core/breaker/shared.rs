//! The circuit breaker of a function: each process has its own circuit, and all of them keep one record at the broker.
//!
//! Nothing of this is on the way of an input while the circuit is closed. An outage makes a process look at the record;
//! opening the circuit writes it; a probe needs leave, which is a write with the expected sequence that was read, so that
//! of all processes one tries. A broker that cannot be reached leaves every process with its own circuit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::Terms;
use crate::core::breaker::record::{self, Probe, Record};
use crate::core::breaker::{Circuit, Health, PROBE_DELAY, Pass, Position, Standing};
use crate::core::broker::{Broker, PublishError, Stream};
use crate::core::inbound::Cause;
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::telemetry::meter;

/// How long reading or writing the record may hold up an input.
const SHARING_MAX: Duration = Duration::from_secs(5);
/// How often a write is tried whose expected sequence others have overtaken.
const TRIES_MAX: u32 = 4;

/// The breaker of one process of a function.
pub(crate) struct SharedBreaker<B> {
    function: &'static str,
    circuit: Circuit,
    broker: Arc<B>,
    subject: Subject,
    /// One conversation with the broker at a time.
    book: tokio::sync::Mutex<Book>,
    begun: OnceCell<()>,
    probe: Mutex<Option<Probe>>,
    said: Mutex<Position>,
}

/// What this process knows of the record.
#[derive(Debug, Default)]
struct Book {
    /// The sequence that it had when it was last read or written.
    sequence: u64,
    /// When it was last looked at.
    looked_at: Option<Instant>,
    /// This process has opened its circuit and could not write it down.
    is_owed: bool,
}

/// What became of something that was to be written.
enum Proposed {
    /// It is there.
    Written,
    /// It was not written because of this.
    Instead(Record),
    /// Nobody knows.
    Unreachable,
}

impl<B: Broker> SharedBreaker<B> {
    pub(crate) fn new(terms: &Terms, broker: Arc<B>) -> Self {
        meter::breaker(terms.name, Position::Closed);
        Self {
            function: terms.name,
            circuit: Circuit::new(terms.breaker, terms.time_limit),
            broker,
            subject: record::subject(terms.name),
            book: tokio::sync::Mutex::default(),
            begun: OnceCell::new(),
            probe: Mutex::new(None),
            said: Mutex::new(Position::Closed),
        }
    }

    /// This process's circuit.
    pub(crate) const fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// Looks at the record before the first input: a process that starts during an outage does not ask first.
    pub(crate) async fn begin(&self) {
        if self.circuit.settings().is_some() && !self.begun.initialized() {
            Box::pin(self.begun.get_or_init(|| self.learn(Instant::now()))).await;
        }
    }

    /// Leave to run the handler for `cause`, or `None` while the circuit is open.
    pub(crate) async fn pass(&self, cause: &Cause) -> Option<Pass> {
        self.begin().await;
        let pass = self.circuit.pass(Instant::now())?;
        if !pass.is_probe {
            return Some(pass);
        }
        if Box::pin(self.seek_leave(cause.id(0))).await {
            self.announce();
            return Some(pass);
        }
        self.announce();
        // Others may have closed it.
        let is_closed = self.circuit.standing() == Standing::Closed;
        is_closed.then_some(Pass { is_probe: false })
    }

    /// Tells what the run with `pass` showed. If it ran into an outage and the circuit is open now, the input has spent
    /// no attempt, and this is for how long it is to be given back.
    pub(crate) async fn tell(&self, pass: Pass, health: Health) -> Option<Duration> {
        self.circuit.settings()?;
        let was_closed = self.circuit.standing() == Standing::Closed;
        let now = Instant::now();
        self.circuit.tell(pass, health, now);
        self.announce();
        match (self.circuit.standing(), health) {
            _ if pass.is_probe => Box::pin(self.report()).await,
            (Standing::Closed, Health::Down(_)) => Box::pin(self.learn(now)).await,
            (Standing::Open { .. }, Health::Down(_)) if was_closed => Box::pin(self.open()).await,
            _ => {}
        }
        self.announce();
        match health {
            Health::Down(_) => self.circuit.rest(pass.is_probe, Instant::now()),
            Health::Up | Health::Unknown => None,
        }
    }

    /// For how long an input is given back that may not run.
    pub(crate) fn rest(&self) -> Duration {
        self.circuit.rest(false, Instant::now()).unwrap_or(PROBE_DELAY)
    }

    /// Follows what the others find while the circuit is open, and tells them what they have missed while it is closed.
    /// Never ends.
    pub(crate) async fn follow(&self) {
        let Some(settings) = self.circuit.settings() else { return std::future::pending().await };
        loop {
            match tokio::time::timeout(settings.open_for, self.circuit.look_due()).await {
                Ok(()) => self.look().await,
                Err(_) => self.attest().await,
            }
            self.announce();
        }
    }

    /// Since when it is open, and when a probe may begin, in the time of day.
    pub(crate) fn outage(&self) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let (since, until) = self.circuit.standing().span()?;
        Some((self.time_of_day(since), self.time_of_day(until)))
    }

    /// Reads the record because something was seen at `seen_at`, unless somebody has done so since.
    async fn learn(&self, seen_at: Instant) {
        let mut book = self.book.lock().await;
        if book.looked_at.is_some_and(|at| at > seen_at) {
            return;
        }
        book.looked_at = Some(Instant::now());
        if let Ok(Ok(Some(record @ Record::Open { .. }))) = self.bounded(self.read(&mut book)).await
            && self.circuit.standing() == Standing::Closed
        {
            self.adopt(&record);
        }
        drop(book);
        self.announce();
    }

    async fn look(&self) {
        let mut book = self.book.lock().await;
        if book.is_owed {
            drop(book);
            return self.open().await;
        }
        let found = self.bounded(self.read(&mut book)).await;
        // A probe of this process may have begun or ended meanwhile: it knows better.
        if let Ok(Ok(Some(record))) = found
            && self.circuit.is_waiting()
        {
            self.adopt(&record);
        }
    }

    /// Closes a record that others have left open, if the dependency has answered this process since: whoever opened it
    /// waits for an input to try, and all of them may come here, or it is gone.
    async fn attest(&self) {
        let Some(answered) = self.circuit.answered() else { return };
        let mut book = self.book.lock().await;
        if book.looked_at.is_some_and(|at| at >= answered) {
            return;
        }
        book.looked_at = Some(Instant::now());
        let answered = self.time_of_day(answered);
        let decide = |found: Option<&Record>| Record::attested(found, answered, self.broker.now());
        // If it cannot be written now, it will be after the next answer.
        self.propose(&mut book, decide).await;
    }

    /// Writes down that the circuit is open.
    async fn open(&self) {
        let Some(outage) = self.outage() else { return };
        let mut book = self.book.lock().await;
        let decide = |found: Option<&Record>| Record::opened(found, self.broker.now(), outage);
        let proposed = self.propose(&mut book, decide).await;
        book.is_owed = matches!(proposed, Proposed::Unreachable);
        if let Proposed::Instead(record) = proposed
            && self.circuit.is_waiting()
        {
            self.adopt(&record);
        }
    }

    /// Whether `input` may probe: no other process's input does. If nobody can be asked, it may.
    async fn seek_leave(&self, input: String) -> bool {
        let mut book = self.book.lock().await;
        let now = self.broker.now();
        let probe = Probe { input, until: now + self.circuit.probe_max() };
        let opened_at = self.outage().map_or(now, |(since, _)| since);
        let is_owed = book.is_owed;
        let decide =
            |found: Option<&Record>| Record::leased(found, self.broker.now(), opened_at, &probe, is_owed);
        match self.propose(&mut book, decide).await {
            Proposed::Instead(record) => {
                self.adopt(&record);
                return false;
            }
            Proposed::Written => book.is_owed = false,
            Proposed::Unreachable => {}
        }
        self.circuit.probe(Instant::now());
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
        true
    }

    /// Writes down what a probe of this process has shown.
    async fn report(&self) {
        let probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut book = self.book.lock().await;
        match (self.outage(), probe) {
            (None, _) => {
                let decide = |found: Option<&Record>| Record::closed(found, self.broker.now());
                // If it cannot be written the others find out by probes of their own.
                self.propose(&mut book, decide).await;
                book.is_owed = false;
            }
            (Some(outage), Some(probe)) => {
                let decide = |found: Option<&Record>| Record::reopened(found, outage, &probe);
                match self.propose(&mut book, decide).await {
                    Proposed::Instead(record) if self.circuit.is_waiting() => self.adopt(&record),
                    Proposed::Unreachable => book.is_owed = true,
                    Proposed::Written | Proposed::Instead(_) => {}
                }
            }
            (Some(_), None) => {}
        }
    }

    /// Puts what `decide` makes of the record in its place, unless that is nothing.
    async fn propose(&self, book: &mut Book, decide: impl Fn(Option<&Record>) -> Option<Record>) -> Proposed {
        let proposing = async {
            for _ in 0..TRIES_MAX {
                let Ok(found) = self.read(book).await else { return Proposed::Unreachable };
                let record = match (decide(found.as_ref()), found) {
                    // An earlier try whose answer was lost.
                    (Some(record), Some(found)) if record == found => return Proposed::Written,
                    (Some(record), _) => record,
                    (None, Some(found)) => return Proposed::Instead(found),
                    (None, None) => break,
                };
                let Some(message) = record.message(&self.subject, book.sequence) else { break };
                match self.broker.publish(Stream::Events, vec![message]).await {
                    Ok(sequence) => {
                        book.sequence = sequence;
                        return Proposed::Written;
                    }
                    Err(PublishError::Refused | PublishError::Ambiguous(_)) => {}
                    Err(PublishError::Full | PublishError::Rejected(_)) => break,
                }
            }
            Proposed::Unreachable
        };
        self.bounded(proposing).await.unwrap_or(Proposed::Unreachable)
    }

    async fn read(&self, book: &mut Book) -> Result<Option<Record>, Unavailable> {
        let stored = self.broker.last_at_leader(Stream::Events, &self.subject).await?;
        book.sequence = stored.as_ref().map_or(0, |stored| stored.sequence);
        Ok(stored.and_then(|stored| Record::read(&stored.payload)))
    }

    async fn bounded<T>(&self, talk: impl Future<Output = T>) -> Result<T, tokio::time::error::Elapsed> {
        tokio::time::timeout(SHARING_MAX, talk).await
    }

    fn adopt(&self, record: &Record) {
        let Some(settings) = self.circuit.settings() else { return };
        let now = Instant::now();
        let standing = record.standing(settings, self.circuit.probe_max(), now, self.broker.now());
        self.circuit.adopt(standing, now);
    }

    fn time_of_day(&self, at: Instant) -> OffsetDateTime {
        let now = Instant::now();
        self.broker.now() + at.saturating_duration_since(now) - now.saturating_duration_since(at)
    }

    /// Says aloud that the circuit has changed.
    fn announce(&self) {
        let position = self.circuit.position();
        let before = {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *said, position)
        };
        if before == position {
            return;
        }
        meter::breaker_changed(self.function, position);
        let wait_ms = self
            .circuit
            .rest(false, Instant::now())
            .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        match (before, position) {
            (Position::HalfOpen, Position::Open) => {
                tracing::warn!(wait_ms, "circuit breaker stays open: the probe was not answered");
            }
            (_, Position::Open) => {
                tracing::warn!(wait_ms, "circuit breaker opened: inputs wait in the stream");
            }
            (_, Position::HalfOpen) => tracing::info!("circuit breaker lets one input try"),
            (_, Position::Closed) => tracing::info!("circuit breaker closed"),
        }
    }
}

#[cfg(test)]
mod tests;
