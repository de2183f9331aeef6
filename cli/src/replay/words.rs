//! A replay for people: what differs, and how much of everything there was.

use serde::Serialize;

use super::compare::{Compared, Kind, Pair, Verdict};
use super::state::State;
use super::{Emitted, Outcome};

/// How many inputs and events stand how.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Inputs that were run.
    pub(crate) inputs: u64,
    /// Handled as they were then.
    pub(crate) same: u64,
    /// Handled otherwise.
    pub(crate) different: u64,
    /// Not done with then, so that there is nothing to compare with.
    pub(crate) nothing_then: u64,
    /// Events of compared inputs: with the same data.
    pub(crate) events_unchanged: u64,
    /// With other data.
    pub(crate) events_different: u64,
    /// That there were none of then.
    pub(crate) events_new: u64,
    /// That there are none of today.
    pub(crate) events_missing: u64,
    /// Keys of state that would be written.
    pub(crate) state_written: u64,
    /// Keys of state that these inputs were the last to write: with the same value at the end.
    pub(crate) state_unchanged: u64,
    /// With another one.
    pub(crate) state_different: u64,
    /// That would not be written today.
    pub(crate) state_missing: u64,
}

impl Summary {
    /// Counts one input.
    pub(crate) fn count(&mut self, compared: &Compared) {
        self.inputs += 1;
        match compared.verdict {
            Verdict::Same => self.same += 1,
            Verdict::Different => self.different += 1,
            Verdict::NothingThen => {
                self.nothing_then += 1;
                return;
            }
        }
        for pair in &compared.events {
            match pair.what {
                Kind::Unchanged => self.events_unchanged += 1,
                Kind::Different => self.events_different += 1,
                Kind::New => self.events_new += 1,
                Kind::Missing => self.events_missing += 1,
            }
        }
    }

    /// Counts the state at the end, of which `written` keys would be written today.
    pub(crate) fn count_state(&mut self, states: &[State], written: u64) {
        self.state_written = written;
        for state in states {
            match state.what {
                Kind::Different => self.state_different += 1,
                Kind::Missing => self.state_missing += 1,
                Kind::Unchanged | Kind::New => self.state_unchanged += 1,
            }
        }
    }

    /// Whether everything that could be compared is as it was.
    pub(crate) const fn is_same(&self) -> bool {
        self.different == 0 && self.state_different == 0 && self.state_missing == 0
    }

    /// For people.
    pub(crate) fn in_words(&self) -> String {
        let Self { inputs, same, different, nothing_then, .. } = self;
        let mut text = format!("{inputs} inputs: {same} the same, {different} different");
        if *nothing_then > 0 {
            text.push_str(&format!(", {nothing_then} with nothing to compare with"));
        }
        text.push_str(&format!(
            "\nevents: {} unchanged, {} different, {} new, {} missing\n",
            self.events_unchanged, self.events_different, self.events_new, self.events_missing
        ));
        let Self { state_written, state_unchanged, state_different, state_missing, .. } = self;
        if state_written + state_missing > 0 {
            let others = state_written.saturating_sub(state_unchanged + state_different);
            text.push_str(&format!(
                "state: {state_unchanged} unchanged, {state_different} different, {state_missing} missing"
            ));
            if others > 0 {
                text.push_str(&format!(", {others} not compared"));
            }
            text.push('\n');
        }
        text
    }
}

/// What is worth telling of `compared`: nothing, if it is the same.
pub(crate) fn in_words(compared: &Compared, ignored: &[String]) -> String {
    let Compared { sequence, subject, verdict, then, today, events, .. } = compared;
    let what = match verdict {
        Verdict::Same => return String::new(),
        Verdict::Different => "different",
        Verdict::NothingThen if compared.redriven => {
            "nothing to compare with: it was sent again as a dead letter, maybe with other data than the stream has"
        }
        Verdict::NothingThen => "nothing to compare with",
    };
    let mut text = format!("{sequence:>8}  {subject}: {what}\n");
    if then != today || *verdict == Verdict::NothingThen {
        text.push_str(&format!(
            "{:>8}  then   {}\n{:>8}  today  {}\n",
            "",
            outcome(then),
            "",
            outcome(today)
        ));
    }
    for pair in events {
        text.push_str(&told(pair, ignored));
    }
    text
}

/// What is worth telling of the state at the end.
pub(crate) fn of_state(state: &State, ignored: &[String]) -> String {
    let State { key, what, then, .. } = state;
    match what {
        Kind::Unchanged | Kind::New => String::new(),
        Kind::Missing => format!("   state  {key}: missing  {then}\n"),
        Kind::Different => {
            let mut text = format!("   state  {key}: different\n");
            for difference in state.difference(ignored).lines() {
                text.push_str(&format!("{:>8}    {difference}\n", ""));
            }
            text
        }
    }
}

fn told(pair: &Pair, ignored: &[String]) -> String {
    let name = |event: &Option<Emitted>| {
        event.as_ref().map(|event| format!("{} of {}", event.kind, event.aggregate_id)).unwrap_or_default()
    };
    let line = |what: &str, text: &str| format!("{:>8}  {what:<9} {text}\n", "");
    let data =
        |event: &Option<Emitted>| event.as_ref().map(|event| event.data.to_string()).unwrap_or_default();
    match pair.what {
        Kind::Unchanged => line("unchanged", &name(&pair.then)),
        Kind::New => line("new", &format!("{}  {}", name(&pair.today), data(&pair.today))),
        Kind::Missing => line("missing", &format!("{}  {}", name(&pair.then), data(&pair.then))),
        Kind::Different => {
            let mut text = line("different", &name(&pair.then));
            for difference in pair.difference(ignored).lines() {
                text.push_str(&format!("{:>8}    {difference}\n", ""));
            }
            text
        }
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Acknowledged => "acknowledged".to_owned(),
        Outcome::DeadLetter { reason, error } => {
            let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            format!("dead letter, {reason}{error}")
        }
        Outcome::Failed { error } => format!("failed, to be tried again: {error}"),
        Outcome::Unknown => {
            "not known: it has not come to an end, or its function has no consumer".to_owned()
        }
    }
}
