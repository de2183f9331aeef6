//! One request that was carried out: a line of the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::decline::DeclineCode;

/// A payment intent as it stood when its request had been carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) amount_minor: u64,
    pub(crate) currency: String,
    pub(crate) status: Status,
    /// Seconds since 1970.
    pub(crate) created_s: u64,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) payment_method: String,
    /// The last attempt to charge, successful or not.
    pub(crate) latest_charge: Option<String>,
}

/// The part of Stripe's life cycle that this gateway knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    Succeeded,
}

/// A request that was carried out, whether or not the card was good.
///
/// Charge, intent and remembered answer are one entry on purpose: were they three lines, a crash
/// between them could keep the charge and forget the key, and the retry would charge again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Execution {
    /// Seconds since 1970.
    pub(crate) at_s: u64,
    pub(crate) intent: PaymentIntent,
    pub(crate) decline: Option<DeclineCode>,
    pub(crate) request: Option<KeyedRequest>,
}

/// What tells a repeated request from another one with the same idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyedRequest {
    pub(crate) key: String,
    /// SHA-256, in hex, of the path and the parameters.
    pub(crate) fingerprint: String,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::RequiresPaymentMethod => "requires_payment_method",
            Status::RequiresConfirmation => "requires_confirmation",
            Status::Succeeded => "succeeded",
        }
    }
}

impl Execution {
    /// Whether money moved. An intent that succeeded is never executed again, so this is true of
    /// at most one execution of each intent.
    pub(crate) fn is_charge(&self) -> bool {
        self.intent.status == Status::Succeeded
    }
}
