//! What the core tells of each input: one line of log at most, and the metrics.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};
use time::OffsetDateTime;

use crate::Terms;
use crate::core::breaker::Position;
use crate::core::group::Outcome;
use crate::core::inbound::Inbound;
use crate::core::judge::Disposition;
use crate::failure::Reason;
use crate::telemetry::metrics::exemplar;
use crate::telemetry::{journey, names, spans};

/// The metrics of one function, looked up once.
pub(crate) struct Meter {
    function: &'static str,
    duration_success: Histogram,
    duration_error: Histogram,
    success: Counter,
    queue_time: Histogram,
    journey: Histogram,
    attempts: Histogram,
    committed: Counter,
}

impl Meter {
    pub(crate) fn new(terms: &Terms) -> Self {
        let function = terms.name;
        let duration = names::process_duration(function);
        gauge!(names::SLOTS, "function" => function).set(count(terms.concurrency));
        gauge!(names::PROCESSES_MAX, "function" => function).set(f64::from(terms.scaling.max));
        register(function);
        Self {
            function,
            duration_success: histogram!(duration.clone(), "function" => function, "status" => "success"),
            duration_error: histogram!(duration, "function" => function, "status" => "error"),
            success: counter!(names::HANDLED, "function" => function, "outcome" => "success"),
            queue_time: histogram!(names::QUEUE_TIME, "function" => function),
            journey: histogram!(names::JOURNEY, "function" => function),
            attempts: histogram!(names::ATTEMPTS, "function" => function),
            committed: counter!(names::COMMITS, "function" => function, "outcome" => "committed"),
        }
    }

    /// An input was handled; `took` counts from when it came to when its outcome was durable.
    pub(crate) fn handled(
        &self,
        inbound: &Inbound,
        disposition: &Disposition,
        took: Duration,
        now: OffsetDateTime,
    ) {
        let outcome = disposition.outcome();
        let trace = spans::finish(inbound, disposition);
        match disposition {
            Disposition::Ack { already: false } => self.success.increment(1),
            _ => counter!(names::HANDLED, "function" => self.function, "outcome" => outcome).increment(1),
        }
        exemplar::of(trace, || self.measure(inbound, disposition, took, now));
        let (attempt, duration_ms) =
            (inbound.input.attempt, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        match disposition {
            Disposition::Ack { .. } => tracing::debug!(outcome, attempt, duration_ms, "event handled"),
            Disposition::Retry { after, error } => {
                let retry_in_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(
                    outcome,
                    attempt,
                    duration_ms,
                    retry_in_ms,
                    error,
                    "event failed, to be tried again"
                );
            }
            Disposition::DeadLetter { reason, error } => {
                self.dead_letter(reason.code());
                tracing::error!(
                    outcome,
                    attempt,
                    duration_ms,
                    reason = reason.code(),
                    error,
                    "event given up"
                );
            }
            Disposition::Release { why, .. } => {
                tracing::info!(outcome, attempt, duration_ms, error = why, "event given back");
            }
        }
    }

    fn measure(&self, inbound: &Inbound, disposition: &Disposition, took: Duration, now: OffsetDateTime) {
        // A duplicate is no error: its effects are there.
        let is_done = matches!(disposition, Disposition::Ack { .. });
        if is_done { &self.duration_success } else { &self.duration_error }.record(took);
        let queued = now - inbound.input.envelope.timestamp;
        self.queue_time.record(queued.as_seconds_f64().max(0.0));
        if matches!(disposition, Disposition::Ack { already: false } | Disposition::DeadLetter { .. }) {
            self.attempts.record(f64::from(inbound.input.attempt));
        }
        let began = journey::began(inbound.cause.tracestate.as_deref(), inbound.input.envelope.timestamp);
        if let Some(began) = began.filter(|_| matches!(disposition, Disposition::Ack { already: false })) {
            self.journey.record((now - began).as_seconds_f64().max(0.0));
        }
    }

    /// What came was not an event of this function.
    pub(crate) fn unreadable(&self, subject: &str, disposition: &Disposition) {
        if let Disposition::DeadLetter { reason, error } = disposition {
            self.dead_letter(reason.code());
            tracing::error!(
                outcome = "dead_letter",
                subject,
                reason = reason.code(),
                error,
                "event given up"
            );
        } else {
            tracing::warn!(outcome = disposition.outcome(), subject, ?disposition, "event not given up yet");
        }
    }

    /// An event came from outside.
    pub(crate) fn admitted(&self, subject: &str, disposition: &Disposition) {
        let outcome = disposition.outcome();
        counter!(names::ADMITTED, "function" => self.function, "outcome" => outcome).increment(1);
        if let Disposition::Release { why, .. } = disposition {
            tracing::warn!(outcome, subject, error = why, "event from outside given back");
        }
    }

    /// An HTTP endpoint turned a request into an event, or, if `replayed`, an earlier one had.
    pub(crate) fn placed(&self, replayed: bool) {
        let outcome = if replayed { "duplicate" } else { "success" };
        counter!(names::ADMITTED, "function" => self.function, "outcome" => outcome).increment(1);
    }

    /// A commit came to its end.
    pub(crate) fn commit(&self, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Committed => {
                spans::committed("committed");
                return self.committed.increment(1);
            }
            Outcome::Already => "already",
            Outcome::Dead(_) => "dead",
            Outcome::Stale => "stale",
            Outcome::Exists(_) => "exists",
            Outcome::Full => "full",
            Outcome::Unavailable(_) => "unavailable",
        };
        spans::committed(outcome);
        counter!(names::COMMITS, "function" => self.function, "outcome" => outcome).increment(1);
    }

