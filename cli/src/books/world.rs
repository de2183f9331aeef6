//! What the world outside says: the payment gateway's ledger and the receiver's count, as they answer over HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The gateway's answer to `GET /ledger`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Every successful charge.
    pub charges: Vec<Charge>,
    /// The sum of them for each currency (lower case), in minor units.
    pub total: BTreeMap<String, u64>,
    /// How often a card was declined.
    pub declines: u64,
    /// How often a request came again since the gateway was started.
    pub replays: u64,
}

/// One successful charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The gateway's id of the payment.
    pub payment_intent: String,
    /// The order that it was for, as the payer said.
    pub order_id: Option<String>,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217, lower case.
    pub currency: String,
}

/// The receiver's answer to `GET /received`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Everything that arrived.
    pub total: u64,
    /// Different messages.
    pub distinct: u64,
    /// The ids of messages that came more than once; the first 100.
    pub duplicates: Vec<String>,
}
