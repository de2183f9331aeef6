//! What a customer is told.

use events::{Amount, CancelReason, Currency, OrderCancelled, OrderConfirmed};
use jetlag::{Event, Payload};
use serde::Serialize;

use crate::Decided;

/// A message about an order: the body of a webhook as it is, and what a mail is made of.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    /// The same for every attempt to send it, and for no other message.
    pub message_id: String,
    /// The type of the event that it tells of, such as `orders.confirmed`.
    pub about: &'static str,
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// What the order costs.
    pub amount: Amount,
    /// The currency of `amount`.
    pub currency: Currency,
    /// Why it was cancelled, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<CancelReason>,
    /// All of it in a line for people.
    pub text: String,
}

impl Message {
    /// The message about `event`.
    pub fn about(event: &Event<Decided>) -> Self {
        let message_id = event.idempotency_key("notify");
        match &event.data {
            Decided::Confirmed(OrderConfirmed { order_id, customer_id, amount, currency }) => Self {
                message_id,
                about: OrderConfirmed::TYPE,
                text: format!("Your order {order_id} is confirmed. We charged {amount} {currency}."),
                order_id: order_id.clone(),
                customer_id: customer_id.clone(),
                amount: *amount,
                currency: currency.clone(),
                reason: None,
            },
            Decided::Cancelled(OrderCancelled { order_id, customer_id, amount, currency, reason }) => Self {
                message_id,
                about: OrderCancelled::TYPE,
                text: format!(
                    "Your order {order_id} is cancelled: {}. We charged nothing.",
                    in_words(*reason)
                ),
                order_id: order_id.clone(),
                customer_id: customer_id.clone(),
                amount: *amount,
                currency: currency.clone(),
                reason: Some(*reason),
            },
        }
    }
}

fn in_words(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OutOfStock => "not everything in it is in stock",
        CancelReason::PaymentDeclined => "the payment was declined",
        CancelReason::Other => "it cannot be fulfilled",
    }
}
