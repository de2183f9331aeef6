//! What became of an input, as a test sees it.

use std::time::Duration;

use serde_json::Value;

use crate::core::broker::Stored;
use crate::event::Envelope;
use crate::{Outgoing, Reason};

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done with, and these events were committed for it now: none if there was nothing to do, or if an earlier
    /// run had committed already.
    Acked(Vec<Emitted>),
    /// This attempt failed, and the next one comes later.
    Retried {
        /// Which attempt failed, from 1.
        attempt: u32,
        /// How long until the next one, jitter included.
        after: Duration,
        /// What went wrong.
        error: String,
    },
    /// It was given up.
    DeadLettered {
        /// The code of the [`Reason`].
        reason: String,
        /// What went wrong.
        error: String,
    },
    /// It went back to the broker, and no attempt was counted: the circuit breaker is open.
    Released,
}

/// An event that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Its type.
    pub kind: String,
    /// What it is about.
    pub aggregate_id: String,
    /// Its data.
    pub data: Value,
}

impl Outcome {
    /// It is done with, and these events were committed, in this order.
    ///
    /// # Panics
    /// An event does not serialise.
    #[allow(clippy::expect_used, reason = "only tests call this")]
    pub fn ack<O: Outgoing>(events: impl IntoIterator<Item = O>) -> Self {
        let emitted = events.into_iter().map(|event| {
            let outbound = event.encode().expect("an event in a test serialises");
            let data = serde_json::from_str(outbound.data.get()).expect("what was serialised is JSON");
            Emitted { kind: outbound.kind.name.into(), aggregate_id: outbound.aggregate_id, data }
        });
        Self::Acked(emitted.collect())
    }

    /// Whether it was given up for `reason`.
    pub fn is_dead_letter(&self, reason: Reason) -> bool {
        matches!(self, Self::DeadLettered { reason: code, .. } if code == reason.code())
    }
}

impl Emitted {
    pub(crate) fn of(stored: &Stored) -> Option<Self> {
        let envelope = Envelope::read(&stored.payload).ok()?;
        let data = serde_json::from_str(envelope.data.get()).ok()?;
        Some(Self { kind: envelope.kind, aggregate_id: envelope.aggregate_id, data })
    }
}
