//! One event through the true pipeline of a function's own program, on a broker in memory: no network, nothing left
//! behind. The program reads a [`Request`] and prints a [`Report`]; `jetlag invoke` is the other end.

pub(crate) mod check;
mod doom;
mod input;
pub(crate) mod process;
pub(crate) mod rerun;
mod run;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use check::Checked;
pub use rerun::{Reran, Rerun};
pub(crate) use run::run;

/// What is to be run.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// The input.
    pub input: Input,
    /// The function's state before it: `<kind>/<key>` to value.
    pub state: BTreeMap<String, Box<RawValue>>,
    /// Which attempt it is, from 1; 0 means 1.
    pub attempt: u32,
    /// Whether the broker delivers it a second time once it is done with.
    pub duplicate: bool,
    /// How many runs of the handler fail before its own result counts.
    pub fail_first: u32,
    /// At what point the process dies, once.
    pub crash: Option<Crash>,
    /// Instead of the contract's limit for one run of the handler, in milliseconds.
    pub time_limit_ms: Option<u64>,
}

/// An input.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
    /// A whole event, as JSON or as a CloudEvent in structured mode, or what is to be seen refused.
    Bytes(String),
    /// An event made of parts. What is missing is taken from the example of its type.
    Parts(Parts),
}

impl Default for Input {
    fn default() -> Self {
        Self::Parts(Parts::default())
    }
}

/// The parts of an event.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parts {
    /// The type; the first that the function takes, if it is not said.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The event's id.
    pub id: Option<String>,
    /// What it is about; the data says it, if it is not said.
    pub aggregate_id: Option<String>,
    /// The W3C trace id.
    pub trace_id: Option<String>,
    /// The data; that of the type's example, if it is not said.
    pub data: Option<Box<RawValue>>,
    /// Fields of the data that are to be otherwise.
    pub fields: BTreeMap<String, Box<RawValue>>,
}

/// A point at which the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crash {
    /// The handler has run, and nothing is committed yet.
    BeforeCommit,
    /// The effects are committed, and the broker has not said so.
    AfterCommit,
    /// The broker has said that the effects are committed, and was not told that the input is done with.
    BeforeAck,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The function.
    pub function: String,
    /// The event as it was delivered.
    pub event: String,
    /// The W3C trace id, if it is an event.
    pub trace_id: Option<String>,
    /// Every delivery in order; the last one's disposition is the result.
    pub deliveries: Vec<Delivered>,
    /// The function's state afterwards: `<kind>/<key>` to value.
    pub state: BTreeMap<String, Box<RawValue>>,
}

/// What came of one delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delivered {
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// How often the broker has delivered this message, from 1.
    pub delivery: u64,
    /// How long after the first delivery it came, in milliseconds; waits are not waited for.
    pub at_ms: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What became of it.
    pub disposition: Disposition,
    /// Events that were committed.
    pub events: Vec<Committed>,
    /// State that was committed.
    pub state: Vec<Committed>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "disposition")]
pub enum Disposition {
    /// Done with.
    Ack {
        /// Whether an earlier delivery had committed already.
        already: bool,
    },
    /// This attempt failed, and the next one comes later.
    Retry {
        /// How long until then, in milliseconds.
        after_ms: u64,
        /// What went wrong.
        error: String,
    },
    /// Given up.
    DeadLetter {
        /// The code of the [`Reason`](crate::Reason).
        reason: String,
        /// What went wrong.
        error: String,
    },
    /// Given back to the broker; no attempt is counted.
    Release,
    /// The process died. The broker delivers it again.
    Crash,
}

/// A message that was committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Committed {
    /// Its subject.
    pub subject: String,
    /// The type of an event, or the kind of state.
    pub kind: String,
    /// What an event is about, or the key of state.
    pub key: String,
    /// The data of an event, or the value of state.
    pub data: Box<RawValue>,
}

/// Why nothing was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// The request itself cannot be read.
    #[error("the request is not understood: {0}")]
    Request(String),
    /// The function takes no such type.
    #[error("{function} does not take {kind}: it takes {}", takes.join(", "))]
    Type {
        /// The function.
        function: String,
        /// What was asked for.
        kind: String,
        /// What it takes.
        takes: Vec<String>,
    },
    /// The type has no example, and no data is given.
    #[error("{0} has no example: give its data")]
    NoExample(String),
    /// Fields are to be changed in data that has none.
    #[error("the data is no JSON object, so it has no field {0}")]
    NoFields(String),
    /// A key of state is not `<kind>/<key>` with a kind that the function keeps.
    #[error("{key:?} is no state of this function: it is KIND/KEY, and the kinds are {}", keeps.join(", "))]
    State {
        /// The key.
        key: String,
        /// The kinds that the function keeps.
        keeps: Vec<String>,
    },
    /// The data does not say what it is about.
    #[error("what the event is about is not known: {0}")]
    Aggregate(String),
}
