//! Whether what a trail shows is what the audit trail has sealed.

use std::collections::BTreeMap;

use bytes::Bytes;
use jetlag::jetstream::{Operator, OperatorError};
use serde::Serialize;

use super::Trail;
use crate::sealed;

/// What the audit trail has to say of one trail.
#[derive(Debug, Serialize)]
pub(crate) struct Seal {
    /// The steps that are there byte for byte, and under a checkpoint.
    pub(crate) sealed: Vec<SealedStep>,
    /// The subjects of those that are there, and that no checkpoint has sealed yet.
    pub(crate) unsealed: Vec<String>,
    /// The subjects of those that the broker has not copied there yet.
    pub(crate) on_the_way: Vec<String>,
    /// The subjects of those that should be there and are not.
    pub(crate) missing: Vec<String>,
    /// The subjects of those that have other bytes there.
    pub(crate) altered: Vec<String>,
    /// Entries of the whole audit trail.
    pub(crate) entries: u64,
    /// The number of the last checkpoint of the whole audit trail; 0 if there is none.
    pub(crate) checkpoint: u64,
    /// Its hash.
    pub(crate) hash: Option<String>,
    /// How many faults the whole audit trail has.
    pub(crate) faults: u64,
    /// The first of them.
    pub(crate) broken: Vec<String>,
}

/// A step that is sealed.
#[derive(Debug, Serialize)]
pub(crate) struct SealedStep {
    subject: String,
    /// Its sequence in AUDIT.
    entry: u64,
    /// The number of the checkpoint that seals it.
    checkpoint: u64,
}

impl Seal {
    /// Reads the whole audit trail, and holds `trail` against it.
    ///
    /// # Errors
    /// The stream is not there, or the broker does not answer.
    pub(crate) async fn of(operator: &Operator, trail: &Trail) -> Result<Self, OperatorError> {
        let shown: BTreeMap<&str, &Bytes> =
            trail.steps.iter().map(|step| (step.subject.as_str(), &step.payload)).collect();
        let mut found: BTreeMap<String, (u64, bool)> = BTreeMap::new();
        let mut pending: Vec<(String, u64)> = Vec::new();
        let (mut sealed_steps, mut last_number, mut copied_to) = (Vec::new(), 0, 0);
        let whole = sealed::verify(operator, |entry, origin, verifier| {
            copied_to = copied_to.max(origin.sequence);
            if let Some(bytes) = shown.get(origin.subject.as_str()) {
                found.insert(origin.subject.clone(), (entry.sequence, **bytes == entry.payload));
                pending.push((origin.subject.clone(), entry.sequence));
            }
            if let Some(checkpoint) = verifier.last().filter(|last| last.number != last_number) {
                last_number = checkpoint.number;
                let (under, after) =
                    std::mem::take(&mut pending).into_iter().partition(|(_, at)| *at <= checkpoint.to);
                pending = after;
                let under: Vec<(String, u64)> = under;
                sealed_steps.extend(under.into_iter().map(|(subject, entry)| SealedStep {
                    subject,
                    entry,
                    checkpoint: checkpoint.number,
                }));
            }
        })
        .await?;
        let absent = || trail.steps.iter().filter(|step| !found.contains_key(&step.subject));
        let is_on_its_way =
            |step: &&super::Step| step.stream == jetlag::topology::EVENTS && step.sequence > copied_to;
        let last = whole.verifier.last();
        Ok(Self {
            on_the_way: absent().filter(is_on_its_way).map(|step| step.subject.clone()).collect(),
            missing: absent().filter(|step| !is_on_its_way(step)).map(|step| step.subject.clone()).collect(),
            altered: found
                .iter()
                .filter(|(_, (_, same))| !same)
                .map(|(subject, _)| subject.clone())
                .collect(),
            unsealed: pending.into_iter().map(|(subject, _)| subject).collect(),
            sealed: sealed_steps,
            entries: whole.entries,
            checkpoint: last.map_or(0, |last| last.number),
            hash: last.map(|last| last.hash.to_string()),
            faults: whole.faults,
            broken: whole.broken,
        })
    }

    /// Whether nothing speaks against the trail.
    pub(crate) fn is_whole(&self) -> bool {
        self.faults == 0 && self.missing.is_empty() && self.altered.is_empty()
    }

    /// For people: what was found, and what that proves.
    pub(crate) fn in_words(&self) -> String {
        let Self {
            sealed,
            unsealed,
            on_the_way,
            missing,
            altered,
            entries,
            checkpoint,
            hash,
            faults,
            broken,
        } = self;
        let mut text = String::new();
        let mut tell = |what: &str, line: &str| text.push_str(&format!("{what:>10}  {line}\n"));
        let (first, last) =
            (sealed.first().map(|step| step.checkpoint), sealed.last().map(|step| step.checkpoint));
        if let (Some(first), Some(last)) = (first, last) {
            let under = if first == last {
                format!("checkpoint {first}")
            } else {
                format!("checkpoints {first} to {last}")
            };
            tell("sealed", &format!("{} steps, byte for byte, under {under}", sealed.len()));
        }
        for (what, why, subjects) in [
            ("unsealed", "in the audit trail, under no checkpoint yet", unsealed),
            ("on its way", "not copied to the audit trail yet", on_the_way),
            ("MISSING", "not in the audit trail", missing),
            ("ALTERED", "other bytes in the audit trail than shown here", altered),
        ] {
            for subject in subjects {
                tell(what, &format!("{subject}: {why}"));
            }
        }
        for fault in broken {
            tell("BROKEN", fault);
        }
        if *faults > broken.len() as u64 {
            tell("", &format!("and {} more faults", faults - broken.len() as u64));
        }
        if let Some(hash) = hash {
            tell("chain", &format!("{entries} entries up to checkpoint {checkpoint}"));
            tell("hash", hash);
        }
        if self.is_whole() && !sealed.is_empty() {
            tell("proves", "what is sealed was not changed, removed or reordered since, by anybody who");
            tell("", "cannot rewrite AUDIT with every later checkpoint; against them, keep the hash");
        }
        text
    }
}
