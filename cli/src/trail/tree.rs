//! A trail as a tree: what follows from what, with times.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jetlag::rfc3339;
use time::OffsetDateTime;

use super::step::Receipt;
use super::waiting::Place;
use super::{DeadLetter, Retry, Step, Trail, Waiting};

/// How far a branch stands to the right of what it follows from.
const INDENT: usize = 3;
/// A time longer than this is told in seconds.
const MILLISECONDS_MAX: u64 = 9_999;

/// One line of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Tells it from every other line of the same trail, also of a later look at it.
    pub(crate) key: String,
    /// How deep it is in the tree.
    depth: usize,
    /// The branches before it.
    branches: String,
    /// Milliseconds since the first step; nothing for what did not happen yet.
    at_ms: Option<u64>,
    took_ms: Option<u64>,
    text: String,
}

impl Line {
    /// As one of a tree.
    pub(crate) fn in_tree(&self) -> String {
        self.written(&self.branches)
    }

    /// On its own, under lines that may have other branches.
    pub(crate) fn alone(&self) -> String {
        self.written(&" ".repeat(self.depth.saturating_mul(INDENT)))
    }

    fn written(&self, before: &str) -> String {
        let at = self.at_ms.map_or_else(String::new, |ms| format!("+{}", seconds(ms)));
        let took = self.took_ms.map_or_else(String::new, short);
        format!("{at:>12} {took:>9}  {before}{}\n", self.text)
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        let head = if self.steps.is_empty() { "" } else { "         at      took\n" };
        f.write_str(head)?;
        self.lines().iter().try_for_each(|line| f.write_str(&line.in_tree()))
    }
}

impl Trail {
    /// What there is, in one line or two.
    pub(crate) fn summary(&self) -> String {
        let count =
            |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let mut parts = vec![count(self.steps.len(), "step")];
        let functions: BTreeSet<&str> =
            self.steps.iter().filter_map(|step| step.function.as_deref()).collect();
        if !functions.is_empty() {
            parts.push(format!("by {}", count(functions.len(), "function")));
        }
        if let (Some(first), Some(last)) = (self.steps.first(), self.steps.last()) {
            parts.push(format!("in {}", seconds(between(first.stored_at, last.stored_at))));
        }
        if !self.dead_letters.is_empty() {
            parts.push(count(self.dead_letters.len(), "dead letter"));
        }
        if !self.retries.is_empty() {
            parts.push(count(self.retries.len(), "retry").replace("retrys", "retries"));
        }
        parts.push(if self.at_rest { "at rest".to_owned() } else { "under way".to_owned() });
        let mut text = format!("{}: {}\n", self.aggregate, parts.join(", "));
        let traces: BTreeSet<&str> = self.steps.iter().filter_map(|step| step.trace_id.as_deref()).collect();
        for trace in traces {
            text.push_str(&format!("trace {trace}\n"));
        }
        text
    }

    /// Every line of the tree, from the top.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let began = self.began();
        let known: BTreeSet<&str> = self.steps.iter().map(|step| step.subject.as_str()).collect();
        let mut follows: BTreeMap<&str, Vec<Leaf<'_>>> = BTreeMap::new();
        let mut roots = Vec::new();
        for leaf in self.leaves() {
            match leaf.cause().filter(|cause| known.contains(cause)) {
                Some(cause) => follows.entry(cause).or_default().push(leaf),
                None => roots.push(leaf),
            }
        }
        let mut lines = Vec::new();
        grow(roots, &mut follows, began, &[], &mut lines);
        lines
    }

    fn began(&self) -> OffsetDateTime {
        let steps = self.steps.first().map(|step| step.stored_at);
        let letters = self.dead_letters.first().map(|letter| letter.stored_at);
        let retries = self.retries.first().map(|retry| retry.stored_at);
        [steps, letters, retries].into_iter().flatten().min().unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn leaves(&self) -> Vec<Leaf<'_>> {
        // The letter says what its receipt says, and more.
        let lies_there = |step: &&Step| {
            let has_letter = || self.dead_letters.iter().any(|letter| letter.id == step.event_id);
            matches!(step.receipt(), Some(Receipt::Dead { .. })) && has_letter()
        };
        let steps = self.steps.iter().filter(|step| !lies_there(step));
        let mut leaves: Vec<Leaf<'_>> = steps.map(Leaf::Step).collect();
        leaves.extend(self.dead_letters.iter().map(Leaf::Letter));
        leaves.extend(self.retries.iter().map(Leaf::Retry));
        leaves.extend(self.waiting.iter().map(Leaf::Waiting));
        let histories = self.dead_letters.iter().map(|l| (l.function.as_str(), l.input.as_str(), &l.history));
        let histories =
            histories.chain(self.retries.iter().map(|r| (r.function.as_str(), r.input.as_str(), &r.history)));
        // What was redriven brings its earlier attempts along: each is told once.
        let mut told = BTreeSet::new();
        for (function, input, history) in histories {
            for attempt in history {
                if told.insert((function, input, attempt.at)) {
                    leaves.push(Leaf::Failed { function, input, attempt });
                }
            }
        }
        leaves
    }
}

