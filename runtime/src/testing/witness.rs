//! Watches a simulation and objects to what must never happen. It reads what processes send, not what they think.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::Terms;
use crate::core::broker::{Stored, Stream};
use crate::event::Envelope;
use crate::failure::Reason;
use crate::handler::Input;
use crate::headers;
use crate::subject::Subject;
use crate::testing::suspicion::Suspicion;

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    functions: Vec<Terms>,
    fates: HashMap<(&'static str, Subject), Fate>,
    /// Events from outside that are on their own subject.
    admitted: HashSet<Subject>,
    /// Where the inputs of dead letters were: function, and stream with sequence.
    buried: HashSet<(String, String)>,
    running: HashMap<u32, Running>,
    pub(crate) suspicion: Suspicion,
    objections: Vec<String>,
    pub(crate) tally: Tally,
}

/// What became of one input in one function.
#[derive(Debug, Default)]
struct Fate {
    /// The publishes that committed something for it.
    commits: Vec<u64>,
    /// Receipts marked dead.
    receipts: u32,
    letters: u32,
    /// A run decided that there is nothing to do.
    is_nothing: bool,
    /// Runs that failed, by attempt.
    failed: BTreeSet<u32>,
    /// Attempts that were put on their way.
    scheduled: BTreeSet<u32>,
}

/// The handlers at work in one process.
#[derive(Debug, Default)]
struct Running {
    count: usize,
    keys: HashSet<String>,
}

/// How much happened, to see that a simulation reaches what it is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs of handlers.
    pub runs: u64,
    /// Inputs acknowledged.
    pub acks: u64,
    /// Publishes that committed something.
    pub commits: u64,
    /// Attempts scheduled again.
    pub retries: u64,
    /// Dead letters.
    pub letters: u64,
}

/// What a run of a handler came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// There is something to commit.
    Something,
    /// There is nothing to do.
    Nothing,
    /// It failed, or did not end.
    Failed,
    /// It could not be made, and does not count.
    Released,
}

impl Witness {
    /// Watches the function of `terms` too.
    pub(crate) fn watch(&mut self, terms: Terms) {
        self.functions.push(terms);
    }

    /// The first thing that must never happen, if it happened.
    pub(crate) fn objection(&mut self) -> Option<&str> {
        self.objections.extend(self.suspicion.take_objections());
        self.objections.first().map(String::as_str)
    }

    pub(crate) fn object(&mut self, to: String) {
        self.objections.push(to);
    }

    /// `stored` was published, together with whatever else has the same `publish`.
    pub(crate) fn published(&mut self, stream: Stream, publish: u64, stored: &Stored) {
        match stream {
            Stream::Events => self.committed(publish, stored),
            Stream::Retry => self.scheduled(stored),
            Stream::DeadLetters => self.letter(stored),
            Stream::Intake | Stream::Audit => {}
        }
    }

    fn committed(&mut self, publish: u64, stored: &Stored) {
        let Some(cause) = stored.header(headers::CAUSE).map(Subject::from_broker) else { return };
        if cause == stored.subject {
            self.admitted.insert(cause);
            return;
        }
        let Some(terms) = self.terms(stored) else { return };
        // A batch is never the same twice: what it commits is guarded by its state.
        if terms.is_trail() {
            return;
        }
        let is_dead = stored.header(headers::REASON).is_some();
        let fate = self.fates.entry((terms.name, cause.clone())).or_default();
        if is_dead {
            fate.receipts += 1;
        } else if fate.commits.last() != Some(&publish) {
            fate.commits.push(publish);
            self.tally.commits += 1;
        }
        let (commits, receipts) = (fate.commits.len(), fate.receipts);
        if commits > 1 || receipts > 1 || (commits > 0 && receipts > 0) {
            let name = terms.name;
            self.object(format!("{name} has {commits} commits and {receipts} receipts of death for {cause}"));
        }
    }

    fn scheduled(&mut self, stored: &Stored) {
        let (Some(terms), Some(cause)) = (self.terms(stored), stored.header(headers::SUBJECT)) else {
            return;
        };
        let cause = Subject::from_broker(cause);
        let attempt = attempt(stored);
        self.tally.retries += 1;
        if attempt > terms.retry.attempts {
            self.object(format!("{} schedules attempt {attempt} of {cause}", terms.name));
        }
        self.fates.entry((terms.name, cause)).or_default().scheduled.insert(attempt);
    }

    fn letter(&mut self, stored: &Stored) {
        let Some(terms) = self.terms(stored) else { return };
        let (Some(origin), Some(cause)) = (stored.header(headers::ORIGIN), stored.header(headers::SUBJECT))
        else {
            return self.object(format!("a dead letter without its origin: {}", stored.subject));
        };
        self.tally.letters += 1;
        self.suspicion.letter(stored);
        self.buried.insert((terms.name.to_owned(), origin.to_owned()));
        let cause = Subject::from_broker(cause);
        if cause.parse_event().is_none() {
            return;
        }
        let fate = self.fates.entry((terms.name, cause.clone())).or_default();
        fate.letters += 1;
        let (letters, commits) = (fate.letters, fate.commits.len());
        let is_exhausted = stored.header(headers::REASON) == Some(Reason::AttemptsExhausted.code());
        let is_premature = is_exhausted && !fate.failed.contains(&terms.retry.attempts);
        if letters > 1 || commits > 0 {
            self.object(format!(
                "{} has {letters} dead letters and {commits} commits for {cause}",
                terms.name
            ));
        }
        if is_premature {
            self.object(format!("{} gives {cause} up before its last attempt has failed", terms.name));
        }
    }

