//! Every payload's example is what the payload's own rules ask for.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may panic, and so may what serves it")]

use events::*;
use jetlag::{EventKind, Incoming, Payload};

fn holds<P: Payload + PartialEq + std::fmt::Debug>() {
    let kind = EventKind::of::<P>();
    let json = (kind.example)().unwrap();
    let read = P::decode(P::TYPE, &json).unwrap();
    assert_eq!(read, P::example());
    assert!(!read.aggregate_id().is_empty(), "{}", P::TYPE);
    assert!(P::decode("other.type", &json).is_err());
}

#[test]
fn every_example_is_valid_and_decodes_as_itself() {
    holds::<OrderPlaced>();
    holds::<OrderConfirmed>();
    holds::<OrderCancelled>();
    holds::<InventoryReserved>();
    holds::<InventoryRejected>();
    holds::<InventoryReleased>();
    holds::<PaymentProcessed>();
    holds::<PaymentDeclined>();
    holds::<NotificationSent>();
    holds::<StockReceived>();
    holds::<AuditSealed>();
}

fn refused<P: Payload>(change: impl FnOnce(&mut P)) -> String {
    let mut payload = P::example();
    change(&mut payload);
    payload.validate().unwrap_err()
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    assert!(refused::<StockReceived>(|stock| stock.quantity = 0).contains("/quantity"));
    assert!(refused::<StockReceived>(|stock| stock.sku = "x".repeat(65)).contains("/sku"));
    assert!(refused::<InventoryRejected>(|order| order.missing.clear()).contains("/missing"));
    assert!(
        refused::<InventoryReserved>(|order| order.currency = Currency::new("XTS")).contains("/currency")
    );
    assert!(refused::<PaymentProcessed>(|payment| payment.payment_id.clear()).contains("/payment_id"));
    assert!(refused::<AuditSealed>(|sealed| sealed.entries = 499).contains("/entries"));
    assert!(refused::<AuditSealed>(|sealed| sealed.checkpoint = "01".into()).contains("/checkpoint"));
    assert!(refused::<AuditSealed>(|sealed| sealed.hash = "A".repeat(64)).contains("/hash"));
    assert!(refused::<NotificationSent>(|sent| sent.message_id.clear()).contains("/message_id"));
}
