use jetlag::testing::{Fault, System};
use jetlag::{Payload, Reason};

use super::*;

async fn decided<P: Payload + Into<Decision>>() -> OrderEvent {
    decide(&(), Event::of(P::example()).map(Into::into)).await.unwrap()
}

#[tokio::test]
async fn a_paid_order_is_confirmed() {
    assert_eq!(decided::<PaymentProcessed>().await, OrderEvent::Confirmed(OrderConfirmed::example()));
}

#[tokio::test]
async fn a_declined_order_and_one_out_of_stock_are_cancelled_with_the_reason() {
    let cancelled = |reason| OrderEvent::Cancelled(OrderCancelled { reason, ..OrderCancelled::example() });
    assert_eq!(decided::<PaymentDeclined>().await, cancelled(CancelReason::PaymentDeclined));
    assert_eq!(decided::<InventoryRejected>().await, cancelled(CancelReason::OutOfStock));
}

#[test]
fn the_contract_holds_and_nothing_is_listened_to_that_is_also_emitted() {
    let terms = CONTRACT.terms();
    assert_eq!(terms.faults(), Vec::<String>::new());
    assert!(terms.listens_to.iter().all(|heard| terms.emits.iter().all(|told| told.name != heard.name)));
}

fn desk(seed: u64) -> System {
    System::of_seed(seed).function(CONTRACT, (), decide)
}

#[tokio::test]
async fn a_decision_is_told_once_whatever_happens_to_the_process() {
    for fault in Fault::EACH {
        let mut desk = desk(1);
        desk.fault("order", fault);
        desk.publish(PaymentProcessed::example());
        let course = desk.run().await;
        assert_eq!(desk.events::<OrderConfirmed>(), [OrderConfirmed::example()], "{fault:?}\n{course}");
    }
}

#[tokio::test]
async fn an_order_from_outside_is_admitted_once_and_another_under_its_id_is_not() {
    let mut desk = desk(1);
    let envelope = |id: &str, amount: &str| {
        format!(
            r#"{{"id":"{id}","type":"orders.placed","aggregate_id":"ORD-1","timestamp":"2025-01-02T03:04:05Z","trace_id":"",
                "data":{{"order_id":"ORD-1","customer_id":"C-1","amount":{amount}}}}}"#
        )
    };
    for (id, amount) in [("a", "12.50"), ("a", "12.50"), ("b", "99")] {
        desk.publish_bytes("orders.placed", envelope(id, amount));
        desk.run().await;
    }
    let placed = desk.events::<OrderPlaced>();
    assert_eq!((placed.len(), placed[0].amount.to_string().as_str()), (1, "12.50"));
    let reasons: Vec<String> = desk.dead_letters().into_iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [Reason::AlreadyExists.code()]);
}

#[tokio::test]
async fn what_could_never_be_charged_is_given_up_at_the_door() {
    let mut desk = desk(1);
    desk.publish_bytes("orders.placed", "an order");
    let mut free = OrderPlaced::example();
    free.order_id = String::new();
    desk.publish(free);
    let course = desk.run().await;
    assert_eq!((desk.events::<OrderPlaced>().len(), desk.dead_letters().len()), (0, 2), "{course}");
}
