//! The saga of an order, for every ending that it has: all five functions wired together in this process, with a real
//! gateway and a real receiver of notifications beside them.

mod shop;

use std::time::Duration;

use events::{
    AuditSealed, CancelReason, DeclineReason, InventoryRejected, InventoryReleased, NotificationSent,
    OrderCancelled, OrderConfirmed, PaymentDeclined, PaymentProcessed,
};
use inventory::Stock;
use jetlag::Reason;
use jetlag::invoke::Disposition;
use jetlag::testing::Fault;

use shop::{Shop, TOO_DEAR, order};

const FIVE: Stock = Stock { available: 5, reserved: 0, sold: 0 };

#[tokio::test]
async fn an_order_that_is_paid_for_is_confirmed_and_its_goods_are_sold() {
    let mut shop = Shop::open(1).await.with_stock("A", FIVE);
    shop.system.publish(order("ORD-1", "12.50", &[("A", 2)]));
    let course = shop.system.run().await;

    assert_eq!(shop.system.events::<OrderConfirmed>().len(), 1, "{course}");
    assert_eq!(shop.stock("A"), Stock { available: 3, reserved: 0, sold: 2 });
    assert_eq!((shop.charged().await, shop.notified().await), (vec![("ORD-1".to_owned(), 1250)], 1));
    assert!(shop.system.dead_letters().is_empty());
    // All of it in the order in which one thing follows from another, and nothing else.
    let mut told: Vec<String> = course
        .steps
        .iter()
        .filter(|step| step.function != "audit")
        .flat_map(|step| step.events.iter().map(|event| event.kind.clone()))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "inventory.reserved",
            "notifications.sent",
            "orders.confirmed",
            "orders.placed",
            "payments.processed"
        ],
        "{course}"
    );
    assert!(!shop.system.events::<AuditSealed>().is_empty());
}

#[tokio::test]
async fn an_order_for_more_than_there_is_is_cancelled_and_nothing_is_charged() {
    let mut shop = Shop::open(2).await.with_stock("A", FIVE).with_stock("B", FIVE);
    shop.system.publish(order("ORD-1", "12.50", &[("A", 2), ("B", 6)]));
    let course = shop.system.run().await;

    let rejected = shop.system.events::<InventoryRejected>();
    assert_eq!((rejected.len(), rejected[0].missing[0].available), (1, 5), "{course}");
    assert_eq!(shop.cancelled(), [("ORD-1".to_owned(), CancelReason::OutOfStock)]);
    assert_eq!((shop.stock("A"), shop.stock("B")), (FIVE, FIVE));
    assert_eq!((shop.charged().await, shop.notified().await), (vec![], 1));
    assert!(shop.system.events::<OrderConfirmed>().is_empty() && shop.system.dead_letters().is_empty());
}

#[tokio::test]
async fn a_card_that_is_declined_brings_the_goods_back() {
    let mut shop = Shop::open(3).await.with_stock("A", FIVE);
    shop.system.publish(order("ORD-1", TOO_DEAR, &[("A", 2)]));
    let course = shop.system.run().await;

    let declined = shop.system.events::<PaymentDeclined>();
    assert_eq!((declined.len(), declined[0].reason), (1, DeclineReason::InsufficientFunds), "{course}");
    assert_eq!(shop.system.events::<InventoryReleased>().len(), 1);
    assert_eq!(shop.cancelled(), [("ORD-1".to_owned(), CancelReason::PaymentDeclined)]);
    assert_eq!(shop.stock("A"), FIVE);
    assert_eq!((shop.charged().await, shop.notified().await), (vec![], 1));
}

#[tokio::test]
async fn orders_wait_while_the_gateway_is_down_and_are_confirmed_when_it_is_back() {
    let mut shop = Shop::open(4).await.with_stock("A", Stock { available: 20, ..Stock::default() });
    shop.gateway_is_down(true).await;
    for number in 0..10 {
        shop.system.publish(order(&format!("ORD-{number}"), "10", &[("A", 1)]));
    }
    let course = shop.system.run_for(Duration::from_secs(120)).await;
    assert_eq!((shop.charged().await, shop.system.events::<OrderConfirmed>().len()), (vec![], 0), "{course}");
    assert_eq!(shop.stock("A"), Stock { available: 10, reserved: 10, sold: 0 });
    let given_back =
        course.dispositions("payment").iter().filter(|what| matches!(what, Disposition::Release)).count();
    assert!(given_back > 0, "the breaker is open\n{course}");

    shop.gateway_is_down(false).await;
    let rest = shop.system.run().await;
    assert_eq!(shop.system.events::<OrderConfirmed>().len(), 10, "{course}{rest}");
    assert_eq!(shop.stock("A"), Stock { available: 10, reserved: 0, sold: 10 });
    assert_eq!((shop.charged().await.len(), shop.notified().await), (10, 10));
    assert!(
        shop.system.dead_letters().is_empty(),
        "an outage spends no attempts to the last\n{course}{rest}"
    );
}

