//! What the card said: yes or no.

use jetlag::Payload;
use serde::{Deserialize, Serialize};

use crate::{Amount, Check, Currency};

/// The card was charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentProcessed {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What was charged.
    pub amount: Amount,
    /// The currency of `amount`.
    #[serde(default)]
    pub currency: Currency,
    /// The gateway's id of the payment.
    pub payment_id: String,
}

/// The card was declined: nothing was charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDeclined {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What would have been charged.
    pub amount: Amount,
    /// The currency of `amount`.
    #[serde(default)]
    pub currency: Currency,
    /// Why.
    pub reason: DeclineReason,
}

/// Why a card was declined, as far as the bank tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// There is not enough on the account.
    InsufficientFunds,
    /// The card has expired.
    ExpiredCard,
    /// The customer would have to confirm the payment, and is not there to do it.
    AuthenticationRequired,
    /// No reason was given, or one that is not the customer's business.
    CardDeclined,
    /// A reason that is newer than this reader.
    #[serde(other)]
    Other,
}

impl Payload for PaymentProcessed {
    const TYPE: &'static str = "payments.processed";
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
            payment_id: "pi_3MtwBwLkdIwHu7ix28a3tqPa".into(),
        }
    }

    fn validate(&self) -> Result<(), String> {
        let mut check = Check::of_order(&self.order_id, &self.customer_id, self.amount, &self.currency);
        check.id("/payment_id", &self.payment_id);
        check.in_words()
    }
}

impl Payload for PaymentDeclined {
    const TYPE: &'static str = "payments.declined";
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
            reason: DeclineReason::InsufficientFunds,
        }
    }

    fn validate(&self) -> Result<(), String> {
        Check::of_order(&self.order_id, &self.customer_id, self.amount, &self.currency).in_words()
    }
}
