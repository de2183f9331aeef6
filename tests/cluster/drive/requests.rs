//! Scenario 8: Knative scales what takes requests. The generated Service takes the place of the Deployment: a request from
//! zero pods, a burst, a new version under load, and back to zero, while KEDA scales the rest of the chain.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::applied::objects_taken;
use crate::broker_filter;
use crate::cluster::NAMESPACE;
use crate::front::Front;
use crate::marks::seconds;
use crate::patience::{so, until};
use crate::shop::Shop;
use crate::wishes;

/// How long the first version, another version, and the autoscaler may take.
const READY_LIMIT: Duration = Duration::from_secs(120);
const ROLLED_LIMIT: Duration = Duration::from_secs(120);
/// A busy machine starts three processes slowly: that is told, and no failure.
const OUT_LIMIT: Duration = Duration::from_secs(180);
const ZERO_LIMIT: Duration = Duration::from_secs(120);
/// How long a request from zero pods may take.
const COLD_LIMIT: Duration = Duration::from_secs(20);
/// How many pods a burst must bring.
const PODS_MIN: usize = 3;
/// How many warm requests are timed.
const WARM: usize = 50;
/// How many requests are under way in a burst, and while a version is rolled out.
const BURST: usize = 64;
const STEADY: usize = 8;
/// How long requests go on after a new version is there: the old one drains meanwhile.
const AFTER_ROLL: Duration = Duration::from_secs(5);

/// The pods of the Service, of all its versions.
const PODS: &str = "serving.knative.dev/service=order";
const SERVICE: &str = "/apis/serving.knative.dev/v1/namespaces/jetlag/services/order";

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(8, "Knative takes the requests");
    shop.all_at_zero().await?;
    let front = Front::of(shop)?;
    serve(shop, 8).await?;
    let began = shop.timeline.mark("scenario 8: the Service is ready");
    pods_gone(shop, PODS).await?;
    cold_and_warm(shop, &front).await?;
    burst(shop, &front).await?;
    roll(shop, &front).await?;
    zero(shop).await?;
    cold_again(shop, &front).await?;
    broker_filter::run(shop, &front).await?;
    shop.all_ended().await?;
    let samples = shop.timeline.since(began);
    let woken = |name: &String| {
        samples.iter().any(|sample| sample.functions.get(name).is_some_and(|look| look.ready > 0))
    };
    let asleep: Vec<String> = shop.functions().into_iter().filter(|name| !woken(name)).collect();
    so(asleep.is_empty(), || format!("{asleep:?} were not woken by KEDA for orders that came by Knative"))?;
    shop.report.saw(
        8,
        "functions that KEDA scaled for those orders, all ended",
        shop.functions().len().to_string(),
    );
    Ok(())
}

/// Takes away what served requests, as docs/deploy.md says, and applies the Service.
pub async fn serve(shop: &Shop, scenario: u8) -> Result<(), String> {
    for what in ["deployment/order-http", "poddisruptionbudget/order-http", "service/order"] {
        shop.cluster.kubectl(&["delete", "-n", NAMESPACE, what]).await?.good()?;
    }
    let began = shop.timeline.mark(format!("scenario {scenario}: the Service is applied"));
    let overlay = shop.cluster.place.requests.display().to_string();
    // Knative's webhook takes its certificate in its first seconds.
    let taken = until("Knative's webhook", READY_LIMIT, async || {
        objects_taken(&shop.cluster.place, &["-k", &overlay]).await
    })
    .await?;
    shop.report.saw(scenario, "objects applied with server-side validation, warnings", format!("{taken}, 0"));
    let revision = until("the Service ready", READY_LIMIT, async || ready(shop).await).await?;
    let ready = shop.timeline.mark(format!("scenario {scenario}: the Service is ready"));
    shop.report.saw(
        scenario,
        format!("{revision} ready, after it was applied"),
        seconds(Some(ready - began)),
    );
    Ok(())
}

/// The version that all requests go to, if the Service is ready and observed.
async fn ready(shop: &Shop) -> Result<String, String> {
    let service = shop.cluster.api.get(SERVICE).await?;
    let status = &service["status"];
    let is_true = |name: &str| {
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == name && condition["status"] == "True")
    };
    so(status["observedGeneration"] == service["metadata"]["generation"], || "not looked at yet".to_owned())?;
    so(is_true("Ready"), || status["conditions"].to_string())?;
    let traffic = &status["traffic"][0];
    so(traffic["percent"] == 100, || status["traffic"].to_string())?;
    let latest = &status["latestReadyRevisionName"];
    so(traffic["revisionName"] == *latest, || status["traffic"].to_string())?;
    Ok(latest.as_str().unwrap_or_default().to_owned())
}

