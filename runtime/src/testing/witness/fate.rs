//! What became of one input in one function.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use crate::core::broker::{Stored, Stream};
use crate::handler::Input;
use crate::memory::server::Server;
use crate::subject::Subject;
use crate::{headers, identity};

/// How many events of one commit are looked at to find out which life of an input they follow from.
const INDEX_MAX: usize = 16;

/// An input of a function, in one of its lives: a redriven input is another one than the one that died.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Cause {
    pub(crate) function: &'static str,
    pub(crate) subject: Subject,
    pub(crate) redrive: Option<String>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.redrive {
            None => write!(f, "{}", self.subject),
            Some(redrive) => write!(f, "{} ({redrive})", self.subject),
        }
    }
}

impl Cause {
    /// What a message on its way to `function` is about, and which attempt this is.
    pub(crate) fn of(function: &'static str, stream: Stream, stored: &Stored) -> (Self, u32) {
        let redrive = stored.header(headers::REDRIVE).map(str::to_owned);
        match stored.header(headers::SUBJECT) {
            Some(subject) if stream == Stream::Retry => {
                (Self { function, subject: Subject::from_broker(subject), redrive }, attempt(stored))
            }
            _ => (Self { function, subject: stored.subject.clone(), redrive: None }, 1),
        }
    }

    /// Which deliveries `input` may have been made of: one, but for the rare case that an event and a retry of it have the
    /// same sequence in their streams.
    pub(crate) fn of_input(function: &'static str, server: &Server, input: &Input) -> Vec<Self> {
        let delivered = [Stream::Events, Stream::Retry].into_iter().filter_map(|stream| {
            let entry = server.log(stream).entry(input.sequence)?;
            let (cause, attempt) = Self::of(function, stream, &entry.stored);
            (cause.subject == input.subject && attempt == input.attempt).then_some(cause)
        });
        delivered.collect()
    }

    /// Whether the event id is one of those that follow from this cause and from no other.
    fn gives(&self, id: &str) -> bool {
        let redrive = self.redrive.as_deref().unwrap_or_default();
        let derived = |index: usize| {
            identity::derive(&[self.function, self.subject.as_str(), redrive, &index.to_string()])
        };
        (0..=INDEX_MAX).any(|index| derived(index) == id)
    }
}

/// Which attempt a message is for, or follows from.
pub(crate) fn attempt(stored: &Stored) -> u32 {
    stored.header(headers::ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// What became of one input in one function.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// The publishes that committed something for it.
    pub(crate) commits: Vec<u64>,
    /// Receipts marked dead.
    pub(crate) receipts: u32,
    pub(crate) letters: u32,
    /// A run decided that there is nothing to do.
    pub(crate) is_nothing: bool,
    /// Runs that failed, by attempt.
    pub(crate) failed: BTreeSet<u32>,
    /// Attempts that were put on their way.
    pub(crate) scheduled: BTreeSet<u32>,
}

impl Fate {
    /// Whether nothing more is to be done for the input.
    pub(crate) fn is_ended(&self) -> bool {
        !self.commits.is_empty() || self.letters > 0 || self.is_nothing
    }
}

/// The fates of all inputs, told apart as the core's causes are: by function, input and redrive.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    by_cause: HashMap<Cause, Fate>,
    redrives: HashMap<(&'static str, Subject), Vec<String>>,
}

impl Fates {
    pub(crate) fn of(&mut self, cause: &Cause) -> &mut Fate {
        self.by_cause.entry(cause.clone()).or_default()
    }

    pub(crate) fn get(&self, cause: &Cause) -> Option<&Fate> {
        self.by_cause.get(cause)
    }

    /// The input is sent again, as another cause than the one that died.
    pub(crate) fn redriven(&mut self, cause: Cause) {
        if let Some(redrive) = cause.redrive {
            let redrives = self.redrives.entry((cause.function, cause.subject)).or_default();
            if !redrives.contains(&redrive) {
                redrives.push(redrive);
            }
        }
    }

    /// Every life of an input that there was, the first one first.
    pub(crate) fn lives(&self, function: &'static str, subject: &Subject) -> Vec<Cause> {
        let redrives = self.redrives.get(&(function, subject.clone()));
        let redrives = redrives.into_iter().flatten().cloned().map(Some);
        let life = |redrive| Cause { function, subject: subject.clone(), redrive };
        std::iter::once(None).chain(redrives).map(life).collect()
    }

    /// The life from which an event with this id follows.
    pub(crate) fn behind(&self, function: &'static str, subject: &Subject, id: &str) -> Option<Cause> {
        self.lives(function, subject).into_iter().find(|cause| cause.gives(id))
    }
}
