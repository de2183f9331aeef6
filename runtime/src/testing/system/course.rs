//! What happened in a system, for a test to look at, and as a text that is the same in every run.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::invoke::{Committed, Delivered, Disposition};
use crate::subject::Subject;
use crate::testing::Emitted;

/// How wide the column of moments is.
const MOMENT_WIDTH: usize = 10;

/// What happened, delivery by delivery.
///
/// Its text ([`to_string`](ToString::to_string), or [`outline`](Self::outline) without data) holds no id that is drawn and
/// no time that was measured: the same seed, the same text, so that it can be kept as a snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// Every delivery, in order.
    pub steps: Vec<Step>,
}

/// What came of one delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When it was, counted from the beginning.
    pub at: Duration,
    /// To which function.
    pub function: String,
    /// What was delivered: one input, unless the function reads batches.
    pub inputs: Vec<Taken>,
    /// What became of it.
    pub disposition: Disposition,
    /// The events that were committed.
    pub events: Vec<Emitted>,
    /// The state that was committed.
    pub state: Vec<Written>,
}

/// An input as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its type.
    pub kind: String,
    /// What it is about.
    pub aggregate_id: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// How often the broker has delivered this message, from 1.
    pub delivery: u64,
}

/// State that was committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The kind of state.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Value,
}

impl Course {
    /// What became of the inputs of `function`, in order.
    pub fn dispositions(&self, function: &str) -> Vec<&Disposition> {
        self.steps_of(function).map(|step| &step.disposition).collect()
    }

    /// The deliveries to `function`, in order.
    pub fn steps_of(&self, function: &str) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.function == function)
    }

    /// The text without the data of events and state.
    pub fn outline(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            // Nothing goes wrong when a text is written to.
            let _ = step.write(&mut text, false);
        }
        text
    }

    /// The last `count` steps.
    pub(super) fn last(&self, count: usize) -> Self {
        let from = self.steps.len().saturating_sub(count);
        Self { steps: self.steps.iter().skip(from).cloned().collect() }
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| step.write(f, true))
    }
}

impl Step {
    pub(super) fn new(
        at: Duration,
        function: &str,
        inputs: Vec<(Subject, u32, u64)>,
        delivered: Delivered,
    ) -> Self {
        let taken = |(subject, attempt, delivery): (Subject, u32, u64)| {
            let (kind, aggregate_id) = match subject.parse_event() {
                Some(parts) => (parts.kind, parts.aggregate_id),
                None => (subject.to_string(), String::new()),
            };
            Taken { kind, aggregate_id, attempt, delivery }
        };
        let Delivered { disposition, events, state, .. } = delivered;
        Self {
            at,
            function: function.to_owned(),
            inputs: inputs.into_iter().map(taken).collect(),
            disposition,
            events: events.into_iter().map(emitted).collect(),
            state: state.into_iter().map(written).collect(),
        }
    }

    fn write(&self, out: &mut impl fmt::Write, has_data: bool) -> fmt::Result {
        let at = u64::try_from(self.at.as_millis()).unwrap_or(u64::MAX);
        write!(out, "{:>MOMENT_WIDTH$}  {}  ", seconds(at), self.function)?;
        if let Some(first) = self.inputs.first() {
            write!(out, "{first}")?;
        }
        match self.inputs.len() {
            0 | 1 => {}
            more => write!(out, " and {} more", more - 1)?,
        }
        writeln!(out, ": {}", Said(&self.disposition))?;
        for Emitted { kind, aggregate_id, data } in &self.events {
            write!(out, "{:>MOMENT_WIDTH$}  + {kind} {aggregate_id}", "")?;
            end(out, has_data.then_some(data))?;
        }
        for Written { kind, key, value } in &self.state {
            write!(out, "{:>MOMENT_WIDTH$}  = {kind}/{key}", "")?;
            end(out, has_data.then_some(value))?;
        }
        Ok(())
    }
}

fn end(out: &mut impl fmt::Write, data: Option<&Value>) -> fmt::Result {
    match data {
        Some(data) => writeln!(out, " {data}"),
        None => writeln!(out),
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, aggregate_id, attempt, delivery } = self;
        f.write_str(kind)?;
        if !aggregate_id.is_empty() {
            write!(f, " {aggregate_id}")?;
        }
        match (attempt, delivery) {
            (1, 1) => Ok(()),
            (attempt, 1) => write!(f, " (attempt {attempt})"),
            (1, delivery) => write!(f, " (delivery {delivery})"),
            (attempt, delivery) => write!(f, " (attempt {attempt}, delivery {delivery})"),
        }
    }
}

/// A disposition in words.
struct Said<'d>(&'d Disposition);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Disposition::Ack { already: false } => f.write_str("ack"),
            Disposition::Ack { already: true } => f.write_str("ack, committed before"),
            Disposition::Retry { after_ms, error } => write!(f, "retry in {}: {error}", seconds(*after_ms)),
            Disposition::DeadLetter { reason, error } => write!(f, "dead letter, {reason}: {error}"),
            Disposition::Release => f.write_str("given back"),
            Disposition::Crash => f.write_str("the process dies"),
        }
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn emitted(event: Committed) -> Emitted {
    let data = serde_json::from_str(event.data.get()).unwrap_or_default();
    Emitted { kind: event.kind, aggregate_id: event.key, data }
}

fn written(state: Committed) -> Written {
    let value = serde_json::from_str(state.data.get()).unwrap_or_default();
    Written { kind: state.kind, key: state.key, value }
}