#[tokio::test]
async fn a_payment_that_was_given_up_is_redriven_and_the_order_comes_to_its_end() {
    let mut shop = Shop::open(5).await.with_stock("A", FIVE);
    shop.system.fault("payment", Fault::FailFirst(8));
    shop.system.publish(order("ORD-1", "12.50", &[("A", 2)]));
    let course = shop.system.run().await;

    let letters = shop.system.dead_letters();
    assert_eq!(letters.len(), 1, "{course}");
    assert_eq!(
        (letters[0].function.as_str(), letters[0].reason.as_str()),
        ("payment", Reason::AttemptsExhausted.code())
    );
    assert_eq!(shop.stock("A"), Stock { available: 3, reserved: 2, sold: 0 }, "the order is still open");
    assert!(shop.system.events::<OrderConfirmed>().is_empty() && shop.cancelled().is_empty());

    assert_eq!(shop.system.redrive().await, 1);
    let rest = shop.system.run().await;
    assert_eq!(shop.system.events::<OrderConfirmed>().len(), 1, "{course}{rest}");
    assert_eq!(shop.stock("A"), Stock { available: 3, reserved: 0, sold: 2 });
    assert_eq!((shop.charged().await.len(), shop.notified().await), (1, 1));
    assert!(shop.system.dead_letters().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_and_the_card_is_charged_once() {
    for fault in [Fault::TimeOut, Fault::CrashBeforeCommit, Fault::CrashAfterCommit, Fault::Duplicate] {
        let mut shop = Shop::open(6).await.with_stock("A", FIVE);
        for function in ["order", "inventory", "payment", "notification", "audit"] {
            shop.system.fault(function, fault);
        }
        shop.system.publish(order("ORD-1", "12.50", &[("A", 2)]));
        let course = shop.system.run().await;
        assert_eq!(shop.charged().await, [("ORD-1".to_owned(), 1250)], "{fault:?}\n{course}");
        assert_eq!(shop.system.events::<PaymentProcessed>().len(), 1, "{fault:?}\n{course}");
        assert_eq!(shop.system.events::<NotificationSent>().len(), 1, "{fault:?}\n{course}");
        assert_eq!((shop.notified().await, shop.stock("A").sold), (1, 2), "{fault:?}\n{course}");
    }
}

#[tokio::test]
async fn in_whatever_order_things_come_and_whatever_goes_wrong_the_books_balance() {
    for seed in 0..12 {
        let stock = Stock { available: 7, ..Stock::default() };
        let mut shop = Shop::open(seed).await.with_stock("A", stock);
        shop.system = shop.system.with_mishaps(150);
        for number in 0..6 {
            // Seven pieces for twelve that are wanted, and every third card is declined.
            let amount = if number % 3 == 0 { TOO_DEAR } else { "10" };
            shop.system.publish(order(&format!("ORD-{number}"), amount, &[("A", 2)]));
        }
        let course = shop.system.run().await;
        let confirmed: Vec<String> =
            shop.system.events::<OrderConfirmed>().into_iter().map(|order| order.order_id).collect();
        let ended = confirmed.len() + shop.system.events::<OrderCancelled>().len();
        let why = format!("seed {seed}\n{}", course.outline());
        assert_eq!((ended, shop.system.dead_letters().len()), (6, 0), "{why}");
        let mut charged: Vec<String> = shop.charged().await.into_iter().map(|(order, _)| order).collect();
        let mut confirmed = confirmed;
        charged.sort();
        confirmed.sort();
        assert_eq!(charged, confirmed, "{why}");
        let sold = 2 * confirmed.len() as u64;
        assert_eq!(shop.stock("A"), Stock { available: 7 - sold, reserved: 0, sold }, "{why}");
        assert_eq!(shop.notified().await, 6, "{why}");
    }
}

#[tokio::test]
async fn the_same_seed_tells_the_same_story() {
    async fn story(seed: u64) -> String {
        let mut shop = Shop::open(seed).await.with_stock("A", FIVE);
        shop.system = shop.system.with_mishaps(100);
        shop.system.publish(order("ORD-1", "12.50", &[("A", 2)]));
        shop.system.publish(order("ORD-2", TOO_DEAR, &[("A", 4)]));
        shop.system.run().await.outline()
    }
    assert_eq!(story(7).await, story(7).await);
}
