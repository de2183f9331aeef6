//! Orders, their money, and what their customers were told.

use super::*;

#[test]
fn an_order_that_is_accepted_and_not_placed_is_found() {
    let findings = read(|evidence| evidence.accepted.extend(["4".to_owned()]));
    assert_eq!(findings, [Finding::NotPlaced { order: "4".into() }]);
    let nobodys = found(|shop| shop.forget::<OrderPlaced>("2"));
    assert!(nobodys.contains(&Finding::NobodysOrder { order: "2".into() }), "{nobodys:?}");
    let twice = found(|shop| shop.place("2", 11));
    assert_eq!(twice, [Finding::PlacedTwice { order: "2".into(), times: 2 }]);
}

#[test]
fn an_order_that_ends_never_or_twice_is_found() {
    let never = found(|shop| shop.forget::<OrderCancelled>("2"));
    assert!(never.contains(&Finding::NotEnded { order: "2".into() }), "{never:?}");
    let twice = found(|shop| shop.cancel("1", CancelReason::PaymentDeclined));
    let endings = vec!["confirmed".into(), "cancelled (payment_declined)".into()];
    assert!(twice.contains(&Finding::EndedTwice { order: "1".into(), endings }), "{twice:?}");
}

#[test]
fn an_end_that_nothing_led_to_is_found() {
    let unpaid = found(|shop| shop.forget::<PaymentProcessed>("1"));
    assert_eq!(unpaid, [contradiction("1", "confirmed", "payments.processed", (1, 0))]);
    let kept = found(|shop| shop.forget::<InventoryReleased>("3"));
    assert_eq!(kept, [contradiction("3", "cancelled (payment_declined)", "inventory.released", (1, 0))]);
    let both = found(|shop| shop.reserve("2"));
    assert_eq!(both, [contradiction("2", "cancelled (out_of_stock)", "inventory.reserved", (0, 1))]);
}

#[test]
fn a_declined_order_without_goods_gives_nothing_back() {
    let findings = found(|shop| {
        shop.forget::<OrderPlaced>("3");
        shop.forget::<InventoryReleased>("3");
        let (order_id, customer_id) = ("3".into(), "C".into());
        shop.note(&OrderPlaced { order_id, customer_id, amount: amount(), currency: gbp(), lines: None });
    });
    assert_eq!(findings, []);
}

#[test]
fn another_amount_on_the_way_is_found() {
    let findings = found(|shop| {
        shop.forget::<OrderConfirmed>("1");
        let (order_id, customer_id) = ("1".into(), "C".into());
        let amount = "12.51".parse().unwrap();
        shop.note(&OrderConfirmed { order_id, customer_id, amount, currency: gbp() });
    });
    let (placed, found) = ("12.50 GBP".into(), "12.51 GBP".into());
    let differs = Finding::AmountDiffers { order: "1".into(), event: "orders.confirmed", placed, found };
    assert!(findings.contains(&differs), "{findings:?}");
}

#[test]
fn every_way_of_charging_wrongly_is_found() {
    let charged = |charges: Vec<Charge>| {
        found(|shop| {
            shop.ledger.total = [("gbp".to_owned(), charges.iter().map(|charge| charge.amount).sum())].into();
            shop.ledger.charges = charges;
        })
    };
    let total = |charged_minor| Finding::TotalDiffers {
        currency: "GBP".into(),
        charged_minor,
        confirmed_minor: 1250,
    };
    assert_eq!(charged(vec![]), [Finding::NotCharged { order: "1".into() }, total(0)]);
    let twice = Finding::ChargedTwice { order: "1".into(), times: 2 };
    assert_eq!(charged(vec![charge("1", 1250), charge("1", 1250)]), [twice, total(2500)]);
    let (expected, too_much) = ("12.50 GBP".into(), "12.51 GBP".into());
    let differs = Finding::ChargeDiffers { order: "1".into(), charged: too_much, expected };
    assert_eq!(charged(vec![charge("1", 1251)]), [differs, total(1251)]);
    let nothing = |order: Option<&str>, payment: &str| Finding::ChargedForNothing {
        order: order.map(str::to_owned),
        payment: payment.into(),
        charged: "0.01 GBP".into(),
    };
    let cancelled = charged(vec![charge("1", 1250), charge("3", 1)]);
    assert_eq!(cancelled, [nothing(Some("3"), "pi_3"), total(1251)]);
    let nobodys = charged(vec![charge("1", 1250), Charge { order_id: None, ..charge("x", 1) }]);
    assert_eq!(nobodys, [nothing(None, "pi_x"), total(1251)]);
    let declines = found(|shop| shop.ledger.declines = 2);
    assert_eq!(declines, [Finding::DeclinesDiffer { gateway: 2, events: 1 }]);
}

#[test]
fn another_currency_is_another_charge() {
    let findings = found(|shop| {
        shop.ledger.charges[0].currency = "usd".into();
        shop.ledger.total = [("usd".to_owned(), 1250)].into();
    });
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert!(matches!(&findings[0], Finding::ChargeDiffers { charged, .. } if charged == "12.50 USD"));
}

#[test]
fn customers_who_are_not_told_or_told_otherwise_are_found() {
    let untold = found(|shop| {
        shop.forget::<NotificationSent>("2");
        (shop.received.total, shop.received.distinct) = (2, 2);
    });
    assert_eq!(untold, [Finding::NotNotified { order: "2".into() }]);
    let twice = found(|shop| {
        shop.tell("1", "orders.cancelled");
        (shop.received.total, shop.received.distinct) = (4, 4);
    });
    let told = vec!["orders.confirmed".into(), "orders.cancelled".into()];
    assert_eq!(twice, [Finding::Misinformed { order: "1".into(), ending: "confirmed".into(), told }]);
    let lost = found(|shop| (shop.received.total, shop.received.distinct) = (2, 2));
    assert_eq!(lost, [Finding::NoticesDiffer { sent: 3, received: 2 }]);
    let repeated = found(|shop| {
        shop.received.total = 4;
        shop.received.duplicates = vec!["m5".into()];
    });
    assert_eq!(repeated, [Finding::ReceivedTwice { deliveries: 4, messages: 3, ids: vec!["m5".into()] }]);
}
