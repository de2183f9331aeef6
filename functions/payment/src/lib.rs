//! payment: charges the card for every reserved order.
//!
//! A card that is declined is an outcome and becomes an event. A gateway that does not answer is not: the order waits,
//! is tried again, and behind an open breaker it waits without spending attempts. [`gateway`] has the table.

pub mod gateway;

use std::time::Duration;

use events::{InventoryReserved, PaymentDeclined, PaymentProcessed};
use jetlag::{Breaker, Contract, Event, Failure, OrReject, Retry};

pub use gateway::Gateway;
use gateway::{Answer, Charge};

/// What this function is to the rest of the system.
pub const CONTRACT: Contract<InventoryReserved, Settlement> =
    Contract::new("payment", "Charges the card for every reserved order.")
        .retry(Retry::exponential(Duration::from_secs(1)).at_most(Duration::from_secs(60)).attempts(8))
        .time_limit(Duration::from_secs(10))
        .breaker(Breaker::after(5).open_for(Duration::from_secs(30)))
        .concurrency(64);

jetlag::one_of! {
    /// What the card said.
    pub enum Settlement { Processed(PaymentProcessed), Declined(PaymentDeclined) }
}

/// Charges the card for `event`'s order: once, however often it is run.
///
/// # Errors
/// The gateway does not answer (tried again), or the charge is one that no retry mends.
pub async fn charge(gateway: &Gateway, event: Event<InventoryReserved>) -> Result<Settlement, Failure> {
    let order = &event.data;
    let charge = Charge {
        order_id: &order.order_id,
        minor_units: order.currency.minor_units(order.amount).or_reject("the amount cannot be charged")?,
        currency: order.currency.code(),
        // The same for every attempt on every replica, so that the gateway itself refuses to charge twice.
        idempotency_key: event.idempotency_key("charge"),
        traceparent: event.traceparent(),
    };
    let answer = gateway.charge(charge).await?;

    let InventoryReserved { order_id, customer_id, amount, currency } = event.data;
    Ok(match answer {
        Answer::Approved { payment_id } => {
            PaymentProcessed { order_id, customer_id, amount, currency, payment_id }.into()
        }
        Answer::Declined(reason) => {
            PaymentDeclined { order_id, customer_id, amount, currency, reason }.into()
        }
    })
}
