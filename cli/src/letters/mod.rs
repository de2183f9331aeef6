//! Dead letters: which are meant, how they look, and what can be done with them.

pub mod draft;
mod intent;
mod pick;
mod work;

pub use intent::{Intent, intents};
pub use pick::Pick;
use work::each;
pub use work::{Outcome, Refusal, purge, redrive, select};

use jetlag::{DeadLetter, rfc3339};
use serde::Serialize;
use serde_json::Value;

/// One dead letter in a list.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What commands name it by.
    pub sequence: u64,
    /// When it was given up, RFC 3339.
    pub at: String,
    /// By which function.
    pub function: String,
    /// The reason's code; `docs/errors/<reason>.md` says what to do.
    pub reason: String,
    /// How often it was tried.
    pub attempts: usize,
    /// The type of the event, if it is one.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What it is about, if it is an event.
    pub aggregate_id: Option<String>,
    /// The W3C trace id, if it is an event.
    pub trace_id: Option<String>,
    /// The subject under which it first came.
    pub input: String,
    /// What went wrong.
    pub error: String,
}

impl Row {
    /// The row of `letter`.
    pub fn of(letter: &DeadLetter) -> Self {
        let envelope = letter.envelope();
        Self {
            sequence: letter.sequence,
            at: rfc3339(letter.at),
            function: letter.function.clone(),
            reason: letter.reason.to_string(),
            attempts: letter.history.len(),
            kind: envelope.as_ref().map(|event| event.kind.clone()),
            aggregate_id: envelope.as_ref().map(|event| event.aggregate_id.clone()),
            trace_id: envelope.map(|event| event.trace_id),
            input: letter.input.to_string(),
            error: letter.error.clone(),
        }
    }
}

/// A list of dead letters for people.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:>8}  {:<20}  {:<14} {:<19} {:>5}  {:<22} {:<18} error\n",
        "sequence", "given up at", "by", "reason", "tries", "type", "about"
    );
    for row in rows {
        let at: String = row.at.chars().take(19).collect();
        let kind = row.kind.as_deref().unwrap_or("no event");
        let about = row.aggregate_id.as_deref().unwrap_or("-");
        let error = row.error.lines().next().unwrap_or_default();
        text.push_str(&format!(
            "{:>8}  {at:<19}Z  {:<14} {:<19} {:>5}  {kind:<22} {about:<18} {error}\n",
            row.sequence, row.function, row.reason, row.attempts
        ));
    }
    text
}

/// Everything about one dead letter.
#[derive(Debug, Serialize)]
pub struct Whole {
    #[serde(flatten)]
    row: Row,
    /// Where it was when it was given up.
    origin: String,
    /// The failed attempts, oldest first.
    history: Vec<jetlag::Attempt>,
    /// All its headers.
    headers: Vec<(String, String)>,
    /// Its bytes: as JSON where they are, else as text.
    payload: Value,
}

impl Whole {
    /// Everything about `letter`.
    pub fn of(letter: &DeadLetter) -> Self {
        let payload = serde_json::from_slice(&letter.payload)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&letter.payload).into_owned()));
        Self {
            row: Row::of(letter),
            origin: letter.origin.clone(),
            history: letter.history.clone(),
            headers: letter.headers.clone(),
            payload,
        }
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let Self { row, origin, history, headers, payload } = self;
        let mut text = format!(
            "{} of {} was given up by {} at {}\nreason  {} (docs/errors/{}.md says what to do)\nerror   {}\norigin  {origin}\n",
            row.input, row.sequence, row.function, row.at, row.reason, row.reason, row.error
        );
        for attempt in history {
            text.push_str(&format!(
                "attempt {} failed at {}: {}\n",
                attempt.attempt,
                rfc3339(attempt.at),
                attempt.error
            ));
        }
        for (name, value) in headers {
            text.push_str(&format!("header  {name}: {value}\n"));
        }
        let payload = serde_json::to_string_pretty(payload).unwrap_or_default();
        text.push_str(&format!("\n{payload}\n"));
        text
    }
}
