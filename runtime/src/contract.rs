//! The contract: what a function is to the rest of the system, stated once.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::handler::Takes;
use crate::permissions::OPERATIONS;
use crate::{EventKind, Incoming, Outgoing, Retry, Scaling, Trigger};

/// What a function is to the rest of the system: its name, what it listens to (`I`), what it emits (`O`), and how it is
/// run. Provisioning, permissions, manifests and documents are derived from this one constant.
///
/// ```
/// # use std::time::Duration;
/// # use jetlag::{AnyEvent, Breaker, Contract, Nothing, Retry};
/// pub const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("watcher", "Counts what happens.")
///     .retry(Retry::exponential(Duration::from_secs(1)).at_most(Duration::from_secs(60)).attempts(8))
///     .time_limit(Duration::from_secs(10))
///     .breaker(Breaker::after(5).open_for(Duration::from_secs(30)))
///     .concurrency(64);
/// ```
pub struct Contract<I, O> {
    terms: Terms,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Clone for Contract<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Contract<I, O> {}

/// A contract whose types are gone: what the core, the generators and `--describe` read.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Terms {
    /// The function's name: lower-case letters, digits and `-`, at most 40 characters.
    pub name: &'static str,
    /// One sentence on what it does.
    pub summary: &'static str,
    /// The stream that it reads.
    pub reads: Source,
    /// The types of event that it listens to.
    #[serde(serialize_with = "kinds_with_examples")]
    pub listens_to: &'static [EventKind],
    /// The types of event that it emits.
    #[serde(serialize_with = "kinds_with_examples")]
    pub emits: &'static [EventKind],
    /// The types that it admits from publishers outside.
    #[serde(serialize_with = "kinds_with_examples")]
    pub admits: &'static [EventKind],
    /// The kinds of state that it owns.
    pub keeps: &'static [&'static str],
    /// How failed attempts are made again.
    pub retry: Retry,
    /// How long one run of the handler may take, in milliseconds.
    #[serde(rename = "time_limit_ms", serialize_with = "as_millis")]
    pub time_limit: Duration,
    /// How many inputs are handled at a time in one process.
    pub concurrency: usize,
    /// How many inputs one run of the handler is given at most; 1 unless the handler takes batches.
    pub batch: usize,
    /// When the function stops asking a dependency that is down.
    pub breaker: Option<Breaker>,
    /// Which commits are synced to disk together rather than one by one.
    pub durability: Durability,
    /// How many processes an autoscaler runs.
    pub scaling: Scaling,
    /// Where its inputs come from.
    pub trigger: Trigger,
}

/// The stream that a function reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The stream of events, by type.
    Events,
    /// The long-lived copy of everything, in order.
    Audit,
}

/// What a broker that syncs every write to disk (`sync_interval: always`) means for commits. Operators say it by
/// `JETLAG_DURABILITY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A commit of one message is published by itself; larger ones are grouped.
    Default,
    /// Every commit is grouped with whatever else is ready, so that they share their syncs.
    Always,
}

impl FromStr for Durability {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(Self::Default),
            "always" => Ok(Self::Always),
            _ => Err("it must be default or always"),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Always => "always",
        })
    }
}

/// When a function stops asking a dependency that is down, and when it asks again.
///
/// More than [`failures`](Self::after) consecutive [`Failure::outage`](crate::Failure::outage)s (or runs that exceed the
/// contract's time limit) open it, and so does one that would cost an input its last attempt while nobody else is answered. While it is open nothing is pulled and what
/// was pulled is given back, without spending attempts; then one input probes, in one of the function's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Breaker {
    /// How many consecutive outages it bears.
    pub(crate) failures: u32,
    /// How long it stays open before a probe, in milliseconds.
    #[serde(rename = "open_for_ms", serialize_with = "as_millis")]
    pub(crate) open_for: Duration,
}

