//! Whether the audit trail is still what was sealed.
//!
//! The chain proves that sealed entries were not changed, removed, inserted or put into another order by anybody who
//! cannot also rewrite every later checkpoint. Who can write to the AUDIT stream at will could do that: against them
//! keep a checkpoint's hash somewhere else, and compare it with [`Verifier::last`].

use std::collections::VecDeque;

use events::AuditSealed;
use jetlag::{Envelope, Payload};

use crate::{Chain, Hash};

/// Verifies a trail, fed one entry after the other in the order of the stream. The default is for a whole trail, from
/// entry 1.
#[derive(Debug, Default)]
pub struct Verifier {
    /// Whether older entries have expired, so that the first checkpoint has to be believed.
    is_continued: bool,
    /// The sequence that was fed last; 0 before the first.
    last_sequence: u64,
    /// What no checkpoint has sealed yet.
    unsealed: VecDeque<(u64, Hash)>,
    last: Option<Checkpoint>,
}

/// A checkpoint as the trail tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// From 1.
    pub number: u64,
    /// The last sequence that it seals.
    pub to: u64,
    /// The running hash up to there.
    pub hash: Hash,
}

/// What is wrong with a trail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Entries are gone.
    #[error("the entries {from} to {to} are missing")]
    Missing {
        /// The first sequence that is not there.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// Sequences do not rise.
    #[error("entry {sequence} comes after entry {after}")]
    OutOfOrder {
        /// The entry's sequence.
        sequence: u64,
        /// The one before it.
        after: u64,
    },
    /// An entry between these two (inclusive) is not what was sealed.
    #[error("of the entries {from} to {to}, at least one is not what checkpoint {checkpoint} sealed")]
    Altered {
        /// The checkpoint's number.
        checkpoint: u64,
        /// The first sequence that it seals.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// A checkpoint does not continue the one before it.
    #[error("checkpoint {checkpoint} (entry {sequence}) does not continue the one before it")]
    Link {
        /// Its number, as it says.
        checkpoint: String,
        /// Its own sequence.
        sequence: u64,
    },
    /// An event stands under a subject that is not its own.
    #[error("entry {sequence} stands under {subject}, but it is {own}")]
    Misfiled {
        /// The entry's sequence.
        sequence: u64,
        /// The subject that it was found under.
        subject: String,
        /// The subject that its body gives it.
        own: String,
    },
    /// The end was cut off: more was sealed once than is there now.
    #[error("the trail was sealed up to entry {sealed} once, but is sealed up to {found} now")]
    Truncated {
        /// How far it was sealed, by the state of the function.
        sealed: u64,
        /// How far the trail's own checkpoints seal it.
        found: u64,
    },
}

impl Verifier {
    /// For a trail whose oldest entries have expired: `first` is the first sequence that is still there. The first
    /// checkpoint is believed, and what follows is checked against it.
    pub fn beginning_at(first: u64) -> Self {
        Self { is_continued: first > 1, last_sequence: first.saturating_sub(1), ..Self::default() }
    }

    /// Takes the next entry: its sequence in AUDIT, the subject that it had in the stream of events, and its bytes.
    /// Returns what is found to be wrong by now, most often nothing.
    pub fn feed(&mut self, sequence: u64, subject: &str, bytes: &[u8]) -> Vec<Broken> {
        let mut broken = Vec::new();
        let expected = self.last_sequence.saturating_add(1);
        if sequence < expected {
            broken.push(Broken::OutOfOrder { sequence, after: self.last_sequence });
            return broken;
        }
        if sequence > expected {
            broken.push(Broken::Missing { from: expected, to: sequence.saturating_sub(1) });
        }
        self.last_sequence = sequence;
        if let Ok(event) = Envelope::read(bytes) {
            let own = event.subject();
            if own.as_str() != subject {
                broken.push(Broken::Misfiled { sequence, subject: subject.into(), own: own.as_str().into() });
            }
            // The body says that it is a checkpoint, and the body is sealed; the subject is not.
            if event.kind == AuditSealed::TYPE {
                match serde_json::from_str(event.data.get()) {
                    Ok(sealed) => broken.extend(self.check(sequence, &sealed)),
                    Err(_) => broken.push(Broken::Link { checkpoint: event.aggregate_id, sequence }),
                }
            }
        }
        self.unsealed.push_back((sequence, Hash::of_entry(sequence, bytes)));
        broken
    }

    /// The last checkpoint so far.
    pub const fn last(&self) -> Option<Checkpoint> {
        self.last
    }

    /// How many entries at the end no checkpoint has sealed yet. At rest it is one: the last checkpoint's own entry.
    pub fn unsealed(&self) -> usize {
        self.unsealed.len()
    }

    /// Whether less is there than `head`, the state of the function, says was sealed once. To be asked at the end, with
    /// a state that was read before the first entry.
    pub fn truncated(&self, head: &Chain) -> Option<Broken> {
        let found = self.last.map_or(0, |last| last.to);
        (found < head.to).then_some(Broken::Truncated { sealed: head.to, found })
    }

    /// Checks what `sealed`, the entry `sequence`, says of the entries before it.
    fn check(&mut self, sequence: u64, sealed: &AuditSealed) -> Option<Broken> {
        let link = || Broken::Link { checkpoint: sealed.checkpoint.clone(), sequence };
        let parsed = (sealed.checkpoint.parse(), sealed.hash.parse(), sealed.previous.parse());
        let (Ok(number), Ok(hash), Ok(previous)) = parsed else { return Some(link()) };
        if sealed.validate().is_err() || sealed.to >= sequence {
            return Some(link());
        }
        // Whatever is wrong with this one, the next is checked against it: one fault is told once.
        let before = self.last.replace(Checkpoint { number, to: sealed.to, hash });
        let entries: Vec<(u64, Hash)> = self
            .unsealed
            .iter()
            .copied()
            .filter(|(sequence, _)| (sealed.from..=sealed.to).contains(sequence))
            .collect();
        self.unsealed.retain(|(sequence, _)| *sequence > sealed.to);

        let continues = match before {
            Some(before) => {
                before.hash == previous
                    && before.number.checked_add(1) == Some(number)
                    && before.to.checked_add(1) == Some(sealed.from)
            }
            None if self.is_continued => true,
            None => number == 1 && sealed.from == 1 && previous == Hash::ZERO,
        };
        if !continues {
            return Some(link());
        }
        let is_whole = u64::try_from(entries.len()) == Ok(sealed.entries);
        // What is not whole was told as missing, entry by entry.
        let is_same = || entries.iter().fold(previous, |running, (_, entry)| running.then(*entry)) == hash;
        (is_whole && !is_same()).then_some(Broken::Altered {
            checkpoint: number,
            from: sealed.from,
            to: sealed.to,
        })
    }
}
