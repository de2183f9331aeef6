//! What happens to the goods of an order: they are set aside, or missing, or given back.

use jetlag::Payload;
use serde::{Deserialize, Serialize};

use crate::{Amount, Check, Currency};

/// The most SKUs that a rejection lists; an order that is short of more is short of these to begin with.
pub const MISSING_MAX: usize = 100;

/// Everything that was ordered is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryReserved {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What is to be charged.
    pub amount: Amount,
    /// The currency of `amount`.
    #[serde(default)]
    pub currency: Currency,
}

/// Something that was ordered is missing, so nothing was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRejected {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What the order would have cost.
    pub amount: Amount,
    /// The currency of `amount`.
    #[serde(default)]
    pub currency: Currency,
    /// What there was too little of, at most [`MISSING_MAX`] SKUs.
    pub missing: Vec<Missing>,
}

/// There was less of a SKU than an order asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The SKU.
    pub sku: String,
    /// How many pieces were asked for, over all lines.
    pub requested: u64,
    /// How many there were.
    pub available: u64,
}

/// What was set aside for an order is available again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryReleased {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What the order would have cost.
    pub amount: Amount,
    /// The currency of `amount`.
    #[serde(default)]
    pub currency: Currency,
}

impl Payload for InventoryReserved {
    const TYPE: &'static str = "inventory.reserved";
    const AGGREGATE: &'static str = "order";

    fn aggregate_id(&self) -> &str {
        &self.order_id
    }

    fn example() -> Self {
        Self {
            order_id: "ORD-1".into(),
            customer_id: "C-1".into(),
            amount: Amount::EXAMPLE,
            currency: Currency::DEFAULT,
        }
    }

    fn validate(&self) -> Result<(), String> {
        Check::of_order(&self.order_id, &self.customer_id, self.amount, &self.currency).in_words()
    }
}

impl Payload for InventoryRejected {
    const TYPE: &'static str = "inventory.rejected";
    const AGGREGATE: &'static str = "order";

    fn aggregate_id(&self) -> &str {
        &self.order_id
    }

    fn example() -> Self {
        Self {
            order_id: "ORD-1".into(),
            customer_id: "C-1".into(),
            amount: Amount::EXAMPLE,
            currency: Currency::DEFAULT,
            missing: vec![Missing { sku: "85123A".into(), requested: 2, available: 1 }],
        }
    }

    fn validate(&self) -> Result<(), String> {
        let mut check = Check::of_order(&self.order_id, &self.customer_id, self.amount, &self.currency);
        let count = self.missing.len();
        check.that(
            (1..=MISSING_MAX).contains(&count),
            "/missing",
            format_args!("it must list 1 to {MISSING_MAX} SKUs, but lists {count}"),
        );
        check.in_words()
    }
}

impl Payload for InventoryReleased {
    const TYPE: &'static str = "inventory.released";
    const AGGREGATE: &'static str = "order";

    fn aggregate_id(&self) -> &str {
        &self.order_id
    }

    fn example() -> Self {
        Self {
            order_id: "ORD-1".into(),
            customer_id: "C-1".into(),
            amount: Amount::EXAMPLE,
            currency: Currency::DEFAULT,
        }
    }

    fn validate(&self) -> Result<(), String> {
        Check::of_order(&self.order_id, &self.customer_id, self.amount, &self.currency).in_words()
    }
}
