//! The desk takes orders in, and tells how they end.

use jetlag::{Batch, Contract, Event, EventKind, Failure};

use super::events::{Ended, OrderCancelled, OrderConfirmed, OrderPlaced, Settled};

pub const CONTRACT: Contract<Settled, Ended> =
    Contract::new("desk", "Takes orders in.").admits(&[EventKind::of::<OrderPlaced>()]);

pub async fn end(_: &(), event: Event<Settled>) -> Result<Ended, Failure> {
    Ok(ended(event.data))
}

/// The same for several at once, each with its own outcome. Some have to come again, whatever becomes of the others.
pub async fn end_each(_: &(), batch: Batch<Settled>) -> Result<Vec<Result<Ended, Failure>>, Failure> {
    let one = |event: Event<Settled>| {
        if event.attempt == 1 && event.id.ends_with(['0', '5']) {
            return Err(Failure::retry("the printer is out of paper"));
        }
        Ok(ended(event.data))
    };
    Ok(batch.into_iter().map(|recorded| one(recorded.event)).collect())
}

fn ended(settled: Settled) -> Ended {
    match settled {
        Settled::Charged(charged) => OrderConfirmed { order_id: charged.order_id }.into(),
        Settled::Rejected(rejected) => OrderCancelled { order_id: rejected.order_id }.into(),
        Settled::Declined(declined) => OrderCancelled { order_id: declined.order_id }.into(),
    }
}
