//! Bad input has a defined outcome, over HTTP and on the stream: the table in docs/delivery.md, row by row.

use jetlag::topology::DEAD_LETTERS;
use tests::until;

use crate::shop::Opened;

const GOOD: &str = r#"{"order_id":"ORD-1","customer_id":"C-1","amount":12.50,"currency":"GBP"}"#;

#[tokio::test]
async fn bad_orders_over_http_are_refused_with_what_is_wrong() {
    let opened = Opened::new().await;
    let nine_kb = "x".repeat(10_000);
    let rows: Vec<(String, u16, &str)> = vec![
        ("{".into(), 400, ""),
        (GOOD.replace("12.50", "NaN"), 400, ""),
        ("[]".into(), 422, ""),
        ("{}".into(), 422, "/customer_id"),
        (GOOD.replace("12.50", "-1"), 422, "/amount"),
        (GOOD.replace("12.50", "0"), 422, "/amount"),
        (GOOD.replace("12.50", "0.12345678901234567890"), 422, "/amount"),
        (GOOD.replace("GBP", "XXX"), 422, "/currency"),
        (GOOD.replace("ORD-1", &nine_kb), 422, "/order_id"),
        (GOOD.replace("ORD-1", "a\\u0000b"), 422, "/order_id"),
        (GOOD.replace('}', r#","lines":[]}"#), 422, "/lines"),
        (GOOD.replace('}', r#","line":[]}"#), 422, "line"),
    ];
    for (body, status, pointer) in rows {
        let (answered, problem) = opened.post("/orders", body.clone()).await;
        assert_eq!(answered, status, "{body}: {problem}");
        assert_eq!(problem["status"], status, "{body}: {problem}");
        assert!(problem["errors"].to_string().contains(pointer), "{body}: {problem}");
    }
    assert_eq!(opened.events("orders.placed.*.*").await.len(), 0, "nothing of it was placed");

    // The same again is the same; another body under the same id, or the same key, is refused.
    assert_eq!(opened.post("/orders", GOOD).await.0, 202);
    assert_eq!(opened.post("/orders", GOOD).await.0, 202);
    assert_eq!(opened.post("/orders", GOOD.replace("12.50", "13")).await.0, 409);
    let key = [("idempotency-key", "k-1")];
    let keyless = r#"{"customer_id":"C-1","amount":1,"currency":"GBP"}"#;
    let (status, first) = opened.post_with("/orders", keyless, &key).await;
    assert_eq!(status, 202, "{first}");
    let (status, second) = opened.post_with("/orders", keyless, &key).await;
    assert_eq!((status, &second["order_id"]), (202, &first["order_id"]));
    assert_eq!(opened.post_with("/orders", keyless.replace(":1,", ":2,"), &key).await.0, 422);
    // Dots, spaces and wildcards are only characters.
    assert_eq!(opened.post("/orders", GOOD.replace("ORD-1", "a.b *>")).await.0, 202);
    assert_eq!(opened.events("orders.placed.*.*").await.len(), 3);
    opened.shop.close().await;
}

#[tokio::test]
async fn bad_events_on_the_stream_become_dead_letters_with_a_reason() {
    let opened = Opened::new().await;
    let event = |id: &str, data: &str| {
        format!(
            r#"{{"id":"{id}","type":"orders.placed","aggregate_id":"B-{id}","data":{data},"timestamp":"2026-11-21T14:00:00Z","trace_id":""}}"#
        )
    };
    let order = |id: &str, amount: &str| {
        event(id, &format!(r#"{{"order_id":"B-{id}","customer_id":"C","amount":{amount},"currency":"GBP"}}"#))
    };
    let rows: Vec<(String, &str)> = vec![
        ("{".into(), "not_an_event"),
        (order("1", "NaN"), "not_an_event"),
        (order("2", "1").replace(r#""timestamp""#, r#""time""#), "not_an_event"),
        (order("3", "1").replace("orders.placed", "orders"), "not_an_event"),
        (order("4", "1").replace("orders.placed", "orders.paid"), "unknown_type"),
        (order(&"x".repeat(10_000), "1"), "not_an_event"),
        (order("5", "-1"), "invalid_data"),
        (order("6", "0.12345678901234567890"), "invalid_data"),
        (event("7", "{}"), "invalid_data"),
        (event("8", r#"{"order_id":"OTHER","customer_id":"C","amount":1}"#), "invalid_data"),
        (order("9", "1"), ""),
        (order("9", "2").replace(r#""id":"9""#, r#""id":"another""#), "already_exists"),
    ];
    for (number, (body, _)) in rows.iter().enumerate() {
        let number = number.to_string();
        opened.operator.publish("orders.placed", &number, body.clone().into()).await.unwrap();
        // In this order: the last one must find the one before it.
        until(&format!("end of {body}"), async || {
            let (waiting, held) = opened.operator.lag("INTAKE", "order").await.ok()?;
            (waiting + held == 0).then_some(())
        })
        .await;
    }
    let letters = opened.operator.read(DEAD_LETTERS, "dlq.*.*", 1).await.unwrap();
    let expected: Vec<&(String, &str)> = rows.iter().filter(|(_, reason)| !reason.is_empty()).collect();
    assert_eq!(letters.len(), expected.len());
    for (letter, (body, reason)) in letters.iter().zip(expected) {
        assert_eq!(letter.header("Jetlag-Reason"), Some(*reason), "{body}: {:?}", letter.headers);
        assert_eq!(letter.payload, body.as_bytes(), "the bytes are kept");
        assert!(letter.header("Jetlag-Error").is_some_and(|error| !error.is_empty()));
    }
    assert_eq!(opened.events("orders.placed.*.*").await.len(), 1);
    opened.shop.close().await;
}

/// Headers that tell the broker or the runtime what to do, as a stranger may write them.
#[tokio::test]
async fn instructions_in_the_headers_of_an_event_from_outside_are_data() {
    let opened = Opened::new().await;
    let placed = |id: &str, amount: &str| {
        format!(
            r#"{{"id":"{id}","type":"orders.placed","aggregate_id":"{id}","data":{{"order_id":"{id}","customer_id":"C","amount":{amount},"currency":"GBP"}},"timestamp":"2026-11-21T14:00:00Z","trace_id":""}}"#
        )
    };
    // Those that the broker refuses at the door tell their sender so; those that it takes do nothing further on.
    let instructions = [
        ("Nats-Schedule", "@at 2026-01-01T00:00:00Z"),
        ("Nats-Schedule-Target", "retry.payment.x.1"),
        ("Nats-TTL", "1s"),
        ("Nats-Rollup", "all"),
        ("Nats-Expected-Last-Subject-Sequence", "77"),
        ("Nats-Expected-Last-Subject-Sequence-Subject", "*.*.H.*"),
        ("Nats-Expected-Last-Msg-Id", "x"),
        ("Nats-Incr", "1"),
        ("Nats-Batch-Id", "b"),
        ("Nats-Marker-Reason", "Purge"),
        ("Nats-Stream-Source", "EVENTS 1 > > state.inventory.stock%2FA"),
    ];
    let mut taken = 1;
    for (number, header) in instructions.iter().enumerate() {
        let event = placed(&format!("I-{number}"), "1");
        if opened.operator.publish_with("orders.placed", &[*header], event.into()).await.is_ok() {
            taken += 1;
        }
    }
    assert!(taken < instructions.len(), "the broker itself refuses most of them");
    let hostile = [
        ("Nats-Msg-Id", "m-1"),
        ("Jetlag-Redrive", "again"),
        ("Jetlag-Attempt", "8"),
        ("Jetlag-Subject", "state.inventory.stock%2FA"),
        ("Jetlag-History", r#"[{"attempt":7,"at":"2026-01-01T00:00:00Z","error":"x"}]"#),
        ("Jetlag-Reason", "rejected"),
        ("Jetlag-Headers", "[[1]]"),
        ("X-Tenant", "a"),
        ("X-Tenant", "b: é"),
    ];
    opened.operator.publish_with("orders.placed", &hostile, placed("H", "10").into()).await.unwrap();
    for kind in ["inventory.reserved", "payments.processed", "orders.confirmed", "notifications.sent"] {
        until(&format!("{taken} events {kind}"), async || {
            (opened.events(&format!("{kind}.*.*")).await.len() == taken).then_some(())
        })
        .await;
    }
    for admitted in opened.events("orders.placed.*.*").await {
        let ours = ["Jetlag-Attempt", "Jetlag-Cause", "Jetlag-Function", "Jetlag-Headers"];
        // What it insisted on when it was published, and what the broker adds to what it shows.
        let brokers = ["Nats-Last-Sequence", "Nats-Num-Pending", "Nats-Stream", "Nats-Time-Stamp"];
        let own = |name: &str| {
            ours.contains(&name)
                || brokers.contains(&name)
                || name.starts_with("Nats-Expected-Last-Subject-Sequence")
        };
        assert!(admitted.headers.iter().all(|(name, _)| own(name)), "{:?}", admitted.headers);
        assert_eq!(admitted.header("Jetlag-Attempt"), Some("1"));
    }
    assert_eq!(opened.operator.stream_state(DEAD_LETTERS).await.unwrap().messages, 0);

    // One that dies keeps all of it, and so does its redrive, which dies again.
    let dying = "inventory.reserved";
    let original: Vec<(String, String)> =
        hostile.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let list: Vec<(&str, &str)> = original
        .iter()
        .filter(|(name, _)| name != "Nats-Msg-Id" && name != "Jetlag-Headers")
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let bad = format!(
        r#"{{"id":"d-1","type":"{dying}","aggregate_id":"D","data":{{}},"timestamp":"2026-11-21T14:00:00Z","trace_id":""}}"#
    );
    opened.operator.publish_with(&format!("{dying}.D.d-1"), &list, bad.clone().into()).await.unwrap();
    let letters = async |count: usize| {
        until(&format!("{count} dead letters of payment"), async || {
            let letters = opened.operator.dead_letters(1).await.ok()?.into_iter().flatten();
            let letters: Vec<_> = letters.filter(|letter| letter.function == "payment").collect();
            (letters.len() == count).then_some(letters)
        })
        .await
    };
    let first = letters(1).await.remove(0);
    assert_eq!(first.header("Jetlag-Reason"), Some("invalid_data"));
    assert_eq!(first.input.as_str(), "inventory.reserved.D.d-1");
    assert!(first.header("Jetlag-Redrive").is_none());
    let mut sent: Vec<(String, String)> =
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    // Names come sorted; the values of one name in their order.
    sent.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(first.original_headers(), sent);
    opened.operator.redrive(&first, "ann").await.unwrap();
    let second = letters(2).await.remove(1);
    assert_eq!(second.header("Jetlag-Redrive"), Some(first.redrive_id().as_str()));
    assert_eq!((second.original_headers(), &second.payload[..]), (sent, bad.as_bytes()));
    opened.shop.close().await;
}
