//! Bad input has a defined outcome, over HTTP and on the stream: the table in docs/delivery.md, row by row.

use jetlag::topology::DEAD_LETTERS;

use crate::shop::{Opened, until};

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