/// Something that follows from an event.
#[derive(Clone, Copy)]
enum Leaf<'a> {
    Step(&'a Step),
    Letter(&'a DeadLetter),
    Retry(&'a Retry),
    Waiting(&'a Waiting),
    Failed { function: &'a str, input: &'a str, attempt: &'a jetlag::Attempt },
}

impl<'a> Leaf<'a> {
    fn cause(&self) -> Option<&'a str> {
        match self {
            Self::Step(step) => step.cause.as_deref(),
            Self::Letter(letter) => Some(&letter.input),
            Self::Retry(retry) => Some(&retry.input),
            Self::Waiting(waiting) => Some(&waiting.input),
            Self::Failed { input, .. } => Some(input),
        }
    }

    /// When it happened; nothing for what is still to happen.
    fn at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Step(step) => Some(step.stored_at),
            Self::Letter(letter) => Some(letter.stored_at),
            Self::Failed { attempt, .. } => Some(attempt.at),
            Self::Retry(_) | Self::Waiting(_) => None,
        }
    }

    fn key(&self) -> String {
        match self {
            Self::Step(step) => format!("step {}", step.subject),
            Self::Letter(letter) => format!("letter {}", letter.sequence),
            Self::Retry(Retry { function, input, attempt, due, .. }) => {
                format!("retry {function} {input} {attempt:?} {}", due.is_some())
            }
            Self::Waiting(Waiting { function, input, place }) => {
                format!("waiting {function} {input} {}", matches!(place, Place::Delivered))
            }
            Self::Failed { function, input, attempt } => format!("failed {function} {input} {}", attempt.at),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Step(step) => step_text(step),
            Self::Letter(letter) => {
                let DeadLetter { function, reason, error, attempts, sequence, .. } = letter;
                let tries = if *attempts == 1 { "attempt" } else { "attempts" };
                let error = error.lines().next().unwrap_or_default();
                format!("{function}  dead letter {sequence} after {attempts} {tries}, {reason}: {error}")
            }
            Self::Retry(Retry { function, due, attempt, .. }) => {
                let attempt = attempt.map_or_else(|| "?".to_owned(), |attempt| attempt.to_string());
                match due {
                    Some(due) => format!("{function}  attempt {attempt} waits until {due}"),
                    None => format!("{function}  attempt {attempt} is due, and not yet done with"),
                }
            }
            Self::Waiting(Waiting { function, place, .. }) => match place {
                Place::Queue { pending } => {
                    format!("{function}  has not been given it: {pending} wait in its queue")
                }
                Place::Delivered => format!("{function}  has it, and has not answered yet"),
            },
            Self::Failed { function, attempt, .. } => {
                let error = attempt.error.lines().next().unwrap_or_default();
                format!("{function}  attempt {} failed: {error}", attempt.attempt)
            }
        }
    }
}

fn step_text(step: &Step) -> String {
    let Some(function) = step.function.as_deref() else { return format!("{}  from outside", step.kind) };
    match step.receipt() {
        Some(Receipt::Dead { reason }) => format!("{function}  gave it up: {reason}"),
        Some(Receipt::Redriven { letter, by }) => {
            format!("{function}  dead letter {letter} sent again by {by}")
        }
        Some(Receipt::Committed) => format!("{function}  done{}", tried(step.attempt)),
        None => format!("{}  by {function}{}", step.kind, tried(step.attempt)),
    }
}

/// The attempt, if it is not the first.
fn tried(attempt: Option<u32>) -> String {
    match attempt {
        Some(attempt @ 2..) => format!(", attempt {attempt}"),
        _ => String::new(),
    }
}

/// Writes `leaves` and what follows from them, in the order of time; what did not happen yet comes last.
fn grow<'a>(
    mut leaves: Vec<Leaf<'a>>,
    follows: &mut BTreeMap<&'a str, Vec<Leaf<'a>>>,
    began: OffsetDateTime,
    above: &[bool],
    lines: &mut Vec<Line>,
) {
    leaves.sort_by_key(|leaf| (leaf.at().is_none(), leaf.at()));
    let last = leaves.len().saturating_sub(1);
    for (number, leaf) in leaves.into_iter().enumerate() {
        let is_last = number == last;
        let (mut took_ms, mut text) = (None, leaf.text());
        if let Leaf::Step(step) = leaf {
            took_ms = step.took_ms;
            if above.is_empty() {
                text.push_str(&format!("  at {}", clock(step.stored_at)));
            }
        }
        lines.push(Line {
            key: leaf.key(),
            depth: above.len(),
            branches: branches(above, is_last),
            at_ms: leaf.at().map(|at| between(began, at)),
            took_ms,
            text,
        });
        if let Leaf::Step(step) = leaf
            && let Some(next) = follows.remove(step.subject.as_str())
        {
            let mut below = above.to_vec();
            below.push(!is_last);
            grow(next, follows, began, &below, lines);
        }
    }
}

/// The branches before a line, where each of the levels above goes on below or not.
fn branches(above: &[bool], is_last: bool) -> String {
    let Some((_, between)) = above.split_first() else { return String::new() };
    let mut text: String = between.iter().map(|goes_on| if *goes_on { "│  " } else { "   " }).collect();
    text.push_str(if is_last { "└─ " } else { "├─ " });
    text
}

fn between(from: OffsetDateTime, to: OffsetDateTime) -> u64 {
    u64::try_from((to - from).whole_milliseconds()).unwrap_or_default()
}

/// A time to the millisecond.
fn clock(at: OffsetDateTime) -> String {
    let whole = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    rfc3339(whole)
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

fn short(ms: u64) -> String {
    if ms <= MILLISECONDS_MAX { format!("{ms} ms") } else { seconds(ms) }
}
