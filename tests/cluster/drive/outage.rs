//! Scenario 5: the gateway is down. Orders queue, the gateway is left alone but for probes, and recovery drains them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::marks::{Marks, seconds};
use crate::patience::{so, until};
use crate::shop::Shop;
use crate::wishes;

/// How long the breaker needs to open in every process, and how long it is looked at then.
const SETTLE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(35);
/// How many requests the gateway may get in [`LOOK`]: one probe every 30 s over all processes, and one to spare for a
/// probe whose process was stopped.
const PROBES_MAX: u64 = 3;
/// How many orders must have queued, and how long that may take.
const QUEUED_MIN: u64 = 200;
const QUEUE_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
struct TurnedAway {
    count: u64,
}

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(5, "the gateway is down while 300 orders come in");
    shop.all_at_zero().await?;
    let turned_away = async || {
        let url = format!("{}/turned-away", shop.cluster.gateway);
        shop.cluster.ask::<TurnedAway>(&url).await.map(|turned| turned.count)
    };
    let before = turned_away().await?;
    shop.cluster.control_gateway(&json!({"outage": true})).await?;
    let began = shop.timeline.mark("scenario 5: the gateway is down, orders are placed");
    shop.order(wishes::OUTAGE, None).await?;
    until("orders queued before payment", QUEUE_LIMIT, async || {
        let last = shop.timeline.last(began)?;
        let lag = last.functions.get("payment").and_then(crate::timeline::Look::lag).unwrap_or_default();
        so(lag >= QUEUED_MIN, || format!("{lag} queued"))
    })
    .await?;
    tokio::time::sleep(SETTLE).await;
    let settled = turned_away().await?;
    tokio::time::sleep(LOOK).await;
    let probes = turned_away().await? - settled;
    let over = shop.timeline.mark("scenario 5: the gateway is back");
    let down = Marks::of("payment", &shop.timeline.since(began), began);
    shop.report.saw(5, "requests until the breaker was open everywhere", (settled - before).to_string());
    shop.report.saw(5, format!("requests in {} s of outage after that", LOOK.as_secs()), probes.to_string());
    shop.report.saw(
        5,
        "payment during the outage",
        format!("{} replicas at most, {} orders queued", down.most_wanted, down.most_lag),
    );
    so(probes <= PROBES_MAX, || format!("the gateway was asked {probes} times during its outage"))?;
    shop.cluster.control_gateway(&json!({"outage": false})).await?;
    shop.all_ended().await?;
    let ended = shop.timeline.mark("scenario 5: every order has ended");
    shop.report.saw(5, "every order ended, after the gateway was back", seconds(Some(ended - over)));
    shop.all_at_zero().await
}
