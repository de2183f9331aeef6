//! `POST /orders` with axum and the broker's client, and nothing around them: reads an order, publishes `orders.placed`, and
//! answers when the broker has stored it. How much of a request is the server's and the broker's own.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Deserialize)]
struct Order<'o> {
    order_id: &'o str,
    #[serde(rename = "customer_id")]
    _customer_id: &'o str,
    amount: f64,
    #[serde(borrow, rename = "lines")]
    _lines: Vec<Line<'o>>,
}

#[derive(Deserialize)]
struct Line<'o> {
    #[serde(rename = "sku")]
    _sku: &'o str,
    #[serde(rename = "quantity")]
    _quantity: u32,
}

#[derive(Serialize)]
struct Event<'o> {
    id: &'o str,
    r#type: &'static str,
    aggregate_id: &'o str,
    data: &'o RawValue,
    timestamp: String,
}

#[derive(Serialize)]
struct Taken {
    order_id: String,
    event_id: String,
}

#[tokio::main]
async fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let client = async_nats::connect(variable("NATS_URL")).await.expect("a broker");
    let context = Arc::new(jetstream::new(client));
    let routes = Router::new().route("/orders", post(place)).route("/ready", get(|| async { "ready" }));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", variable("PORT"))).await;
    axum::serve(listener.expect("a free port"), routes.with_state(context)).await.expect("a server");
}

async fn place(State(context): State<Arc<jetstream::Context>>, body: Bytes) -> Response {
    let data: Result<&RawValue, _> = serde_json::from_slice(&body);
    let read = data.and_then(|data| Ok((data, serde_json::from_str::<Order<'_>>(data.get())?)));
    let (data, order) = match read {
        Ok(read) => read,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    if order.amount <= 0.0 {
        return (StatusCode::UNPROCESSABLE_ENTITY, "the amount is 0").into_response();
    }
    let (order_id, event_id) = (order.order_id.to_owned(), format!("{}-placed", order.order_id));
    let event = Event {
        id: &event_id,
        r#type: "orders.placed",
        aggregate_id: &order_id,
        data,
        timestamp: OffsetDateTime::now_utc().format(&Rfc3339).expect("a time"),
    };
    let payload = serde_json::to_vec(&event).expect("an event");
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, event_id.as_str());
    let subject = format!("orders.placed.{order_id}.{event_id}");
    let stored = match context.publish_with_headers(subject, headers, payload.into()).await {
        Ok(sent) => sent.await.map(|_| ()),
        Err(error) => Err(error),
    };
    match stored {
        Ok(()) => (StatusCode::ACCEPTED, Json(Taken { order_id, event_id })).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
