//! The events of the reference application: payloads only, one file for each domain.
//!
//! ```text
//! orders.placed ─▶ inventory.reserved ─▶ payments.processed ─▶ orders.confirmed ─▶ notifications.sent
//!              └▶ inventory.rejected ─▶ orders.cancelled
//!                                    └▶ payments.declined ─▶ inventory.released, orders.cancelled
//! ```
//!
//! Every payload that tells of an order carries its money, so that no function has to ask another for it.

mod audit;
mod check;
mod inventory;
mod money;
mod notifications;
mod orders;
mod payments;
mod stock;

pub use audit::AuditSealed;
pub use check::{Check, FAULTS_MAX};
pub use inventory::{InventoryRejected, InventoryReleased, InventoryReserved, MISSING_MAX, Missing};
pub use money::{AMOUNT_MAX, Amount, Currency, MoneyFault, NotAnAmount};
pub use notifications::{Channel, NotificationSent};
pub use orders::{
    CancelReason, LINES_MAX, Line, OrderCancelled, OrderConfirmed, OrderPlaced, QUANTITY_MAX, SKU_BYTES_MAX,
    SKUS_MAX,
};
pub use payments::{DeclineReason, PaymentDeclined, PaymentProcessed};
pub use stock::StockReceived;
