//! Scenario 3: a retry waits 30 s. Its function goes to zero meanwhile, and KEDA wakes it when it is due.

use std::time::Duration;

use serde_json::json;

use crate::breaker;
use crate::marks::{Marks, seconds};
use crate::patience::{so, until};
use crate::shop::Shop;
use crate::wishes;

/// How long the gateway asks to be left alone.
const WAIT_S: u64 = 30;
/// How long payment may take to wake, to go to zero, and to wake again once the retry is due.
const WAKE_LIMIT: Duration = Duration::from_secs(30);
const ZERO_LIMIT: Duration = Duration::from_secs(60);

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(3, "a charge fails, and the gateway asks for 30 s");
    // The one refusal must meet a closed circuit: else it is a failed try, and payment waits for the next one instead.
    breaker::close(shop, wishes::CLOSING).await?;
    shop.cluster.control_gateway(&json!({"fail_next": 1, "retry_after_s": WAIT_S})).await?;
    let at = shop.sure(wishes::RETRY)?;
    let began = shop.timeline.mark("scenario 3: the order is placed");
    shop.order(at..at + 1, None).await?;
    until("payment woken", WAKE_LIMIT, async || wanted(shop, began, |wanted| wanted > 0)).await?;
    let failed = until("the charge refused", WAKE_LIMIT, async || {
        let switches: serde_json::Value =
            shop.cluster.ask(&format!("{}/control", shop.cluster.gateway)).await?;
        so(switches["fail_next"] == 0, || switches.to_string())
    });
    failed.await?;
    let refused = shop.timeline.mark("scenario 3: the charge is refused");
    shop.report.saw(3, "the charge is refused after", seconds(Some(refused - began)));
    until("payment at zero", ZERO_LIMIT, async || wanted(shop, refused, |wanted| wanted == 0)).await?;
    let zero = shop.timeline.mark("scenario 3: payment is at zero");
    shop.report.saw(
        3,
        "payment at zero while the retry waits, after the refusal",
        seconds(Some(zero - refused)),
    );
    so(zero - refused < WAIT_S * 1000, || "payment did not go to zero before the retry was due".to_owned())?;
    until("payment woken again", Duration::from_secs(WAIT_S) + WAKE_LIMIT, async || {
        wanted(shop, zero, |wanted| wanted > 0)
    })
    .await?;
    let woken = shop.timeline.mark("scenario 3: payment is woken again");
    shop.report.saw(3, "KEDA wakes payment for the retry, after the refusal", seconds(Some(woken - refused)));
    let is_early = woken - refused + 2_000 < WAIT_S * 1000;
    so(!is_early, || "payment was woken before the retry was due".to_owned())?;
    shop.all_ended().await?;
    let ended = shop.timeline.mark("scenario 3: the order has ended");
    let again = Marks::of("payment", &shop.timeline.since(zero), refused);
    shop.report.saw(3, "its pod is ready, after the refusal", seconds(again.ready_ms));
    shop.report.saw(3, "the order has ended, after the refusal", seconds(Some(ended - refused)));
    shop.cluster.control_gateway(&json!({"retry_after_s": 0})).await
}

fn wanted(shop: &Shop, after: u64, is_so: impl Fn(u64) -> bool) -> Result<(), String> {
    let last = shop.timeline.last(after)?;
    let wanted = last.functions.get("payment").map_or(0, |look| look.wanted);
    so(is_so(wanted), || format!("{wanted} replicas of payment are wanted"))
}
