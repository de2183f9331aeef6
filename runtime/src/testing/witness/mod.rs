//! Watches a simulation and objects to what must never happen. It reads what processes send, not what they think.

pub(crate) mod fate;
mod told;

use std::collections::{HashMap, HashSet};

use crate::Terms;
use crate::core::broker::{Message, Stored, Stream};
use crate::event::Envelope;
use crate::failure::Reason;
use crate::handler::Input;
use crate::headers;
use crate::subject::Subject;
use crate::testing::suspicion::Suspicion;
use fate::{Cause, Fate, Fates};
use told::Told;

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    functions: Vec<Terms>,
    fates: Fates,
    told: Told,
    /// Events from outside that are on their own subject.
    admitted: HashSet<Subject>,
    /// Where the inputs of dead letters were: function, and stream with sequence.
    buried: HashSet<(String, String)>,
    running: HashMap<u32, Running>,
    pub(crate) suspicion: Suspicion,
    objections: Vec<String>,
    pub(crate) tally: Tally,
}

/// The handlers at work in one process.
#[derive(Debug, Default)]
struct Running {
    count: usize,
    keys: HashSet<String>,
    /// The sequences of inputs that were decided, and not answered yet: they wait for their commit.
    decided: HashSet<u64>,
    /// How many that were at most.
    decided_most: usize,
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
            Stream::Events => {
                self.suspicion.stored(stored);
                self.committed(publish, stored);
            }
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
        // The note of a redrive.
        if stored.header(headers::REDRIVE).is_some() {
            return;
        }
        // A batch is never the same twice: what it commits is guarded by its state.
        if terms.is_trail() {
            return;
        }
        let id = stored.subject.parse_event().map(|parts| parts.event_id).unwrap_or_default();
        let Some(cause) = self.fates.behind(terms.name, &cause, &id) else {
            let (name, subject) = (terms.name, &stored.subject);
            return self.object(format!("{name} publishes {subject}, whose id does not follow from {cause}"));
        };
        let is_dead = stored.header(headers::REASON).is_some();
        let fate = self.fates.of(&cause);
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
        let Some(terms) = self.terms(stored) else { return };
        let (cause, attempt) = Cause::of(terms.name, Stream::Retry, stored);
        self.tally.retries += 1;
        if attempt > terms.retry.attempts {
            self.object(format!("{} schedules attempt {attempt} of {cause}", terms.name));
        }
        let fate = self.fates.of(&cause);
        let is_due = attempt <= 1 || fate.failed.contains(&(attempt - 1));
        fate.scheduled.insert(attempt);
        if !is_due {
            let name = terms.name;
            self.object(format!(
                "{name} schedules attempt {attempt} of {cause} before the one before has failed"
            ));
        }
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
        let redrive = stored.header(headers::REDRIVE).map(str::to_owned);
        let cause = Cause { function: terms.name, subject: Subject::from_broker(cause), redrive };
        if cause.subject.parse_event().is_none() {
            return;
        }
        let fate = self.fates.of(&cause);
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
                let (cause, attempt) = Cause::of(function, stream, stored);
                self.suspicion.acked(function, &cause.subject, stored.sequence);
                let fate = self.fates.get(&cause);
                fate.is_some_and(|fate| {
                    fate.is_ended()
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

    /// A handler begins to run in `process`, on inputs that are these causes.
    pub(crate) fn began(&mut self, process: u32, terms: &Terms, inputs: &[(Input, Vec<Cause>)]) {
        self.tally.runs += 1;
        let plain: Vec<&Input> = inputs.iter().map(|(input, _)| input).collect();
        self.suspicion.began(process, terms, &plain);
        let running = self.running.entry(process).or_default();
        running.count += 1;
        let mut objections = Vec::new();
        if running.count > terms.concurrency {
            objections.push(format!("{}#{process} runs {} handlers at a time", terms.name, running.count));
        }
        // The trail has no attempts.
        for (input, causes) in inputs.iter().filter(|_| !terms.is_trail()) {
            let (name, subject, attempt) = (terms.name, &input.subject, input.attempt);
            let key = &input.envelope.aggregate_id;
            if !running.keys.insert(key.clone()) {
                objections.push(format!("{name}#{process} runs two handlers of {key} at a time"));
            }
            if causes.is_empty() {
                objections.push(format!("{name}#{process} runs {subject} ({attempt}), which did not come"));
            }
            let all_failed = |cause: &Cause| {
                let failed = self.fates.get(cause).map(|fate| &fate.failed);
                (1..attempt).all(|earlier| failed.is_some_and(|failed| failed.contains(&earlier)))
            };
            if !causes.iter().all(all_failed) {
                objections
                    .push(format!("{name} makes attempt {attempt} of {subject} though none failed before"));
            }
        }
        self.objections.extend(objections);
    }

    /// A handler that ran in `process` has ended.
    pub(crate) fn ended(
        &mut self,
        process: u32,
        terms: &Terms,
        inputs: &[(Input, Vec<Cause>)],
        decision: Decision,
    ) {
        let plain: Vec<&Input> = inputs.iter().map(|(input, _)| input).collect();
        self.suspicion.ended(process, terms, &plain);
        if let Some(running) = self.running.get_mut(&process) {
            running.count -= 1;
            for (input, _) in inputs {
                if decision == Decision::Something {
                    running.decided.insert(input.sequence);
                    running.decided_most = running.decided_most.max(running.decided.len());
                }
                running.keys.remove(&input.envelope.aggregate_id);
            }
        }
        for (input, causes) in inputs {
            for cause in causes {
                let fate = self.fates.of(cause);
                match decision {
                    Decision::Something | Decision::Released => {}
                    Decision::Nothing => fate.is_nothing = true,
                    Decision::Failed => {
                        fate.failed.insert(input.attempt);
                    }
                }
            }
        }
    }

    /// `process` has answered every input under `sequence` that it had.
    pub(crate) fn answered(&mut self, process: u32, sequence: u64) {
        if let Some(running) = self.running.get_mut(&process) {
            running.decided.remove(&sequence);
        }
    }

    /// Objects if `process` holds more of a lane than it may: `most` that are not decided, and, while some wait for their
    /// commits, as many again, which may come when those have waited in vain.
    pub(crate) fn holds(&mut self, process: u32, held: &HashSet<u64>, most: usize) {
        let (decided, decided_most) = match self.running.get(&process) {
            Some(running) => (held.intersection(&running.decided).count(), running.decided_most),
            None => (0, 0),
        };
        let undecided = held.len() - decided;
        if undecided > most + 2 * decided_most {
            self.object(format!(
                "process {process} holds {undecided} undecided inputs of {most}, and no more than {decided_most} at a time \
                 have waited for their commits"
            ));
        }
    }

    /// `process` sends `messages` to the stream of events.
    pub(crate) fn sent(&mut self, process: u32, messages: &[Message]) {
        for message in messages {
            if let Some(fault) = self.told.fault(process, message) {
                self.object(fault);
            }
        }
    }

    /// `process` is told under which sequence `subject` was last written.
    pub(crate) fn tell(&mut self, process: u32, subject: &Subject, sequence: u64) {
        self.told.tell(process, subject, sequence);
    }

    /// What a dead letter holds is sent again, as this other cause, once or more often.
    pub(crate) fn redriven(&mut self, cause: Cause) {
        self.suspicion.redriven(cause.function, &cause.subject);
        self.fates.redriven(cause);
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
                for cause in self.fates.lives(terms.name, &event.subject) {
                    let fate = self.fates.get(&cause);
                    // A later run may have found that there is nothing to do, before the letter was written.
                    let is_half_dead =
                        fate.is_some_and(|fate| fate.receipts != fate.letters && !fate.is_nothing);
                    if !fate.is_some_and(Fate::is_ended) || is_half_dead {
                        objections
                            .push(format!("{} never came to an end with {cause}: {fate:?}", terms.name));
                    }
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

#[cfg(test)]
mod tests;
