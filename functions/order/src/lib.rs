//! order: takes orders in, and confirms or cancels each when payment and inventory have decided.

mod form;
mod place;
mod schema;
mod status;

use events::{
    CancelReason, InventoryRejected, OrderCancelled, OrderConfirmed, OrderPlaced, PaymentDeclined,
    PaymentProcessed,
};
use jetlag::{Contract, Event, EventKind, Failure, Trigger};

pub use place::{NewOrder, place};
pub use schema::new_order_schema;
pub use status::{OrderStatus, State, Told, status, status_schema};

/// What this function is to the rest of the system.
pub const CONTRACT: Contract<Decision, OrderEvent> =
    Contract::new("order", "Takes orders in, and confirms or cancels each when it is decided.")
        .admits(&[EventKind::of::<OrderPlaced>()])
        .trigger(Trigger::Both);

jetlag::one_of! {
    /// What decides an order.
    pub enum Decision { Paid(PaymentProcessed), Declined(PaymentDeclined), OutOfStock(InventoryRejected) }
}

jetlag::one_of! {
    /// What happens to an order. It is placed by [`place`], or by publishers outside.
    pub enum OrderEvent { Placed(OrderPlaced), Confirmed(OrderConfirmed), Cancelled(OrderCancelled) }
}

/// Confirms the order that is paid for; cancels the one that is declined or out of stock.
///
/// # Errors
/// Never: whoever sent the event has decided, and nothing is asked of anybody.
pub async fn decide(_: &(), event: Event<Decision>) -> Result<OrderEvent, Failure> {
    Ok(match event.data {
        Decision::Paid(PaymentProcessed { order_id, customer_id, amount, currency, payment_id: _ }) => {
            OrderConfirmed { order_id, customer_id, amount, currency }.into()
        }
        Decision::Declined(PaymentDeclined { order_id, customer_id, amount, currency, reason: _ }) => {
            let reason = CancelReason::PaymentDeclined;
            OrderCancelled { order_id, customer_id, amount, currency, reason }.into()
        }
        Decision::OutOfStock(InventoryRejected { order_id, customer_id, amount, currency, missing: _ }) => {
            let reason = CancelReason::OutOfStock;
            OrderCancelled { order_id, customer_id, amount, currency, reason }.into()
        }
    })
}

#[cfg(test)]
mod tests;