    /// A process of `function` tells the broker that it is done with `stored`.
    pub(crate) fn acked(&mut self, function: &'static str, stream: Stream, stored: &Stored) {
        self.tally.acks += 1;
        let is_buried =
            self.buried.contains(&(function.to_owned(), format!("{stream:?} {}", stored.sequence)));
        let is_done = match stream {
            Stream::Intake => {
                Envelope::read(&stored.payload).is_ok_and(|e| self.admitted.contains(&e.subject()))
            }
            Stream::Events | Stream::Retry => {
                let (cause, attempt) = cause_of(stream, stored);
                self.fates.get(&(function, cause)).is_some_and(|fate| {
                    !fate.commits.is_empty()
                        || fate.letters > 0
                        || fate.is_nothing
                        || fate.scheduled.contains(&(attempt + 1))
                        // A rescue carries on the first attempt.
                        || (stream == Stream::Events && fate.scheduled.contains(&1))
                })
            }
            // A trail with a hole is found at the end.
            Stream::Audit | Stream::DeadLetters => true,
        };
        if !is_done && !is_buried {
            self.object(format!(
                "{function} acknowledges {stream:?} {} ({}) before anything came of it",
                stored.sequence, stored.subject
            ));
        }
    }

    /// A handler begins to run in `process`.
    pub(crate) fn began(&mut self, process: u32, terms: &Terms, inputs: &[Input]) {
        self.tally.runs += 1;
        self.suspicion.began(process, terms, inputs);
        let running = self.running.entry(process).or_default();
        running.count += 1;
        let mut objections = Vec::new();
        if running.count > terms.concurrency {
            objections.push(format!("{}#{process} runs {} handlers at a time", terms.name, running.count));
        }
        if !terms.is_trail() {
            for input in inputs {
                let key = &input.envelope.aggregate_id;
                if !running.keys.insert(key.clone()) {
                    objections.push(format!("{}#{process} runs two handlers of {key} at a time", terms.name));
                }
                let failed = self.fates.get(&(terms.name, input.subject.clone())).map(|fate| &fate.failed);
                let is_failed = |attempt| failed.is_some_and(|failed| failed.contains(&attempt));
                if !(1..input.attempt).all(is_failed) {
                    let (name, subject, attempt) = (terms.name, &input.subject, input.attempt);
                    objections.push(format!(
                        "{name} makes attempt {attempt} of {subject} though none failed before"
                    ));
                }
            }
        }
        self.objections.extend(objections);
    }

    /// A handler that ran in `process` has ended.
    pub(crate) fn ended(&mut self, process: u32, terms: &Terms, inputs: &[Input], decision: Decision) {
        self.suspicion.ended(process, terms, inputs);
        if let Some(running) = self.running.get_mut(&process) {
            running.count -= 1;
            for input in inputs {
                running.keys.remove(&input.envelope.aggregate_id);
            }
        }
        for input in inputs {
            let fate = self.fates.entry((terms.name, input.subject.clone())).or_default();
            match decision {
                Decision::Something | Decision::Released => {}
                Decision::Nothing => fate.is_nothing = true,
                Decision::Failed => {
                    fate.failed.insert(input.attempt);
                }
            }
        }
    }

    /// The dead letter of `cause` is sent to `function` again, as another cause.
    pub(crate) fn redriven(&mut self, function: &'static str, cause: Subject) {
        self.suspicion.redriven(function, &cause);
        self.fates.remove(&(function, cause));
    }

    /// At the end: every event has come to its end in every function that listens to it.
    pub(crate) fn conclude<'e>(&mut self, events: impl Iterator<Item = &'e Stored>) {
        let mut objections = Vec::new();
        for event in events {
            let Some(parts) = event.subject.parse_event() else { continue };
            for terms in self.functions.iter().filter(|terms| !terms.is_trail()) {
                if !terms.listens_to.iter().any(|kind| kind.name == parts.kind) {
                    continue;
                }
                let fate = self.fates.get(&(terms.name, event.subject.clone()));
                let is_ended = fate.is_some_and(|f| !f.commits.is_empty() || f.letters > 0 || f.is_nothing);
                // A later run may have found that there is nothing to do, before the letter was written.
                let is_half_dead = fate.is_some_and(|fate| fate.receipts != fate.letters && !fate.is_nothing);
                if !is_ended || is_half_dead {
                    objections.push(format!(
                        "{} never came to an end with {}: {fate:?}",
                        terms.name, event.subject
                    ));
                }
            }
        }
        self.objections.extend(objections);
    }

    fn terms(&self, stored: &Stored) -> Option<Terms> {
        let name = stored.header(headers::FUNCTION)?;
        self.functions.iter().find(|terms| terms.name == name).copied()
    }
}

/// The subject under which an input first came, and which attempt this is.
fn cause_of(stream: Stream, stored: &Stored) -> (Subject, u32) {
    match stored.header(headers::SUBJECT) {
        Some(subject) if stream == Stream::Retry => (Subject::from_broker(subject), attempt(stored)),
        _ => (stored.subject.clone(), 1),
    }
}

fn attempt(stored: &Stored) -> u32 {
    stored.header(headers::ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1)
}
