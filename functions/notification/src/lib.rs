//! notification: tells whoever wants to know that an order was confirmed or cancelled.
//!
//! `NOTIFY_URL` chooses the way: `http(s)://…` is a [`webhook`], `smtp(s)://…` is [`mail`]. Either carries an id that
//! is the same however often the message is tried, so that the far side can tell a repetition.

pub mod mail;
mod message;
mod notifier;
pub mod webhook;

use std::time::Duration;

use events::{NotificationSent, OrderCancelled, OrderConfirmed};
use jetlag::{Breaker, Contract, Event, Failure, Retry};

pub use message::Message;
pub use notifier::Notifier;

/// What this function is to the rest of the system.
pub const CONTRACT: Contract<Decided, NotificationSent> =
    Contract::new("notification", "Tells by mail or webhook that an order was confirmed or cancelled.")
        .retry(Retry::exponential(Duration::from_secs(1)).at_most(Duration::from_secs(60)).attempts(8))
        .time_limit(Duration::from_secs(10))
        .breaker(Breaker::after(5).open_for(Duration::from_secs(30)))
        .concurrency(16);

jetlag::one_of! {
    /// What there is to tell.
    pub enum Decided { Confirmed(OrderConfirmed), Cancelled(OrderCancelled) }
}

/// Sends one message about `event`'s order.
///
/// # Errors
/// The far side does not take it now (tried again), or never will.
pub async fn notify(notifier: &Notifier, event: Event<Decided>) -> Result<NotificationSent, Failure> {
    let message = Message::about(&event);
    notifier.send(&message, event.traceparent()).await?;
    let Message { message_id, about, order_id, .. } = message;
    Ok(NotificationSent { order_id, channel: notifier.channel(), message_id, about: about.into() })
}
