//! Reads the whole audit trail, and verifies its chain of checkpoints.

use audit::verify::{Broken, Verifier};
use audit::{Chain, HEAD};
use jetlag::jetstream::{Operator, OperatorError, ReadMessage};
use jetlag::topology::{AUDIT, EVENTS};
use jetlag::{Stored, Subject};

use crate::streams::Origin;

/// How many faults are listed; all are counted.
const FAULTS_MAX: usize = 20;

/// The audit trail, read to its end.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    /// All entries.
    pub(crate) entries: u64,
    /// What became of the chain.
    pub(crate) verifier: Verifier,
    /// How many faults were found.
    pub(crate) faults: u64,
    /// The first of them.
    pub(crate) broken: Vec<String>,
}

/// Reads the audit trail from its first entry to its last. `each` is shown every entry, and what it was a copy of, once the
/// verifier has taken it.
///
/// # Errors
/// The stream is not there, or the broker does not answer.
pub(crate) async fn verify(
    operator: &Operator,
    mut each: impl FnMut(&ReadMessage, &Origin, &Verifier),
) -> Result<Sealed, OperatorError> {
    // The head before the trail: what is sealed in between must not look as if it had been cut off.
    let head = operator.read(EVENTS, Subject::of_state("audit", Chain::KIND, HEAD).as_str(), 1).await?;
    let head: Option<Chain> = head.last().and_then(|state| serde_json::from_slice(&state.payload).ok());
    let mut sealed = Sealed::default();
    let mut next = 1;
    loop {
        let page = operator.page(AUDIT, "audit.*", next).await?;
        let Some(last) = page.last() else { break };
        next = last.sequence + 1;
        sealed.entries += page.len() as u64;
        for entry in &page {
            let origin = Origin::of(entry);
            let broken = sealed.verifier.feed(entry.sequence, &origin.subject, &entry.payload);
            sealed.note(broken);
            each(entry, &origin, &sealed.verifier);
        }
    }
    let truncated = head.as_ref().and_then(|head| sealed.verifier.truncated(head));
    sealed.note(truncated);
    Ok(sealed)
}

impl Sealed {
    fn note(&mut self, broken: impl IntoIterator<Item = Broken>) {
        for broken in broken {
            self.faults += 1;
            if self.broken.len() < FAULTS_MAX {
                self.broken.push(broken.to_string());
            }
        }
    }
}
