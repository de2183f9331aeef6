//! Checkpoints of the audit trail.

use jetlag::Payload;
use serde::{Deserialize, Serialize};

use crate::Check;

/// A stretch of the audit trail was sealed: nothing in it can be changed any more without breaking the chain of hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSealed {
    /// The checkpoint's number, from 1, as text: it is the event's aggregate.
    pub checkpoint: String,
    /// The first sequence of the AUDIT stream that it seals.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// How many entries those are.
    pub entries: u64,
    /// The running hash up to and with `to`: SHA-256, 64 lower-case hexadecimal digits.
    pub hash: String,
    /// The hash of the checkpoint before, or 64 zeros for the first.
    pub previous: String,
}

impl Payload for AuditSealed {
    const TYPE: &'static str = "audit.sealed";
    const AGGREGATE: &'static str = "checkpoint";

    fn aggregate_id(&self) -> &str {
        &self.checkpoint
    }

    fn example() -> Self {
        Self {
            checkpoint: "1".into(),
            from: 1,
            to: 500,
            entries: 500,
            hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            previous: "0".repeat(64),
        }
    }

    fn validate(&self) -> Result<(), String> {
        let is_hash = |text: &str| {
            text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
        };
        let mut check = Check::default();
        let number: Option<u64> = self.checkpoint.parse().ok().filter(|number| *number > 0);
        check.that(
            number.is_some_and(|number| number.to_string() == self.checkpoint),
            "/checkpoint",
            "it must be a number from 1, as text",
        );
        check.that(
            self.from > 0
                && self.to.checked_sub(self.from).and_then(|more| more.checked_add(1)) == Some(self.entries),
            "/entries",
            "it must be as many as from, to and all between them, from 1 on",
        );
        check.that(is_hash(&self.hash), "/hash", "it must be 64 lower-case hexadecimal digits");
        check.that(is_hash(&self.previous), "/previous", "it must be 64 lower-case hexadecimal digits");
        check.in_words()
    }
}
