use crate::http::double::Client;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn what_was_placed_is_seen_where_the_answer_says() {
    let client = Client::new(true);
    for id in ["ORD-1", "a.b c", "*", ">", "../x", "100%", "ü€😀", "a/b"] {
        let unknown = client.ask("GET", "/orders/nobody", &[], "").await;
        assert_eq!(unknown.refused(), (404, "not_found".into()));
        let body = serde_json::json!({"order_id": id, "amount": 7}).to_string();
        let placed = client.post("/orders", &[], body).await;
        assert_eq!(placed.status, 202);
        // A token that says nothing in a path: it stands for this one id, and for no pattern.
        let seen = client.ask("GET", placed.header("location"), &[], "").await;
        assert_eq!(
            (seen.status, &seen.json()["order_id"]),
            (200, &id.into()),
            "{}",
            placed.header("location")
        );
        assert_eq!(
            (seen.header("content-type"), seen.header("cache-control")),
            ("application/json", "no-store")
        );
    }
    let head = client.ask("HEAD", "/orders/ORD-1", &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn what_can_be_no_id_is_not_there_and_a_broker_that_is_away_is_told() {
    let client = Client::new(true);
    for path in
        ["/orders/%ff", "/orders/%00", "/orders/%0A", &format!("/orders/{}", "x".repeat(129)), "/orders/"]
    {
        assert_eq!(client.ask("GET", path, &[], "").await.refused(), (404, "not_found".into()), "{path}");
    }
    client.broker.silent.store(true, Ordering::SeqCst);
    assert_eq!(client.ask("GET", "/orders/ORD-1", &[], "").await.refused(), (503, "unavailable".into()));
    assert_eq!(Client::new(false).ask("GET", "/orders/x", &[], "").await.refused(), (503, "starting".into()));
}
