//! Placing orders with a server that is slow, refuses, forgets to answer, and comes back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jetlag_cli::orders::{Order, OrderLine, Placement, Tally, place_all};

/// How often each order was sent.
#[derive(Clone, Default)]
struct Shop(Arc<Mutex<HashMap<String, u32>>>);

async fn place(State(shop): State<Shop>, headers: HeaderMap, Json(order): Json<Order>) -> Response {
    assert_eq!(headers["idempotency-key"], order.order_id.as_str());
    let sent = {
        let mut sent = shop.0.lock().unwrap();
        let sent = sent.entry(order.order_id.clone()).or_default();
        *sent += 1;
        *sent
    };
    match (order.order_id.as_str(), sent) {
        ("full", 1 | 2) => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")]).into_response(),
        ("busy", 1) => StatusCode::TOO_MANY_REQUESTS.into_response(),
        ("never", _) => (StatusCode::SERVICE_UNAVAILABLE, "closed").into_response(),
        ("wrong", _) => {
            let problem = r#"{"title":"Invalid order","detail":"no lines","status":422}"#;
            let kind = [("content-type", "application/problem+json")];
            (StatusCode::UNPROCESSABLE_ENTITY, kind, problem).into_response()
        }
        ("known", _) => (StatusCode::ACCEPTED, [("idempotent-replayed", "true")]).into_response(),
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

async fn shop() -> (String, Shop) {
    let shop = Shop::default();
    let router = Router::new().route("/orders", post(place)).with_state(shop.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, shop)
}

fn orders(ids: &[&str]) -> Vec<Order> {
    let order = |id: &&str| Order {
        order_id: (*id).to_owned(),
        customer_id: "17850".to_owned(),
        amount: "12.50".parse().unwrap(),
        currency: "GBP".to_owned(),
        lines: vec![OrderLine { sku: "85123A".to_owned(), quantity: 1 }],
    };
    ids.iter().map(order).collect()
}

async fn placed(url: String, ids: &[&str], patience: Duration) -> Tally {
    let placement = Placement { url, concurrency: 4, patience, orders_per_second: None };
    place_all(orders(ids), &placement, |_, _| {}).await.unwrap()
}

#[tokio::test]
async fn every_order_has_one_outcome_and_later_is_waited_for() {
    let (url, shop) = shop().await;
    let started = Instant::now();
    let ids = ["1", "2", "3", "full", "busy", "known", "wrong"];
    let tally = placed(format!("{url}/"), &ids, Duration::from_secs(20)).await;
    assert_eq!((tally.orders, tally.placed, tally.already_placed, tally.refused), (7, 5, 1, 1));
    assert_eq!(tally.retries, 3);
    assert!(started.elapsed() >= Duration::from_secs(2), "Retry-After is kept");
    assert_eq!(tally.reasons.keys().collect::<Vec<_>>(), ["422 Invalid order: no lines"]);
    assert!(!tally.is_complete());
    assert_eq!(shop.0.lock().unwrap()["wrong"], 1, "a refusal is not repeated");
}

#[tokio::test]
async fn patience_ends() {
    let (url, _shop) = shop().await;
    let tally = placed(url, &["never", "1"], Duration::from_millis(500)).await;
    assert_eq!((tally.placed, tally.unanswered), (1, 1));
    assert_eq!(tally.reasons.keys().collect::<Vec<_>>(), ["503 closed"]);
}

#[tokio::test]
async fn a_server_that_comes_up_late_gets_every_order() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let router = Router::new().route("/orders", post(place)).with_state(Shop::default());
        axum::serve(listener, router).await
    });
    let tally = placed(format!("http://{address}"), &["1", "2"], Duration::from_secs(20)).await;
    assert_eq!((tally.placed, tally.unanswered), (2, 0));
    assert!(tally.retries > 0);
    late.abort();
}

#[tokio::test]
async fn a_server_that_is_gone_costs_the_patience_of_one_order_and_not_of_each() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ids: Vec<_> = (0..400).map(|number| number.to_string()).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let started = Instant::now();
    let tally = placed(format!("http://{address}"), &ids, Duration::from_secs(1)).await;
    assert_eq!((tally.orders, tally.unanswered), (400, 400));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(tally.reasons.len(), 2, "{:?}", tally.reasons);
}
