//! The audit trail: complete, and what was sealed.

use ::audit::verify::Verifier;
use serde::Serialize;

use super::Evidence;
use super::finding::Finding;
use super::history::History;
use crate::streams::Origin;

/// What is never sealed: the last checkpoint's own entry, and those of checkpoints that it did not reach.
const CHECKPOINT: &str = "audit.sealed.";

/// The audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditFacts {
    /// All entries.
    pub entries: u64,
    /// Events that are still in EVENTS, and in the trail too.
    pub copied: u64,
    /// How many checkpoints seal them.
    pub checkpoints: u64,
    /// The last entry that is sealed.
    pub sealed_to: u64,
    /// The hash of the last checkpoint.
    pub hash: Option<String>,
}

/// Verifies the chain, and that nothing but checkpoints is unsealed.
pub(super) fn check(evidence: &Evidence, history: &History, findings: &mut Vec<Finding>) -> AuditFacts {
    let mut verifier = Verifier::default();
    let mut broken = Vec::new();
    for entry in &evidence.trail {
        broken.extend(verifier.feed(entry.sequence, &Origin::of(entry).subject, &entry.payload));
    }
    broken.extend(evidence.head.as_ref().and_then(|head| verifier.truncated(head)));
    findings.extend(broken.into_iter().map(|broken| Finding::TrailBroken { why: broken.to_string() }));

    let last = verifier.last();
    let sealed_to = last.map_or(0, |last| last.to);
    let unsealed = evidence.trail.iter().filter(|entry| entry.sequence > sealed_to);
    let entries = unsealed.filter(|entry| !Origin::of(entry).subject.starts_with(CHECKPOINT)).count() as u64;
    if entries > 0 {
        findings.push(Finding::NotSealed { entries });
    }
    AuditFacts {
        entries: evidence.trail.len() as u64,
        copied: history.copied,
        checkpoints: last.map_or(0, |last| last.number),
        sealed_to,
        hash: last.map(|last| last.hash.to_string()),
    }
}
