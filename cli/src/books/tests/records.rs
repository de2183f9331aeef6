//! The facts, the goods, the audit trail, and what is left to do.

use super::*;

#[test]
fn books_that_add_up_have_no_findings_and_all_the_facts() {
    let books = Books::balance(&Shop::open().evidence());
    assert_eq!(books.findings, []);
    assert_eq!((books.orders.placed, books.orders.confirmed, books.orders.open), (3, 1, 0));
    let cancelled: Vec<_> = books.orders.cancelled.into_iter().collect();
    assert_eq!(cancelled, [("out_of_stock", 1), ("payment_declined", 1)]);
    let [money] = books.money.as_slice() else { panic!("{:?}", books.money) };
    assert_eq!(
        (money.in_units(money.charged_minor), money.charges, books.declined),
        ("12.50 GBP".into(), 1, 1)
    );
    let StockFacts { skus, received, available, reserved, sold } = books.stock;
    assert_eq!((skus, received, available, reserved, sold), (1, 10, 7, 0, 3));
    assert_eq!((books.audit.entries, books.audit.copied, books.audit.checkpoints), (17, 17, 1));
    // Placed at sequence 2, confirmed at 5; 7 and 9; 11 and 15: ten milliseconds each.
    let pace = books.pace.unwrap();
    assert_eq!((pace.orders, pace.p50_ms, pace.p99_ms, pace.span_ms, pace.in_time), (3, 30, 40, 130, 3));
}

#[test]
fn the_pace_is_that_of_this_run_if_it_placed_any_order() {
    let mut evidence = Shop::open().evidence();
    evidence.began_after = 8;
    assert_eq!(Books::balance(&evidence).pace.map(|pace| (pace.orders, pace.of_this_run)), Some((1, true)));
    evidence.began_after = 100;
    assert_eq!(Books::balance(&evidence).pace.map(|pace| (pace.orders, pace.of_this_run)), Some((3, false)));
}

#[test]
fn what_left_the_horizon_still_counts_and_has_no_time() {
    let mut evidence = Shop::open().evidence();
    evidence.events.drain(..10);
    let books = Books::balance(&evidence);
    assert_eq!(books.findings, []);
    assert_eq!((books.orders.placed, books.pace.map(|pace| pace.orders)), (3, Some(1)));
}

#[test]
fn goods_that_are_lost_or_come_from_nowhere_are_found() {
    let stock = |pieces: (i64, i64, i64)| found(|shop| shop.stock_is("A", pieces));
    let differs = |(available, reserved, sold)| Finding::StockDiffers {
        sku: "A".into(),
        received: 10,
        available,
        reserved,
        sold,
    };
    assert_eq!(stock((6, 0, 3)), [differs((6, 0, 3))]);
    let negative = Finding::StockNegative { sku: "A".into(), available: -1, reserved: 8, sold: 3 };
    let reserved = |reserved| Finding::StillReserved { sku: "A".into(), reserved };
    assert_eq!(stock((-1, 8, 3)), [negative, reserved(8)]);
    assert_eq!(stock((6, 1, 3)), [reserved(1)]);
    assert_eq!(stock((6, 0, 4)), [Finding::SoldDiffers { sku: "A".into(), sold: 4, confirmed: 3 }]);
    let nowhere = found(|shop| shop.stock_is("B", (0, 0, 0)));
    assert_eq!(nowhere, [Finding::StockFromNowhere { subject: "state.inventory.stock%2FB".into() }]);
    let unstored = found(|shop| shop.stock.clear());
    assert!(unstored.contains(&differs((0, 0, 0))), "{unstored:?}");
    let odd = read(|evidence| evidence.state[0].payload = "ten".into());
    assert!(matches!(&odd[0], Finding::Unreadable { stream: "EVENTS", .. }), "{odd:?}");
}

#[test]
fn a_trail_that_was_tampered_with_or_is_not_complete_is_found() {
    let broken =
        |findings: &[Finding]| findings.iter().any(|found| matches!(found, Finding::TrailBroken { .. }));
    let missing = read(|evidence| drop(evidence.trail.remove(3)));
    let subject = "payments.processed.1.e3".to_owned();
    assert!(missing.contains(&Finding::NotInTrail { subject }) && broken(&missing), "{missing:?}");
    let altered = read(|evidence| evidence.trail[1].payload = b"{}".as_slice().into());
    assert!(broken(&altered), "{altered:?}");
    let twice = read(|evidence| {
        let again = ReadMessage { sequence: 18, ..evidence.trail[0].clone() };
        evidence.trail.push(again);
    });
    let subject = "stock.received.A.e0".to_owned();
    assert_eq!(twice, [Finding::TwiceInTrail { subject }, Finding::NotSealed { entries: 1 }]);
    let cut = read(|evidence| {
        evidence.trail.truncate(10);
        evidence.events.truncate(10);
        evidence.accepted.clear();
    });
    assert!(broken(&cut), "{cut:?}");
}

#[test]
fn an_event_that_cannot_be_read_is_found() {
    let odd = read(|evidence| evidence.events[16].payload = "?".into());
    assert!(odd.iter().any(|found| matches!(found, Finding::Unreadable { sequence: 17, .. })), "{odd:?}");
    let other = found(|shop| shop.happened[1].data = serde_json::value::to_raw_value("order").unwrap());
    assert!(
        matches!(&other[0], Finding::Unreadable { why, .. } if why.starts_with("orders.placed")),
        "{other:?}"
    );
}

#[test]
fn what_is_left_to_do_and_what_was_given_up_is_found() {
    let lag = Lag { stream: "EVENTS".into(), consumer: "payment".into(), waiting: 2, unanswered: 1 };
    let idle = Lag { waiting: 0, unanswered: 0, ..lag.clone() };
    let (stream, consumer) = (lag.stream.clone(), lag.consumer.clone());
    let findings = read(|evidence| {
        evidence.lags = vec![lag, idle];
        evidence.retries = 4;
    });
    let unhandled = Finding::Unhandled { stream, consumer, waiting: 2, unanswered: 1 };
    assert_eq!(findings, [unhandled, Finding::RetriesWaiting { messages: 4 }]);

    let dead = read(|evidence| {
        let mut letter = message("dlq.payment.e", 1, b"{}".to_vec());
        let headers = [
            ("Jetlag-Function", "payment"),
            ("Jetlag-Subject", "inventory.reserved.1.e2"),
            ("Jetlag-Reason", "attempts_exhausted"),
            ("Jetlag-Error", "no answer"),
        ];
        letter.headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        evidence.dead_letters.push(letter);
    });
    assert_eq!(
        dead.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["payment gave up inventory.reserved.1.e2: attempts_exhausted: no answer"]
    );
}
