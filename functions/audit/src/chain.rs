//! The chain of checkpoints over the audit trail: how far it reaches, and how it grows.
//!
//! Every entry of the AUDIT stream is folded into one running hash, in the order of the stream; a checkpoint publishes
//! that hash. The checkpoint is an event too and comes back as an entry, to be folded like every other: but entries
//! that are nothing but checkpoints are folded silently, or sealing would never come to an end. The next checkpoint
//! reaches back over them, so that checkpoint n begins where checkpoint n-1 ended, without a gap.

use jetlag::Stored;
use serde::{Deserialize, Serialize};

use crate::Hash;

/// How far the trail is hashed, and how far it is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// How many checkpoints there are.
    pub checkpoint: u64,
    /// The last sequence that a checkpoint seals.
    pub to: u64,
    /// The hash of the last checkpoint.
    pub hash: Hash,
    /// The last sequence that is folded into `pending`; what is after `to` are checkpoints only.
    pub seen: u64,
    /// The running hash up to and with `seen`.
    pub pending: Hash,
}

/// One entry of the trail.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its sequence in the AUDIT stream.
    pub sequence: u64,
    /// Its bytes as they are in the stream.
    pub bytes: &'a [u8],
    /// Whether it is itself a checkpoint.
    pub is_checkpoint: bool,
}

/// What a stretch of entries does to the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Growth {
    /// Nothing: every entry was there already.
    None,
    /// Entries were folded that need no checkpoint.
    Folded(Chain),
    /// A checkpoint was reached: it begins at the sequence `from`.
    Sealed {
        /// The chain with the new checkpoint.
        chain: Chain,
        /// The first sequence that the checkpoint seals.
        from: u64,
    },
}

/// An entry is not the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {expected} has to be sealed before entry {found}")]
pub struct Gap {
    /// The sequence that has to come next.
    pub expected: u64,
    /// The one that came.
    pub found: u64,
}

impl Stored for Chain {
    const KIND: &'static str = "chain";
}

impl Default for Chain {
    fn default() -> Self {
        Self { checkpoint: 0, to: 0, hash: Hash::ZERO, seen: 0, pending: Hash::ZERO }
    }
}

impl Chain {
    /// The chain after `entries`, which are in order, up to the first gap in them; those that are in it already are passed
    /// over. The order is what the hash is about: what comes behind a gap has to wait.
    ///
    /// # Errors
    /// The chain already reaches to none of `entries`, and the first is not the next one.
    pub fn grow<'a>(&self, entries: impl IntoIterator<Item = Entry<'a>>) -> Result<Growth, Gap> {
        let mut chain = self.clone();
        let (mut is_sealed, mut gets_on) = (false, false);
        for entry in entries {
            let expected = chain.seen.saturating_add(1);
            if entry.sequence < expected {
                gets_on = true;
                continue; // In the chain already, or twice in one batch.
            }
            if entry.sequence > expected {
                if gets_on {
                    break;
                }
                return Err(Gap { expected, found: entry.sequence });
            }
            gets_on = true;
            chain.seen = entry.sequence;
            chain.pending = chain.pending.then(Hash::of_entry(entry.sequence, entry.bytes));
            is_sealed |= !entry.is_checkpoint;
        }
        if chain.seen == self.seen {
            return Ok(Growth::None);
        }
        if !is_sealed {
            return Ok(Growth::Folded(chain));
        }
        let from = self.to.saturating_add(1);
        chain.checkpoint = chain.checkpoint.saturating_add(1);
        (chain.to, chain.hash) = (chain.seen, chain.pending);
        Ok(Growth::Sealed { chain, from })
    }
}
