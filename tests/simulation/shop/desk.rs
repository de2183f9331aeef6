//! The desk takes orders in, and tells how they end.

use jetlag::{Contract, Event, EventKind, Failure};

use super::events::{Ended, OrderCancelled, OrderConfirmed, OrderPlaced, Settled};

pub const CONTRACT: Contract<Settled, Ended> =
    Contract::new("desk", "Takes orders in.").admits(&[EventKind::of::<OrderPlaced>()]);

pub async fn end(_: &(), event: Event<Settled>) -> Result<Ended, Failure> {
    Ok(match event.data {
        Settled::Charged(charged) => OrderConfirmed { order_id: charged.order_id }.into(),
        Settled::Rejected(rejected) => OrderCancelled { order_id: rejected.order_id }.into(),
        Settled::Declined(declined) => OrderCancelled { order_id: declined.order_id }.into(),
    })
}