impl Breaker {
    /// Opens after more than `failures` consecutive outages seen in one process, for 30 s unless told otherwise.
    ///
    /// Operators change both by `JETLAG_BREAKER_FAILURES` and `JETLAG_BREAKER_OPEN_MS`.
    pub const fn after(failures: u32) -> Self {
        Self { failures, open_for: Duration::from_secs(30) }
    }

    /// How long it stays open before one input probes.
    pub const fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }
}

impl<I: Incoming, O: Outgoing> Contract<I, O> {
    /// A function called `name`: 1 attempt a second at first and 8 in all, 30 s for each, 64 inputs at a time, at most 10
    /// processes.
    pub const fn new(name: &'static str, summary: &'static str) -> Self {
        Self {
            terms: Terms {
                name,
                summary,
                reads: Source::Events,
                listens_to: I::KINDS,
                emits: O::KINDS,
                admits: &[],
                keeps: &[],
                retry: Retry::exponential(Duration::from_secs(1)),
                time_limit: Duration::from_secs(30),
                concurrency: 64,
                batch: 1,
                breaker: None,
                durability: Durability::Default,
                scaling: Scaling::up_to(PROCESSES_MAX),
                trigger: Trigger::Stream,
            },
            types: PhantomData,
        }
    }

    /// How failed attempts are made again.
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.terms.retry = retry;
        self
    }

    /// How long one run of the handler may take; one that takes longer is a failed attempt, and counts towards the
    /// [`Breaker`] as an outage does.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.terms.time_limit = limit;
        self
    }

    /// How many inputs are handled at a time in one process, at least 1.
    pub const fn concurrency(mut self, slots: usize) -> Self {
        self.terms.concurrency = if slots == 0 { 1 } else { slots };
        self
    }

    /// Stops asking a dependency that is down. Not for a function that takes batches.
    pub const fn breaker(mut self, breaker: Breaker) -> Self {
        self.terms.breaker = Some(breaker);
        self
    }

    /// The kinds of state that the function owns: `&[kind_of::<Stock>(), …]`.
    pub const fn keeps(mut self, kinds: &'static [&'static str]) -> Self {
        self.terms.keeps = kinds;
        self
    }

    /// The types that this function admits from publishers outside, who publish to the bare type (`orders.placed`).
    pub const fn admits(mut self, kinds: &'static [EventKind]) -> Self {
        self.terms.admits = kinds;
        self
    }

    /// Reads the long-lived copy of everything instead of the stream of events.
    pub const fn reads_audit(mut self) -> Self {
        self.terms.reads = Source::Audit;
        self
    }

    /// Gives the handler up to `size` inputs at a time; the handler then takes a [`Batch`](crate::Batch), and gives an
    /// outcome for each of them, or, for the audit trail, one for the whole ([`Handler`](crate::Handler)).
    pub const fn batch(mut self, size: usize) -> Self {
        self.terms.batch = if size == 0 { 1 } else { size };
        self
    }

    /// Groups every commit: for a broker that syncs every write to disk.
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.terms.durability = durability;
        self
    }

    /// How many processes an autoscaler runs, and for what lag.
    pub const fn scaling(mut self, scaling: Scaling) -> Self {
        self.terms.scaling = scaling;
        self
    }

    /// Where its inputs come from: from the streams unless told otherwise. Operators change it by `JETLAG_TRIGGER`, but not
    /// to `stream` for a function of requests alone, which has no consumers.
    pub const fn trigger(mut self, trigger: Trigger) -> Self {
        self.terms.trigger = trigger;
        self
    }

    /// The contract without its types.
    pub const fn terms(self) -> Terms {
        self.terms
    }
}

impl Terms {
    /// Whether the inputs are entries of the audit trail: a batch of them is committed as a whole, guarded by the state
    /// that it leads to, and none of them is ever given up.
    pub(crate) const fn is_trail(&self) -> bool {
        matches!(self.reads, Source::Audit)
    }