async fn pods(shop: &Shop, selector: &str) -> Result<Vec<Value>, String> {
    shop.cluster.api.list(&format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={selector}")).await
}

/// Waits until none of these pods is left that could take a request.
pub async fn pods_gone(shop: &Shop, selector: &str) -> Result<(), String> {
    until("no pod of the Service", ZERO_LIMIT, async || {
        let there = pods(shop, selector).await?.len();
        so(there == 0, || format!("{there} pods"))
    })
    .await
}

/// How many replicas are wanted of all versions.
async fn replicas(shop: &Shop) -> Result<u64, String> {
    let path = format!(
        "/apis/apps/v1/namespaces/{NAMESPACE}/deployments?labelSelector=serving.knative.dev/service=order"
    );
    let deployments = shop.cluster.api.list(&path).await?;
    Ok(deployments.iter().filter_map(|deployment| deployment["spec"]["replicas"].as_u64()).sum())
}

async fn cold_and_warm(shop: &Shop, front: &Front) -> Result<(), String> {
    let at = shop.sure(wishes::COLD)?;
    let took = front.place(shop, at).await?;
    shop.report.saw(8, "POST /orders from zero pods", seconds(Some(took)));
    so(u128::from(took) < COLD_LIMIT.as_millis(), || format!("a cold request took {took} ms"))?;
    let mut warm = Vec::new();
    for _ in 0..WARM {
        warm.push(front.place(shop, at).await?);
    }
    warm.sort_unstable();
    let (half, most) = (warm[WARM / 2], warm[WARM - 1]);
    shop.report.saw(8, "the same again, warm: median, slowest", format!("{half} ms, {most} ms"));
    Ok(())
}

/// From zero once more, now that images and routes are known everywhere.
async fn cold_again(shop: &Shop, front: &Front) -> Result<(), String> {
    pods_gone(shop, PODS).await?;
    let took = front.place(shop, shop.sure(wishes::COLD_AGAIN)?).await?;
    shop.report.saw(8, "POST /orders from zero pods, another time", seconds(Some(took)));
    so(u128::from(took) < COLD_LIMIT.as_millis(), || format!("a cold request took {took} ms"))
}

async fn burst(shop: &Shop, front: &Front) -> Result<(), String> {
    let began = shop.timeline.mark("scenario 8: a burst");
    shop.order_at(front.counter(shop), wishes::BURST, None).await?;
    let stop = AtomicBool::new(false);
    let out = async {
        let pods = until("a burst scales out", OUT_LIMIT, async || {
            let ready = pods(shop, PODS).await?.iter().filter(|pod| is_ready(pod)).count();
            so(ready >= PODS_MIN, || format!("{ready} pods are ready"))?;
            Ok(ready)
        })
        .await;
        stop.store(true, Ordering::Relaxed);
        pods
    };
    // The same orders again and again: each is answered as before, and nothing is done twice.
    let (answers, out) = tokio::join!(front.repeat(shop, wishes::BURST, BURST, &stop), out);
    let out_ms = shop.timeline.mark("scenario 8: scaled out") - began;
    let answers = answers?;
    shop.report.saw(8, format!("a burst of {BURST} at a time: {} pods ready", out?), seconds(Some(out_ms)));
    shop.report.saw(8, "its answers, those that were not 202", answers.in_words());
    answers.all_good()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

async fn roll(shop: &Shop, front: &Front) -> Result<(), String> {
    let before = ready(shop).await?;
    let began = shop.timeline.mark("scenario 8: a new version under load");
    let stop = AtomicBool::new(false);
    let rolling = async {
        let change =
            json!({"spec": {"template": {"metadata": {"annotations": {"jetlag.dev/rolled": "again"}}}}});
        shop.cluster.api.merge(SERVICE, &change).await?;
        let rolled = until("the new version", ROLLED_LIMIT, async || {
            let now = ready(shop).await?;
            so(now != before, || format!("{now} is there"))?;
            Ok(now)
        })
        .await;
        let at = shop.timeline.mark("scenario 8: the new version is there");
        tokio::time::sleep(AFTER_ROLL).await;
        rolled.map(|now| (now, at - began))
    };
    let rolling = async {
        let rolled = rolling.await;
        stop.store(true, Ordering::Relaxed);
        rolled
    };
    let (answers, rolled) = tokio::join!(front.repeat(shop, wishes::BURST, STEADY, &stop), rolling);
    let (answers, (revision, took)) = (answers?, rolled?);
    shop.report.saw(8, format!("{revision} in place of {before}"), seconds(Some(took)));
    shop.report.saw(8, "requests meanwhile, those that failed", answers.in_words());
    answers.all_good()
}

async fn zero(shop: &Shop) -> Result<(), String> {
    let began = Instant::now();
    until("zero replicas of the Service", ZERO_LIMIT, async || {
        let wanted = replicas(shop).await?;
        so(wanted == 0, || format!("{wanted} replicas"))
    })
    .await?;
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    shop.report.saw(8, "the last request → zero replicas", seconds(Some(ms)));
    Ok(())
}

/// The orders among the wishes of `range`, as requests.
pub fn orders(shop: &Shop, range: Range<usize>) -> Vec<(String, String)> {
    let wishes = shop.market.wishes.get(range).unwrap_or_default();
    let request = |wish: &crate::market::Wish| match wish {
        crate::market::Wish::Request { order, .. } => {
            Some((order.order_id.clone(), serde_json::to_string(order).ok()?))
        }
        _ => None,
    };
    wishes.iter().filter_map(request).collect()
}
