//! What happens to an order: it is placed, and then confirmed or cancelled.

use jetlag::Payload;
use serde::{Deserialize, Serialize};

use crate::{Amount, Check, Currency};

/// The most lines that an order may have.
pub const LINES_MAX: usize = 5_000;
/// The most different SKUs that an order may name: each is one piece of state, and all of them must fit into one
/// commit (1,000 messages) together with the reservation, its event and its guard.
pub const SKUS_MAX: usize = 900;
/// The most bytes of a SKU.
pub const SKU_BYTES_MAX: usize = 64;
/// The most pieces that one line may ask for, or one delivery bring.
pub const QUANTITY_MAX: u32 = 1_000_000;

/// A customer ordered.
///
/// The smallest form is `{"order_id": "ORD-1", "customer_id": "C-1", "amount": 12.50}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What the order costs in all.
    pub amount: Amount,
    /// The currency of `amount`; USD if it is left out.
    #[serde(default)]
    pub currency: Currency,
    /// What was ordered. An order without lines takes nothing from the stock: a service, a donation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<Line>>,
}

/// So many pieces of one thing. A SKU may be on several lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which thing: its stock keeping unit.
    pub sku: String,
    /// How many pieces.
    pub quantity: u32,
}

/// The order is paid for and its goods are set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What was charged.
    pub amount: Amount,
    /// The currency of `amount`.
    #[serde(default)]
    pub currency: Currency,
}

/// Nothing comes of the order, and nothing was charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What the order would have cost.
    pub amount: Amount,
    /// The currency of `amount`.
    #[serde(default)]
    pub currency: Currency,
    /// Why.
    pub reason: CancelReason,
}

/// Why an order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Not everything that was ordered is there.
    OutOfStock,
    /// The card was declined.
    PaymentDeclined,
    /// A reason that is newer than this reader.
    #[serde(other)]
    Other,
}

impl Payload for OrderPlaced {
    const TYPE: &'static str = "orders.placed";
    const AGGREGATE: &'static str = "order";
    const ONCE_PER_AGGREGATE: bool = true;

    fn aggregate_id(&self) -> &str {
        &self.order_id
    }

    fn example() -> Self {
        Self {
            order_id: "ORD-1".into(),
            customer_id: "C-1".into(),
            amount: Amount::EXAMPLE,
            currency: Currency::DEFAULT,
            lines: Some(vec![Line { sku: "85123A".into(), quantity: 2 }]),
        }
    }

    fn validate(&self) -> Result<(), String> {
        let mut check = Check::default();
        self.check(&mut check);
        check.in_words()
    }
}

impl OrderPlaced {
    /// Notes everything that is wrong with the order.
    pub fn check(&self, check: &mut Check) {
        check.order(&self.order_id, &self.customer_id, self.amount, &self.currency);
        if let Some(lines) = &self.lines {
            check.lines(lines);
        }
    }
}

impl Payload for OrderConfirmed {
    const TYPE: &'static str = "orders.confirmed";
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

impl Payload for OrderCancelled {
    const TYPE: &'static str = "orders.cancelled";
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
            reason: CancelReason::OutOfStock,
        }
    }

    fn validate(&self) -> Result<(), String> {
        Check::of_order(&self.order_id, &self.customer_id, self.amount, &self.currency).in_words()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> OrderPlaced {
        serde_json::from_str(json).unwrap()
    }

    fn complaint(change: impl FnOnce(&mut OrderPlaced)) -> String {
        let mut order = OrderPlaced::example();
        change(&mut order);
        order.validate().unwrap_err()
    }

    #[test]
    fn the_articles_order_is_accepted_as_it_is() {
        let order = read(r#"{"order_id":"ORD-1","customer_id":"C-1","amount":12.50}"#);
        assert_eq!((order.currency.code(), &order.lines), ("USD", &None));
        assert_eq!(order.validate(), Ok(()));
        assert!(serde_json::to_string(&order).unwrap().contains(r#""amount":12.50"#));
    }

    #[test]
    fn a_currency_that_was_given_stays() {
        let order = read(r#"{"order_id":"O","customer_id":"C","amount":1,"currency":"USD"}"#);
        assert!(serde_json::to_string(&order).unwrap().contains(r#""currency":"USD""#));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let order = read(
            r#"{"order_id":"","customer_id":"a\nb","amount":-1.001,"currency":"XXX",
                "lines":[{"sku":"","quantity":0},{"sku":"A","quantity":1000001}]}"#,
        );
        let told = order.validate().unwrap_err();
        for part in [
            "/order_id: it must have 1 to 128 bytes",
            "/customer_id: it must not have control characters",
            "/amount: it must be more than zero, but it is -1.001",
            "/currency: it must be one of AUD, ",
            "/lines/0/sku: it must have 1 to 64 bytes",
            "/lines/0/quantity: it must be 1 to 1000000, but is 0",
            "/lines/1/quantity",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    #[test]
    fn limits_hold() {
        let line = |at: usize| Line { sku: format!("S{at}"), quantity: 1 };
        assert!(complaint(|order| order.lines = Some(vec![])).contains("at least one line"));
        assert!(
            complaint(|order| order.lines = Some(vec![line(0); LINES_MAX + 1]))
                .contains("at most 5000 lines")
        );
        assert!(
            complaint(|order| order.lines = Some((0..=SKUS_MAX).map(line).collect()))
                .contains("900 different SKUs")
        );
        assert!(complaint(|order| order.order_id = "x".repeat(129)).contains("/order_id"));
        assert!(
            complaint(|order| order.amount = "0.00000000000000000001".parse().unwrap())
                .contains("2 decimals")
        );
        assert!(complaint(|order| order.amount = "1e13".parse().unwrap()).contains("at most 1000000000000"));
        let most = OrderPlaced { lines: Some(vec![line(0); LINES_MAX]), ..OrderPlaced::example() };
        assert_eq!(most.validate(), Ok(()));
    }

    #[test]
    fn thousands_of_faults_are_told_as_fifty_and_how_many_more() {
        let told = complaint(|order| order.lines = Some(vec![Line { sku: "A".into(), quantity: 0 }; 1_000]));
        assert_eq!(told.matches("/quantity").count(), 50);
        assert!(told.ends_with("and 950 faults more"), "{told}");
    }

    #[test]
    fn a_reason_from_the_future_can_be_read() {
        assert_eq!(serde_json::from_str::<CancelReason>("\"recalled\"").unwrap(), CancelReason::Other);
    }
}
