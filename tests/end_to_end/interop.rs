//! A service written to the article publishes to us and reads from us.

use jetlag::Envelope;

use crate::shop::Opened;

#[tokio::test]
async fn an_order_published_as_the_article_does_is_carried_to_its_end() {
    let opened = Opened::new().await;
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let event = format!(
        r#"{{"id":"6f1f0e9c","type":"orders.placed","aggregate_id":"ORD.1 *","data":{{"order_id":"ORD.1 *","customer_id":"C-1","amount":12.50}},"timestamp":"2026-11-21T14:00:00.123456789Z","trace_id":"{trace_id}"}}"#
    );
    // Twice, as a publisher does that did not see the answer.
    for message_id in ["6f1f0e9c", "again"] {
        opened.operator.publish("orders.placed", message_id, event.clone().into()).await.unwrap();
    }
    let told = opened.event("notifications.sent.*.*").await;
    assert_eq!(told.subject.split('.').count(), 4);

    let placed = opened.events("orders.placed.*.*").await;
    assert_eq!(placed.len(), 1);
    assert_eq!(placed[0].payload, event.as_bytes(), "the event is kept to the byte");
    let confirmed = opened.events("orders.confirmed.*.*").await;
    assert_eq!(confirmed.len(), 1);
    let confirmed = Envelope::read(&confirmed[0].payload).unwrap();
    assert_eq!((confirmed.aggregate_id.as_str(), confirmed.trace_id.as_str()), ("ORD.1 *", trace_id));
    let data: serde_json::Value = serde_json::from_str(confirmed.data.get()).unwrap();
    assert_eq!(data["amount"].to_string().trim_end_matches('0'), "12.5");
    assert_eq!(data["currency"], "USD", "the article's order has none");

    // What became of it is told over HTTP.
    let (status, told) = opened.order("ORD.1%20*").await;
    assert_eq!((status, &told["status"], &told["trace_id"]), (200, &"confirmed".into(), &trace_id.into()));
    let history: Vec<&str> =
        told["history"].as_array().unwrap().iter().map(|step| step["type"].as_str().unwrap()).collect();
    let all = ["orders.placed", "inventory.reserved", "payments.processed", "orders.confirmed"];
    assert_eq!(history, all, "{told}");
    // Asked for a pattern it tells of nobody.
    assert_eq!(opened.order("*").await.0, 404);

    let ledger = format!("{}/ledger", opened.shop.running().companion("gateway").unwrap());
    let ledger: serde_json::Value = opened.client.get(ledger).send().await.unwrap().json().await.unwrap();
    assert_eq!(ledger["charges"].as_array().unwrap().len(), 1);
    assert_eq!(ledger["total"]["usd"], 1250);
    opened.shop.close().await;
}
