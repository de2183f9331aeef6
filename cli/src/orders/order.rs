//! An order, as `POST /orders` takes it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The invoice number.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// The exact sum of quantity × price, charges included. A JSON number, and never a float.
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    pub amount: Decimal,
    /// ISO 4217.
    pub currency: String,
    /// What is taken from stock: one line for each line of the invoice, so a SKU may appear twice.
    pub lines: Vec<OrderLine>,
}

/// One line of goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The stock code, as it is in the file.
    pub sku: String,
    /// How many; one or more.
    pub quantity: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_amount_is_a_json_number_with_every_digit() {
        let order = Order {
            order_id: "536365".to_owned(),
            customer_id: "17850".to_owned(),
            amount: "79228162514264337593543.10".parse().unwrap(),
            currency: "GBP".to_owned(),
            lines: vec![OrderLine { sku: "85123A".to_owned(), quantity: 6 }],
        };
        let json = serde_json::to_string(&order).unwrap();
        assert_eq!(
            json,
            r#"{"order_id":"536365","customer_id":"17850","amount":79228162514264337593543.10,"currency":"GBP","lines":[{"sku":"85123A","quantity":6}]}"#
        );
        assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order);
    }
}
