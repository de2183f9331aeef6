//! The chain goes through everything that happened, in order, and leaves nothing out.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jetlag::{AnyEvent, Batch, Contract, Effects, Failure, Nothing, State, Stored, kind_of};
use serde::{Deserialize, Serialize};

pub const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("chain", "Chains the trail.")
    .reads_audit()
    .batch(8)
    .concurrency(1)
    .keeps(&[kind_of::<Chain>()]);

/// How long to wait for an entry that has to come first.
const GAP_DELAY: Duration = Duration::from_secs(10);

/// The key of the only chain.
pub const HEAD: &str = "head";

/// How far the trail is chained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    pub upto: u64,
    pub hash: u64,
}

impl Stored for Chain {
    const KIND: &'static str = "chain";
}

impl Chain {
    /// The chain with one more link.
    pub fn with(&self, bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        (self.hash, bytes).hash(&mut hasher);
        Self { upto: self.upto + 1, hash: hasher.finish() }
    }
}

pub async fn link(_: &(), batch: Batch<AnyEvent>, state: State) -> Result<Effects<Nothing>, Failure> {
    let before: Chain = state.get(HEAD).await?.unwrap_or_default();
    let mut chain = before.clone();
    for recorded in &batch {
        if recorded.sequence == chain.upto + 1 {
            chain = chain.with(&recorded.bytes);
        }
    }
    let first = batch.first().map_or(0, |recorded| recorded.sequence);
    if first > chain.upto {
        let why = format!("{} has to come before {first}", chain.upto + 1);
        return Err(Failure::retry_after(GAP_DELAY, why));
    }
    let effects = Effects::none().up_to(chain.upto);
    Ok(if chain == before { effects } else { effects.put(HEAD, &chain) })
}
