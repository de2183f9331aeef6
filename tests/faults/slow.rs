//! The broker answers late.

use std::time::Duration;

use crate::field::{Field, ask};
use crate::proxy::Proxy;

/// Longer than `ack_wait`, which is 15 s.
const LONG_MS: u64 = 17_000;

pub async fn slow_broker_delivers_nothing_twice_while_the_process_lives() {
    let field = Field::new(serde_json::json!({})).await;
    let proxy = Proxy::start(field.server.port, Duration::from_millis(400)).await;
    let teller = field.teller_at(&proxy.url(), &[]);
    teller.ready().await;
    ask(&teller, "long", 4, LONG_MS).await;
    ask(&teller, "short", 10, 10).await;
    field.balances(14).await;
    assert_eq!(teller.metric("jetlag_redeliveries_total{function=\"teller\"}").await, 0.0);
    assert_eq!(teller.get("/ready").await.0, 200, "slow is not away");
}
