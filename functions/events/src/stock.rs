//! What arrives at the warehouse.

use jetlag::Payload;
use serde::{Deserialize, Serialize};

use crate::Check;

/// Pieces of a SKU arrived and can be sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReceived {
    /// Which thing: its stock keeping unit.
    pub sku: String,
    /// How many pieces came.
    pub quantity: u32,
}

impl Payload for StockReceived {
    const TYPE: &'static str = "stock.received";
    const AGGREGATE: &'static str = "sku";

    fn aggregate_id(&self) -> &str {
        &self.sku
    }

    fn example() -> Self {
        Self { sku: "85123A".into(), quantity: 100 }
    }

    fn validate(&self) -> Result<(), String> {
        let mut check = Check::default();
        check.sku("/sku", &self.sku);
        check.quantity("/quantity", self.quantity);
        check.in_words()
    }
}
