//! audit: seals the trail of everything that happened, in order, with a chain of hashes.
//!
//! The server itself copies every event into the AUDIT stream. This function reads that copy from its first entry on
//! and publishes a checkpoint for each stretch of it; [`verify`] proves later that nothing was changed or removed.

mod chain;
mod hash;
pub mod verify;

use std::time::Duration;

use events::AuditSealed;
use jetlag::{AnyEvent, Batch, Contract, Effects, Failure, Payload, Recorded, Scaling, State, kind_of};

pub use chain::{Chain, Entry, Gap, Growth};
pub use hash::{Hash, NotAHash};

/// What this function is to the rest of the system. It has no limit of attempts: a batch that fails is given back whole
/// and comes again, for the chain could not go on behind an entry that was given up.
pub const CONTRACT: Contract<AnyEvent, AuditSealed> =
    Contract::new("audit", "Seals the trail of everything that happened with a chain of hashes.")
        .reads_audit()
        .batch(500)
        .keeps(&[kind_of::<Chain>()])
        // One after the other: each checkpoint continues the one before.
        .concurrency(1)
        .scaling(Scaling::up_to(1).lag(1000));

/// The key of the only [`Chain`].
pub const HEAD: &str = "head";

const GAP_DELAY: Duration = Duration::from_secs(1);

/// Seals `batch`, if there is anything in it but checkpoints.
///
/// # Errors
/// The batch does not begin with the entry that comes next: that one is on its way to another process, or has yet to come
/// back. It is tried again a second later. A batch with a gap further on is sealed up to there, and the rest comes again. If the entry never comes, because somebody deleted it,
/// nothing is sealed any more, the backlog grows, and `jetlag audit verify` names the entry: that is what a seal is for.
pub async fn seal(_: &(), batch: Batch<AnyEvent>, state: State) -> Result<Effects<AuditSealed>, Failure> {
    let head: Chain = state.get(HEAD).await?.unwrap_or_default();
    let mut entries: Vec<Entry<'_>> = batch.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.sequence);

    match head.grow(entries).map_err(|gap| Failure::retry_after(GAP_DELAY, gap))? {
        Growth::None => Ok(Effects::none().up_to(head.seen)),
        Growth::Folded(chain) => Ok(Effects::none().up_to(chain.seen).put(HEAD, &chain)),
        Growth::Sealed { chain, from } => {
            let sealed = AuditSealed {
                checkpoint: chain.checkpoint.to_string(),
                from,
                to: chain.to,
                entries: chain.to.saturating_sub(head.to),
                hash: chain.hash.to_string(),
                previous: head.hash.to_string(),
            };
            Ok(Effects::emit(sealed).up_to(chain.seen).put(HEAD, &chain))
        }
    }
}

fn entry(recorded: &Recorded<AnyEvent>) -> Entry<'_> {
    Entry {
        sequence: recorded.sequence,
        bytes: &recorded.bytes,
        is_checkpoint: recorded.event.data.kind == AuditSealed::TYPE,
    }
}

#[cfg(test)]
mod tests;
