//! Scenario 7: a pod that cannot reach JetStream is never ready, and nobody kills it for that.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::NAMESPACE;
use crate::marks::seconds;
use crate::patience::{so, until};
use crate::shop::Shop;

/// How long readiness may take to change either way.
const CHANGE_LIMIT: Duration = Duration::from_secs(90);
/// How long the broker is away after that: longer than any probe needs to give a process up.
const AWAY: Duration = Duration::from_secs(45);
const BROKER: &str = "/apis/apps/v1/namespaces/nats/statefulsets/nats";

/// One pod: its name, whether it is ready, and how often it was started again.
#[derive(Debug)]
struct Door {
    name: String,
    is_running: bool,
    is_ready: bool,
    restarts: u64,
}

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(7, "the broker is away");
    let api = &shop.cluster.api;
    let before = doors(shop).await?;
    let began = shop.timeline.mark("scenario 7: the broker is taken away");
    api.merge(BROKER, &json!({"spec": {"replicas": 0}})).await?;
    until("no door ready", CHANGE_LIMIT, async || {
        let now = doors(shop).await?;
        so(now.iter().all(|door| !door.is_ready), || format!("{now:?}"))
    })
    .await?;
    let unready = shop.timeline.mark("scenario 7: no door is ready");
    shop.report.saw(7, "every pod is not ready, after", seconds(Some(unready - began)));
    // One that was born without a broker, too.
    let first = before.first().ok_or("there is no pod of order-http")?;
    api.delete(&format!("/api/v1/namespaces/{NAMESPACE}/pods/{}", first.name), Duration::from_secs(1))
        .await?;
    let new = until("a pod that was born without a broker", CHANGE_LIMIT, async || {
        let now = doors(shop).await?;
        let new =
            now.into_iter().find(|door| door.is_running && !before.iter().any(|old| old.name == door.name));
        new.ok_or_else(|| "not running yet".to_owned())
    })
    .await?;
    let end = tokio::time::Instant::now() + AWAY;
    while tokio::time::Instant::now() < end {
        let now = doors(shop).await?;
        so(now.iter().all(|door| !door.is_ready), || format!("ready without a broker: {now:?}"))?;
        let is_restarted = |door: &Door| {
            let old = before.iter().find(|old| old.name == door.name).map_or(0, |old| old.restarts);
            door.restarts > old
        };
        so(!now.iter().any(is_restarted), || format!("killed for the broker: {now:?}"))?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let there = doors(shop).await?.iter().any(|door| door.name == new.name && door.is_running);
    so(there, || format!("{} is gone", new.name))?;
    let samples = shop.timeline.since(unready);
    let woken = shop.functions().into_iter().filter_map(|function| {
        let most =
            samples.iter().filter_map(|sample| sample.functions.get(&function)).map(|look| look.wanted).max();
        most.filter(|most| *most > 0).map(|most| format!("{function} {most}"))
    });
    let woken: Vec<String> = woken.collect();
    shop.report.saw(7, format!("pods ready, restarts in {} s without a broker", AWAY.as_secs()), "0, 0");
    let asleep = if woken.is_empty() { "none".to_owned() } else { woken.join(", ") };
    shop.report.saw(7, "replicas that KEDA wants while it sees no lag", asleep);
    api.merge(BROKER, &json!({"spec": {"replicas": 1}})).await?;
    let back = shop.timeline.mark("scenario 7: the broker is given back");
    until("every door ready", CHANGE_LIMIT, async || {
        let now = doors(shop).await?;
        so(now.len() == 2 && now.iter().all(|door| door.is_ready), || format!("{now:?}"))
    })
    .await?;
    let ready = shop.timeline.mark("scenario 7: every door is ready");
    shop.report.saw(
        7,
        "every pod is ready again, after the broker was given back",
        seconds(Some(ready - back)),
    );
    Ok(())
}

async fn doors(shop: &Shop) -> Result<Vec<Door>, String> {
    let door = |pod: &Value| {
        let container = &pod["status"]["containerStatuses"][0];
        Door {
            name: pod["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            is_running: !container["state"]["running"].is_null(),
            is_ready: container["ready"] == true,
            restarts: container["restartCount"].as_u64().unwrap_or_default(),
        }
    };
    let is_leaving = |pod: &&Value| !pod["metadata"]["deletionTimestamp"].is_null();
    let pods = shop.cluster.doors().await?;
    Ok(pods.iter().filter(|pod| !is_leaving(pod)).map(door).collect())
}
