//! How everything is: one set of figures for `jetlag status` and `jetlag top`, read from the broker alone.

mod finding;
mod local;
mod look;
mod span;
mod words;

pub use finding::{Finding, Severity};
pub use local::{Local, Process};
pub use look::Look;
pub use span::{grouped, size, span};

use std::collections::BTreeMap;

use jetlag::jetstream::BreakerFacts;
use jetlag::rfc3339;
use jetlag::topology::EVENTS;
use serde::Serialize;
use time::OffsetDateTime;

/// How everything is at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    /// When it was looked.
    #[serde(serialize_with = "written")]
    pub at: OffsetDateTime,
    /// Where.
    pub broker: String,
    /// The streams that are there.
    pub streams: Vec<Stream>,
    /// The functions that the broker knows, by name.
    pub functions: Vec<Function>,
    /// What looks wrong, and what to do.
    pub findings: Vec<Finding>,
}

/// A stream.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Messages in it.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many bytes it takes at most; absent if there is no limit.
    pub bytes_max: Option<u64>,
    /// How many seconds it keeps a message; absent if for ever.
    pub kept_s: Option<u64>,
    /// When the last message came.
    #[serde(serialize_with = "written_if")]
    pub last_at: Option<OffsetDateTime>,
}

/// A function.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its consumers, one on each stream that it reads.
    pub lanes: Vec<Lane>,
    /// Failed attempts that wait for their time.
    pub retries: Retries,
    /// What it gave up.
    pub dead_letters: DeadLetters,
    /// The circuit breaker, if anything was ever written down about it.
    pub breaker: Option<Breaker>,
    /// When the oldest input came that it has not answered for.
    #[serde(serialize_with = "written_if")]
    pub oldest: Option<OffsetDateTime>,
    /// When it last was given something, or answered.
    #[serde(serialize_with = "written_if")]
    pub last_active: Option<OffsetDateTime>,
    /// Its processes, where they run under a `jetlag up` that is on this machine.
    pub processes: Option<Vec<Process>>,
}

/// One consumer of a function.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Lane {
    /// The stream that it reads.
    pub stream: String,
    /// What it has not delivered, and what was not answered for.
    pub lag: u64,
    /// What of that a process has.
    pub in_flight: u64,
    /// What of that was delivered more than once.
    pub redelivered: u64,
    /// Requests for inputs that stand: a process that has room asks.
    pub pulls: u64,
    /// How often something was answered for since the consumer was made.
    pub answered: u64,
    /// When the oldest input came that was not answered for.
    #[serde(serialize_with = "written_if")]
    pub oldest: Option<OffsetDateTime>,
}

/// Failed attempts that wait.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Retries {
    /// How many.
    pub waiting: u64,
    /// When the next one is due.
    #[serde(serialize_with = "written_if")]
    pub next: Option<OffsetDateTime>,
    /// Whether all of them were looked at for that.
    pub is_exact: bool,
}

/// What a function gave up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeadLetters {
    /// How many.
    pub count: u64,
    /// How many for each reason, of the latest thousand of all functions.
    pub by_reason: BTreeMap<String, u64>,
}

/// A circuit breaker.
#[derive(Debug, Clone, Serialize)]
pub struct Breaker {
    /// Whether it is open.
    pub is_open: bool,
    /// Since when it is as it is.
    #[serde(serialize_with = "written")]
    pub since: OffsetDateTime,
    /// When the next input may try.
    #[serde(serialize_with = "written_if")]
    pub next_try: Option<OffsetDateTime>,
    /// The input that tries now.
    pub probe: Option<String>,
}

impl From<BreakerFacts> for Breaker {
    fn from(facts: BreakerFacts) -> Self {
        let BreakerFacts { is_open, since, until, probe } = facts;
        Self { is_open, since, next_try: until, probe }
    }
}

impl Function {
    /// What its consumers have not delivered, and what was not answered for.
    pub fn lag(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.lag).sum()
    }

    /// What its processes have.
    pub fn in_flight(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.in_flight).sum()
    }

    /// What of that was delivered more than once.
    pub fn redelivered(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.redelivered).sum()
    }

    /// Requests for inputs that stand.
    pub fn pulls(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.pulls).sum()
    }

    /// How often it has answered since its consumers were made.
    pub fn answered(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.answered).sum()
    }

    /// Whether its breaker keeps it from pulling.
    pub fn is_broken(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.is_open)
    }

    /// How many of its processes do their work, where that is known.
    pub fn replicas(&self) -> Option<usize> {
        let processes = self.processes.as_ref()?;
        Some(processes.iter().filter(|process| process.is_up()).count())
    }

    fn lane(&self, stream: &str) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.stream == stream)
    }

    /// When the oldest event came that it has not answered for, in the stream where events expire.
    fn oldest_event(&self) -> Option<OffsetDateTime> {
        self.lane(EVENTS)?.oldest
    }
}

fn written<S: serde::Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

#[allow(clippy::ref_option, reason = "serde's form")]
fn written_if<S: serde::Serializer>(at: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_some(&rfc3339(*at)),
        None => serializer.serialize_none(),
    }
}
