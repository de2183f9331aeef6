//! What is set aside for one order.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{Amount, Currency, Line, OrderPlaced};
use jetlag::Stored;
use serde::{Deserialize, Serialize};

/// The goods of one order, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Pieces by SKU, over all lines of the order.
    pub lines: BTreeMap<String, u64>,
    /// What became of them.
    pub status: Status,
    /// Who ordered.
    pub customer_id: String,
    /// What the order costs.
    pub amount: Amount,
    /// The currency of `amount`.
    pub currency: Currency,
}

/// What became of the goods of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Set aside until the card has answered.
    Reserved,
    /// Paid for.
    Sold,
    /// Given back.
    Released,
}

impl Stored for Reservation {
    const KIND: &'static str = "reservation";
    /// As long as dead letters are kept: the last that could ask for it is a redriven one.
    const KEEP: Option<Duration> = Some(Duration::from_secs(30 * 24 * 60 * 60));
}

impl Reservation {
    /// What `lines` of `order` ask for.
    pub fn of(order: &OrderPlaced, lines: &[Line]) -> Self {
        let mut pieces = BTreeMap::new();
        for line in lines {
            let asked: &mut u64 = pieces.entry(line.sku.clone()).or_default();
            // Five thousand lines of at most a million pieces each are far from this border.
            *asked = asked.saturating_add(line.quantity.into());
        }
        Self {
            lines: pieces,
            status: Status::Reserved,
            customer_id: order.customer_id.clone(),
            amount: order.amount,
            currency: order.currency.clone(),
        }
    }

    /// The SKUs, in the order of [`lines`](Self::lines).
    pub fn skus(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// The same goods under another status.
    pub fn with(self, status: Status) -> Self {
        Self { status, ..self }
    }
}
