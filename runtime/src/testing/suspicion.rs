//! Watches crash isolation: who dies of what, whether suspects run alone, and who is convicted for what.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::Terms;
use crate::core::broker::{Delivery, Message, Stored, Stream};
use crate::core::isolation::LONE_RUNS_MAX;
use crate::core::mark::{LoneRun, Mark, Occasion};
use crate::failure::Reason;
use crate::handler::Input;
use crate::headers;
use crate::memory::server::Receipt;
use crate::subject::Subject;

/// An input at one attempt, in one function, and the sequence of the message that brought it. One attempt may have several
/// messages, where the attempt before it ran twice: who dies of one makes no suspect of another.
type Work = (&'static str, Subject, u32, u64);

/// A run alone that a process has told, or tries to tell, the broker of.
#[derive(Debug)]
struct Announced {
    owner: u32,
    has_ended: bool,
    /// Whether the broker has it.
    is_stored: bool,
    /// Whether it is among the deaths.
    is_counted: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Suspicion {
    /// What every process has at work.
    running: HashMap<u32, Vec<Work>>,
    /// Processes at work on what may only run alone.
    alone: HashSet<u32>,
    /// When the broker first delivered a message to a process. It may take until after somebody else has died of it to come.
    delivered: HashMap<(u32, String, u64), Duration>,
    /// Inputs whose process died while they were at work, and when it did last.
    fallen: HashMap<Work, Duration>,
    /// What somebody has told the broker to be done: whoever dies at work on that makes no suspect of it either.
    settled: HashSet<(&'static str, Subject, u64)>,
    /// Lone runs that were announced, by mark. A broker that forgets an
    /// acknowledgement counts deliveries anew, so that one occasion may have several runs.
    announced: HashMap<(Subject, LoneRun), Announced>,
    /// Processes that have ended, whatever they died of.
    gone: HashSet<u32>,
    /// How many processes died in a lone run, by mark; or ended before the broker had their word that it begins, which came
    /// true after that: nobody can tell the two apart.
    deaths: HashMap<Subject, usize>,
    objections: Vec<String>,
}

impl Suspicion {
    /// What was objected to since the last call.
    pub(crate) fn take_objections(&mut self) -> Vec<String> {
        std::mem::take(&mut self.objections)
    }

    /// `process` sends `messages` to the stream of events.
    pub(crate) fn sent(&mut self, process: u32, messages: &[Message]) {
        for message in messages {
            let Some(mark) = mark(&message.subject, &message.payload) else { continue };
            for run in &mark.lone_runs {
                let key = (message.subject.clone(), run.clone());
                let announced =
                    Announced { owner: process, has_ended: false, is_stored: false, is_counted: false };
                self.announced.entry(key).or_insert(announced);
            }
            if mark.lone_runs.len() > LONE_RUNS_MAX {
                self.objections.push(format!("{} has {} lone runs", message.subject, mark.lone_runs.len()));
            }
        }
    }

    /// A message was stored in the stream of events. A run alone is over once the mark says so there: whoever dies before that
    /// has died in it, as far as anybody can know.
    pub(crate) fn stored(&mut self, stored: &Stored) {
        let Some(mark) = mark(&stored.subject, &stored.payload) else { return };
        for ((_, run), announced) in self.announced.iter_mut().filter(|((of, _), _)| *of == stored.subject) {
            match (mark.lone_runs.contains(run), announced.is_stored) {
                (true, false) if self.gone.contains(&announced.owner) => {
                    announced.is_stored = true;
                    if !std::mem::replace(&mut announced.is_counted, true) {
                        *self.deaths.entry(stored.subject.clone()).or_default() += 1;
                    }
                }
                (true, false) => (announced.is_stored, announced.has_ended) = (true, false),
                (false, true) => announced.has_ended = true,
                _ => {}
            }
        }
    }

    /// The broker delivers an input to `process`.
    pub(crate) fn delivered<R>(&mut self, now: Duration, process: u32, delivery: &Delivery<R>) {
        let key = (process, format!("{:?}", delivery.stream), delivery.sequence);
        self.delivered.entry(key).or_insert(now);
    }

    /// A process of `function` tells the broker that it is done with the message under `sequence` that brought `input`: it has
    /// come to an end. If the broker forgets that, it forgets how often it has delivered it as well, by which crash
    /// isolation goes.
    pub(crate) fn acked(&mut self, function: &'static str, input: &Subject, sequence: u64) {
        self.fallen.retain(|(of, subject, _, at), _| *of != function || subject != input || *at != sequence);
        self.settled.insert((function, input.clone(), sequence));
    }

    /// `process` answers for a delivery: whatever it did with it alone is over.
    pub(crate) fn answered(&mut self, process: u32, stream: Stream, receipt: Receipt) {
        let Receipt { sequence, delivered, .. } = receipt;
        let answered = Occasion { stream: format!("{stream:?}"), sequence, delivered };
        for ((_, run), announced) in &mut self.announced {
            announced.has_ended |= announced.owner == process && run.of == answered;
        }
    }

    /// A handler begins to run in `process`.
    pub(crate) fn began(&mut self, process: u32, terms: &Terms, inputs: &[&Input]) {
        let beside = self.running.get(&process).map_or(0, Vec::len);
        let is_announced = self.announced.values().any(|run| run.owner == process && !run.has_ended);
        let who = || {
            let subjects: Vec<_> = inputs.iter().map(|input| input.subject.to_string()).collect();
            format!("{}#{process} runs {}", terms.name, subjects.join(", "))
        };
        if self.alone.contains(&process) || (is_announced && beside > 0) {
            self.objections.push(format!("{} beside one that is to run alone", who()));
        }
        if inputs.iter().any(|input| self.is_suspect(process, terms, input)) {
            if beside > 0 || inputs.len() > 1 {
                self.objections.push(format!("{} in company, and a process died of it", who()));
            }
            self.alone.insert(process);
        }
        self.running.entry(process).or_default().extend(inputs.iter().map(|input| work(terms, input)));
    }

    /// Whether a process died while the input was at work, before the broker delivered it to this one.
    fn is_suspect(&self, process: u32, terms: &Terms, input: &Input) -> bool {
        let Some(died) = self.fallen.get(&work(terms, input)) else { return false };
        let streams: &[Stream] = match input.attempt {
            _ if terms.is_trail() => &[Stream::Audit],
            // A redriven input comes this way at its first attempt too.
            1 => &[Stream::Events, Stream::Retry],
            _ => &[Stream::Retry],
        };
        let came = |stream: &Stream| self.delivered.get(&(process, format!("{stream:?}"), input.sequence));
        streams.iter().filter_map(came).all(|came| came > died)
    }

    /// A handler that ran in `process` has come to an end.
    pub(crate) fn ended(&mut self, process: u32, terms: &Terms, inputs: &[&Input]) {
        let Some(running) = self.running.get_mut(&process) else { return };
        for work in inputs.iter().map(|input| work(terms, input)) {
            if let Some(at) = running.iter().position(|other| *other == work) {
                running.swap_remove(at);
            }
            if self.alone.contains(&process) {
                self.fallen.remove(&work);
            }
        }
        if running.is_empty() {
            self.alone.remove(&process);
        }
    }

    /// `process` has come to its end by itself.
    pub(crate) fn exited(&mut self, process: u32) {
        self.gone.insert(process);
    }

    /// `process` died.
    pub(crate) fn died(&mut self, now: Duration, process: u32) {
        self.gone.insert(process);
        for work in self.running.remove(&process).unwrap_or_default() {
            let (function, input, _, sequence) = &work;
            if !self.settled.contains(&(*function, input.clone(), *sequence)) {
                self.fallen.insert(work, now);
            }
        }
        for ((mark, _), announced) in &mut self.announced {
            if announced.owner == process && !announced.has_ended {
                (announced.has_ended, announced.is_counted) = (true, true);
                *self.deaths.entry(mark.clone()).or_default() += 1;
            }
        }
    }

    /// The input is sent to `function` again, as another cause.
    pub(crate) fn redriven(&mut self, function: &'static str, input: &Subject) {
        self.fallen.retain(|(of, subject, ..), _| *of != function || subject != input);
    }

    /// A dead letter was written.
    pub(crate) fn letter(&mut self, letter: &Stored) {
        if letter.header(headers::REASON) != Some(Reason::ProcessDied.code()) {
            return;
        }
        let id = letter.subject.as_str().rsplit('.').next().and_then(crate::token::decode);
        let mark =
            Subject::of_mark(letter.header(headers::FUNCTION).unwrap_or_default(), &id.unwrap_or_default());
        let deaths = self.deaths.get(&mark).copied().unwrap_or_default();
        if deaths < LONE_RUNS_MAX {
            let input = letter.header(headers::SUBJECT).unwrap_or_default();
            self.objections
                .push(format!("{input} is convicted, and {deaths} processes died in a lone run of it"));
        }
    }
}

/// The mark of an input, if that is what a message is.
fn mark(subject: &Subject, json: &[u8]) -> Option<Mark> {
    let is_mark = subject.as_str().contains("._jetlag%2Fmark%2F");
    is_mark.then(|| serde_json::from_slice(json).ok()).flatten()
}

fn work(terms: &Terms, input: &Input) -> Work {
    (terms.name, input.subject.clone(), input.attempt, input.sequence)
}