    /// An input was delivered, for the `delivered`th time.
    pub(crate) fn delivered(&self, delivered: u64) {
        if delivered > 1 {
            counter!(names::REDELIVERIES, "function" => self.function).increment(1);
        }
    }

    /// An input was delivered again that nobody gave back.
    pub(crate) fn suspected(&self) {
        counter!(names::SUSPECTS, "function" => self.function).increment(1);
    }

    /// A suspect runs alone, one of so many runs that may not have come back.
    pub(crate) fn runs_alone(&self, open: usize) {
        counter!(names::LONE_RUNS, "function" => self.function).increment(1);
        tracing::info!(open, "event was in flight when a process ended: it runs alone");
    }

    /// A suspect is given up.
    pub(crate) fn convicted(&self, error: &str) {
        counter!(names::CONVICTIONS, "function" => self.function).increment(1);
        tracing::warn!(
            reason = Reason::ProcessDied.code(),
            error,
            "event kills its process, and is not run again"
        );
    }

    /// Whether the process is connected to the broker.
    pub(crate) fn connected(&self, connected: bool) {
        gauge!(names::CONNECTED, "function" => self.function).set(f64::from(u8::from(connected)));
    }

    /// The process has lost its connection to the broker.
    pub(crate) fn disconnected(&self) {
        counter!(names::CONNECTIONS_LOST, "function" => self.function).increment(1);
    }

    /// Whether JetStream answers and has the function's consumers.
    pub(crate) fn consumers(&self, there: bool) {
        gauge!(names::CONSUMERS_THERE, "function" => self.function).set(f64::from(u8::from(there)));
    }

    /// How far the function's consumer on `stream` is, as the broker tells it.
    pub(crate) fn backlog(&self, stream: &'static str, backlog: &Backlog) {
        let tell = |name, value: u64| {
            gauge!(name, "function" => self.function, "stream" => stream)
                .set(count(usize::try_from(value).unwrap_or(usize::MAX)));
        };
        tell(names::LAG, backlog.pending.saturating_add(backlog.unanswered));
        tell(names::LAG_IN_FLIGHT, backlog.unanswered);
        tell(names::LAG_AGAIN, backlog.redelivered);
        tell(names::PULLS_WAITING, backlog.pulls);
    }

    /// Since when the circuit breaker is open.
    pub(crate) fn breaker_open_since(&self, since: Option<OffsetDateTime>) {
        let since = since.map_or(0, |at| at.unix_timestamp().max(0));
        gauge!(names::BREAKER_OPENED, "function" => self.function)
            .set(count(usize::try_from(since).unwrap_or(usize::MAX)));
    }

    /// The version that runs.
    pub(crate) fn runs(&self, version: &str) {
        gauge!(names::INFO, "function" => self.function, "version" => version.to_owned()).set(1.0);
    }

    /// How much of the stream of events is taken, and whether more is let in.
    pub(crate) fn fill(&self, bytes: u64, bytes_max: Option<u64>, is_open: bool) {
        let percent = bytes_max.map_or(0, |most| u128::from(bytes) * 100 / u128::from(most.max(1)));
        gauge!(names::EVENTS_FILL, "function" => self.function)
            .set(count(usize::try_from(percent).unwrap_or(usize::MAX)));
        gauge!(names::ADMISSION, "function" => self.function).set(f64::from(u8::from(is_open)));
    }

    /// How many inputs this process holds.
    pub(crate) fn in_flight(&self, held: usize) {
        gauge!(names::IN_FLIGHT, "function" => self.function).set(count(held));
    }

    fn dead_letter(&self, reason: &'static str) {
        counter!(names::DEAD_LETTERS, "function" => self.function, "reason" => reason).increment(1);
    }
}

/// What the broker tells of one consumer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Not delivered yet.
    pub(crate) pending: u64,
    /// Delivered, and not answered for.
    pub(crate) unanswered: u64,
    /// What of that was delivered more than once.
    pub(crate) redelivered: u64,
    /// Requests for inputs that stand.
    pub(crate) pulls: u64,
}

/// Counters begin at 0 with the process: Prometheus takes no increase from a series whose first value is another.
fn register(function: &'static str) {
    for outcome in ["success", "duplicate", "retry", "dead_letter", "released"] {
        let _ = counter!(names::HANDLED, "function" => function, "outcome" => outcome);
    }
    for reason in Reason::ALL {
        let _ = counter!(names::DEAD_LETTERS, "function" => function, "reason" => reason.code());
    }
    for name in
        [names::REDELIVERIES, names::SUSPECTS, names::LONE_RUNS, names::CONVICTIONS, names::CONNECTIONS_LOST]
    {
        let _ = counter!(name, "function" => function);
    }
    for outcome in ["committed", "already", "stale", "full", "unavailable"] {
        let _ = counter!(names::COMMITS, "function" => function, "outcome" => outcome);
    }
}

/// Where the circuit breaker of `function` stands.
pub(crate) fn breaker(function: &'static str, position: Position) {
    gauge!(names::BREAKER, "function" => function).set(match position {
        Position::Closed => 0.0,
        Position::HalfOpen => 1.0,
        Position::Open => 2.0,
    });
}

/// The circuit breaker of `function` has moved.
pub(crate) fn breaker_changed(function: &'static str, position: Position) {
    breaker(function, position);
    counter!(names::BREAKER_CHANGES, "function" => function, "position" => position.name()).increment(1);
}

/// A count as metrics have it.
pub(crate) fn count(n: usize) -> f64 {
    // Exact below 2^53, which no count here reaches.
    u32::try_from(n).map_or(f64::MAX, f64::from)
}