    /// What is wrong with the contract for a handler that `takes` this.
    pub(crate) fn faults_with(&self, takes: Takes) -> Vec<String> {
        let mut faults = self.faults();
        let (name, batch) = (self.name, self.batch);
        match (takes, self.reads) {
            (Takes::One, _) if batch > 1 => faults.push(format!(
                "the contract of {name} says batch({batch}), and its handler takes one event at a time"
            )),
            (Takes::Batch, Source::Events) => faults.push(format!(
                "{name} reads events, so its handler must give an outcome for each of a batch: \
                 Result<Vec<Result<_, Failure>>, Failure>, and no State"
            )),
            (Takes::Each, Source::Audit) => faults.push(format!(
                "{name} reads the audit trail, which is committed batch by batch: its handler must take a State"
            )),
            _ => {}
        }
        faults
    }

    /// What is wrong with the contract, each a sentence; empty if nothing is.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |is: bool, text: String| {
            if is {
                faults.push(text);
            }
        };
        faults_of_name(self.name).into_iter().for_each(|text| fault(true, text));
        let any = self.listens_to.iter().any(|kind| kind.name == "*.*");
        for kind in self.listens_to.iter().chain(self.emits).chain(self.admits) {
            if !(any && kind.name == "*.*") {
                faults_of_type(kind.name).into_iter().for_each(|text| fault(true, text));
            }
        }
        for kind in self.keeps {
            fault(
                !is_name(kind),
                format!("the kind of state {kind:?} must be lower-case letters, digits and -"),
            );
        }
        fault(
            self.breaker.is_some() && self.batch > 1,
            "it takes batches and has a breaker, which probes with single inputs".to_owned(),
        );
        fault(
            self.reads == Source::Audit && self.trigger != Trigger::Stream,
            "it reads the audit trail, which is in the stream alone, and its trigger is another".to_owned(),
        );
        fault(
            self.listens_to.is_empty() && self.admits.is_empty(),
            "it listens to nothing and admits nothing".to_owned(),
        );
        faults
    }
}

/// How many processes of a function an autoscaler runs at most, unless its contract says otherwise.
pub(crate) const PROCESSES_MAX: u32 = 10;

/// What is wrong with `name` as that of a function, each a sentence; empty if nothing is.
pub fn faults_of_name(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !is_name(name) {
        faults.push(format!(
            "the name {name:?} must be 1 to {NAME_CHARS_MAX} lower-case letters, digits and -"
        ));
    }
    if OPERATIONS.contains(&name) {
        faults
            .push(format!("the name {name:?} is that of a user of operations at the broker: {OPERATIONS:?}"));
    }
    faults
}

/// What is wrong with `name` as the type of an event, each a sentence; empty if nothing is.
pub fn faults_of_type(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !crate::event::is_type(name) {
        faults.push(format!("the type {name:?} must be two words joined by a dot, such as orders.placed"));
    }
    if RESERVED_DOMAINS.iter().any(|domain| name.split('.').next() == Some(domain)) {
        faults.push(format!(
            "the type {name:?} begins with a word that Jetlag uses itself: {RESERVED_DOMAINS:?}"
        ));
    }
    faults
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_CHARS_MAX
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The longest name of a function: KEDA's and Kubernetes' names made of it stay under 63.
pub const NAME_CHARS_MAX: usize = 40;

/// First words of subjects that are not events.
const RESERVED_DOMAINS: [&str; 6] = ["state", "done", "retry", "schedule", "dlq", "audit-trail"];

pub(crate) fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn kinds_with_examples<S: Serializer>(kinds: &&[EventKind], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Kind {
        #[serde(rename = "type")]
        name: &'static str,
        aggregate: &'static str,
        once_per_aggregate: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        example: Option<Box<RawValue>>,
    }
    serializer.collect_seq(kinds.iter().map(|kind| Kind {
        name: kind.name,
        aggregate: kind.aggregate,
        once_per_aggregate: kind.once_per_aggregate,
        example: (kind.example)(),
    }))
}
