//! What customers were told.

use jetlag::Payload;
use serde::{Deserialize, Serialize};

use crate::Check;

/// A message about an order was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationSent {
    /// The order.
    pub order_id: String,
    /// How it was sent.
    pub channel: Channel,
    /// The message's own id: the same however often the message was tried.
    pub message_id: String,
    /// The type of the event that it tells of, such as `orders.confirmed`.
    pub about: String,
}

/// A way to reach a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By mail.
    Email,
    /// By an HTTP request to whoever tells the customer.
    Webhook,
}

impl Payload for NotificationSent {
    const TYPE: &'static str = "notifications.sent";
    const AGGREGATE: &'static str = "order";

    fn aggregate_id(&self) -> &str {
        &self.order_id
    }

    fn example() -> Self {
        Self {
            order_id: "ORD-1".into(),
            channel: Channel::Webhook,
            message_id: "7c9e6679-7425-80de-944b-e07fc1f90ae7".into(),
            about: "orders.confirmed".into(),
        }
    }

    fn validate(&self) -> Result<(), String> {
        let mut check = Check::default();
        check.id("/order_id", &self.order_id);
        check.id("/message_id", &self.message_id);
        check.id("/about", &self.about);
        check.in_words()
    }
}
