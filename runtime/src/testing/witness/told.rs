//! Which sequences of state each process was told of: it may insist on no others.

use std::collections::HashMap;

use crate::core::broker::Message;
use crate::subject::Subject;

/// What a subject of state begins with.
const STATE: &str = "state.";

/// What processes were told, by process and subject.
#[derive(Debug, Default)]
pub(crate) struct Told {
    sequences: HashMap<(u32, Subject), Vec<u64>>,
}

impl Told {
    /// `process` is told that `subject` was last written under `sequence`, 0 if never.
    pub(crate) fn tell(&mut self, process: u32, subject: &Subject, sequence: u64) {
        if !subject.as_str().starts_with(STATE) {
            return;
        }
        let told = self.sequences.entry((process, subject.clone())).or_default();
        if !told.contains(&sequence) {
            told.push(sequence);
        }
    }

    /// What is wrong with `message` from `process`, if anything is: state is written after what was read, never blindly.
    pub(crate) fn fault(&self, process: u32, message: &Message) -> Option<String> {
        let subject = &message.subject;
        if !subject.as_str().starts_with(STATE) {
            return None;
        }
        let Some(expect) = &message.expect else {
            return Some(format!("process {process} writes {subject} without insisting on what it read"));
        };
        let told = self.sequences.get(&(process, subject.clone()));
        // Nothing is told of what was never written, where nobody asks.
        let is_told = expect.sequence == 0 || told.is_some_and(|told| told.contains(&expect.sequence));
        (!is_told || expect.scope.is_some()).then(|| {
            let sequence = expect.sequence;
            format!("process {process} insists on {sequence} of {subject}, and was told of {told:?}")
        })
    }
}
