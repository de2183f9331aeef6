//! Events of the stream through a function's own program again, with effects off: what it would do today, held against
//! what it did.
//!
//! [`read`] takes the inputs and what became of them from the broker, [`program`] runs them, [`compare`] holds one against
//! the other and knows neither.

pub(crate) mod compare;
pub(crate) mod program;
pub(crate) mod read;
pub(crate) mod state;
pub(crate) mod words;

use serde::Serialize;

pub(crate) use read::{History, Span};

/// An event that a function committed, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Emitted {
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// What it is about.
    pub(crate) aggregate_id: String,
    /// Its data.
    pub(crate) data: serde_json::Value,
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "disposition")]
pub(crate) enum Outcome {
    /// Its effects are committed; there may be none.
    Acknowledged,
    /// It was given up.
    DeadLetter {
        /// The reason's code.
        reason: String,
        /// What went wrong, where it is known.
        error: Option<String>,
    },
    /// It failed, and is to be tried again.
    Failed {
        /// What went wrong.
        error: String,
    },
    /// It has not come to an end, or what became of it is not known any more.
    Unknown,
}
