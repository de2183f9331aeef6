//! What `jetlag top` shows: the figures of the status, and how they change from look to look.

mod latency;
mod terminal;
mod view;

pub use latency::{Bound, Buckets, Latencies, Latency, Meters};
pub use terminal::watch;
pub use view::draw;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use time::OffsetDateTime;

use crate::status::{Finding, Function, Snapshot};

/// How many rates are remembered for the little graph.
const HISTORY: usize = 20;

/// What is shown.
#[derive(Debug, Default)]
pub struct Top {
    /// How often it is looked.
    interval: Duration,
    at: Option<OffsetDateTime>,
    broker: String,
    rows: Vec<Row>,
    findings: Vec<Finding>,
    /// Why the last look brought nothing.
    problem: Option<String>,
    answered: BTreeMap<String, u64>,
    latencies: Latencies,
    order: Order,
    is_paused: bool,
}

/// A function, as it is shown.
#[derive(Debug, Default)]
struct Row {
    function: Function,
    /// Tenths of inputs a second, from the second look on.
    rate: Option<u64>,
    /// The rates so far, oldest first.
    history: VecDeque<u64>,
    latency: Option<Latency>,
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Their names.
    #[default]
    Name,
    /// Most handled first.
    Rate,
    /// Most lag first.
    Lag,
    /// Most waiting retries first.
    Retries,
    /// Most dead letters first.
    Dead,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To end.
    Quit,
    /// Another view of the same.
    Draw,
    /// Nothing.
    Nothing,
}

impl Order {
    const fn next(self) -> Self {
        match self {
            Self::Name => Self::Rate,
            Self::Rate => Self::Lag,
            Self::Lag => Self::Retries,
            Self::Retries => Self::Dead,
            Self::Dead => Self::Name,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Rate => "rate",
            Self::Lag => "lag",
            Self::Retries => "retries",
            Self::Dead => "dead letters",
        }
    }

    /// What a row has of it.
    fn weight(self, row: &Row) -> u64 {
        match self {
            Self::Name => 0,
            Self::Rate => row.rate.unwrap_or_default(),
            Self::Lag => row.function.lag(),
            Self::Retries => row.function.retries.waiting,
            Self::Dead => row.function.dead_letters.count,
        }
    }
}

impl Top {
    /// Nothing seen yet, of a broker that is looked at so often.
    pub fn new(broker: String, interval: Duration) -> Self {
        Self { broker, interval, ..Self::default() }
    }

    /// Whether new figures are not wanted now.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Takes what was seen.
    pub fn take(&mut self, snapshot: Snapshot, buckets: BTreeMap<String, Buckets>) {
        let Snapshot { at, broker, functions, findings, .. } = snapshot;
        let passed = self.at.map(|before| at - before);
        self.latencies.note(buckets);
        let mut histories: BTreeMap<String, VecDeque<u64>> =
            self.rows.drain(..).map(|row| (row.function.name, row.history)).collect();
        let before = std::mem::take(&mut self.answered);
        for function in functions {
            let answered = function.answered();
            let rate = passed.and_then(|passed| {
                // A consumer that was made anew counts from 0.
                let more = answered.checked_sub(*before.get(&function.name)?)?;
                more.saturating_mul(10_000).checked_div(u64::try_from(passed.whole_milliseconds()).ok()?)
            });
            let mut history = histories.remove(&function.name).unwrap_or_default();
            history.extend(rate);
            while history.len() > HISTORY {
                history.pop_front();
            }
            self.answered.insert(function.name.clone(), answered);
            let latency = self.latencies.of(&function.name);
            self.rows.push(Row { function, rate, history, latency });
        }
        (self.at, self.broker, self.findings, self.problem) = (Some(at), broker, findings, None);
        self.sort();
    }

    /// A look brought nothing.
    pub fn fail(&mut self, why: String) {
        self.problem = Some(why);
    }

    /// Does what a key asks for.
    pub fn key(&mut self, key: KeyEvent) -> Asked {
        if key.kind == KeyEventKind::Release {
            return Asked::Nothing;
        }
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if is_interrupt => Asked::Quit,
            KeyCode::Char('q') | KeyCode::Esc => Asked::Quit,
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.sort();
                Asked::Draw
            }
            KeyCode::Char('p' | ' ') => {
                self.is_paused = !self.is_paused;
                Asked::Draw
            }
            _ => Asked::Nothing,
        }
    }

    fn sort(&mut self) {
        let order = self.order;
        self.rows.sort_by(|one, other| {
            order
                .weight(other)
                .cmp(&order.weight(one))
                .then_with(|| one.function.name.cmp(&other.function.name))
        });
    }
}

#[cfg(test)]
mod tests;
