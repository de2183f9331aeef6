//! The function in its pipeline: contention, repetition, crashes.

use jetlag::Reason;
use jetlag::testing::{Course, Fault, System};

use super::*;

fn warehouse(seed: u64, available: u64) -> System {
    System::of_seed(seed).function(CONTRACT, (), keep).with_state("inventory", "A", &stocked(available))
}

fn stock(system: &System) -> Stock {
    system.state("inventory", "A").unwrap()
}

async fn with_fault(fault: Fault, event: impl Payload) -> (System, Course) {
    let mut system = warehouse(1, 5)
        .with_state("inventory", "ORD-1", &reservation(Status::Reserved))
        .with_state("inventory", "A", &Stock { available: 3, reserved: 2, sold: 0 });
    system.fault("inventory", fault);
    system.publish(event);
    let course = system.run().await;
    (system, course)
}

#[tokio::test]
async fn the_last_piece_goes_to_one_order_whoever_comes_first() {
    let mut winners = std::collections::BTreeSet::new();
    for seed in 0..12 {
        let mut system = warehouse(seed, 1).with_mishaps(200);
        system.publish(order("ORD-1", &[("A", 1)]));
        system.publish(order("ORD-2", &[("A", 1)]));
        let course = system.run().await;
        let reserved = system.events::<InventoryReserved>();
        assert_eq!(
            (reserved.len(), system.events::<InventoryRejected>().len()),
            (1, 1),
            "seed {seed}\n{course}"
        );
        assert_eq!(stock(&system), Stock { available: 0, reserved: 1, sold: 0 });
        winners.extend(reserved.into_iter().map(|order| order.order_id));
    }
    assert_eq!(winners.len(), 2, "the seed decides who comes first");
}

#[tokio::test]
async fn goods_move_once_whatever_happens_to_the_process() {
    for fault in Fault::EACH {
        let (system, course) = with_fault(fault, PaymentProcessed::example()).await;
        assert_eq!(stock(&system), Stock { available: 3, reserved: 0, sold: 2 }, "{fault:?}\n{course}");
        let (system, course) = with_fault(fault, PaymentDeclined::example()).await;
        assert_eq!(stock(&system), stocked(5), "{fault:?}\n{course}");
        assert_eq!(system.events::<InventoryReleased>().len(), 1, "{fault:?}\n{course}");
    }
}

#[tokio::test]
async fn a_contradiction_in_the_books_is_a_dead_letter_and_nothing_moves() {
    let mut system = warehouse(1, 5).with_state("inventory", "ORD-1", &reservation(Status::Sold));
    system.publish(PaymentDeclined::example());
    let course = system.run().await;
    assert_eq!(system.dead_letters()[0].reason, Reason::Rejected.code(), "{course}");
    assert_eq!(stock(&system), stocked(5));
    assert!(system.events::<InventoryReleased>().is_empty());
}

#[tokio::test]
async fn deliveries_come_from_outside_and_are_booked_once() {
    let mut system = warehouse(1, 5);
    system.fault("inventory", Fault::CrashAfterCommit);
    system.publish(StockReceived { sku: "A".into(), quantity: 7 });
    system.publish_bytes("stock.received", r#"{"sku":"A"}"#);
    let course = system.run().await;
    // It is admitted, and no function of this system but this one hears of it.
    assert_eq!(system.events::<StockReceived>().len(), 1, "{course}");
    assert_eq!(system.dead_letters().len(), 1, "what is no event is a dead letter\n{course}");
    assert_eq!(stock(&system), stocked(12), "{course}");
}
