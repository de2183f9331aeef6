//! Scenario 4: while 2,000 orders come in, every function is rolled, KEDA's operator is killed, the broker's pod is
//! restarted, and the node is drained.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::{NAMESPACE, NODE};
use crate::marks::seconds;
use crate::patience::{so, until};
use crate::shop::Shop;
use crate::wishes;

/// How fast the orders come.
const ORDERS_PER_SECOND: u32 = 45;
/// The wait before the first trouble, and between two.
const PAUSE: Duration = Duration::from_secs(3);
/// How long each trouble may take to be over.
const LIMIT: Duration = Duration::from_secs(120);
/// How long `kubectl drain` tries. On the only node a disruption budget holds back what cannot run anywhere else.
const DRAIN_S: u32 = 12;

pub async fn run(shop: &Shop) -> Result<(), String> {
    shop.report.begin(4, "2,000 orders, and everything is restarted");
    let began = shop.timeline.mark("scenario 4: orders are placed");
    let ordering = shop.order(wishes::TROUBLE, Some(ORDERS_PER_SECOND));
    let ((), ()) = tokio::try_join!(ordering, trouble(shop))?;
    shop.all_ended().await?;
    let ended = shop.timeline.mark("scenario 4: every order has ended");
    shop.report.saw(4, "every order ended, after", seconds(Some(ended - began)));
    shop.all_at_zero().await
}

async fn trouble(shop: &Shop) -> Result<(), String> {
    tokio::time::sleep(PAUSE).await;
    timed(shop, "every Deployment is rolled", roll(shop)).await?;
    tokio::time::sleep(PAUSE).await;
    timed(
        shop,
        "KEDA's operator is killed and is back",
        restart(shop, "keda", "app=keda-operator", "keda-operator", 0),
    )
    .await?;
    tokio::time::sleep(PAUSE).await;
    timed(
        shop,
        "the broker's pod is restarted",
        restart(shop, "nats", "app.kubernetes.io/name=nats", "nats", 5),
    )
    .await?;
    tokio::time::sleep(PAUSE).await;
    timed(shop, "the node is drained and taken back", drain(shop)).await
}

async fn timed(
    shop: &Shop,
    what: &str,
    doing: impl Future<Output = Result<Option<String>, String>>,
) -> Result<(), String> {
    let began = shop.timeline.mark(format!("scenario 4: {what}"));
    let said = doing.await.map_err(|why| format!("{what}: {why}"))?;
    let took = shop.timeline.mark(format!("scenario 4: done: {what}")) - began;
    let seen = said.map_or_else(|| seconds(Some(took)), |said| format!("{}; {said}", seconds(Some(took))));
    shop.report.saw(4, what, seen);
    Ok(())
}

/// A new version of every Deployment; done when no pod of the old one is left.
async fn roll(shop: &Shop) -> Result<Option<String>, String> {
    shop.cluster.kubectl(&["rollout", "restart", "deployment", "-n", NAMESPACE]).await?.good()?;
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    until("every Deployment rolled", LIMIT, async || {
        let deployments = shop.cluster.api.list(&path).await?;
        let unfinished = deployments.iter().filter(|deployment| {
            let (wanted, status) = (&deployment["spec"]["replicas"], &deployment["status"]);
            let number = |value: &Value| value.as_u64().unwrap_or_default();
            number(&status["observedGeneration"]) < number(&deployment["metadata"]["generation"])
                || number(&status["updatedReplicas"]) < number(wanted)
                || number(&status["replicas"]) > number(&status["updatedReplicas"])
                || number(&status["availableReplicas"]) < number(&status["updatedReplicas"])
        });
        let names: Vec<_> = unfinished.map(|deployment| deployment["metadata"]["name"].to_string()).collect();
        so(names.is_empty(), || format!("{names:?} are not rolled"))
    })
    .await?;
    Ok(None)
}

/// Deletes the pods of a Deployment, and waits until another one is ready.
async fn restart(
    shop: &Shop,
    namespace: &str,
    selector: &str,
    deployment: &str,
    grace_s: u64,
) -> Result<Option<String>, String> {
    let api = &shop.cluster.api;
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let uid = |pod: &Value| pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let old = api.list(&format!("{pods}?labelSelector={selector}")).await?;
    so(!old.is_empty(), || format!("there is no pod {selector} in {namespace}"))?;
    for pod in &old {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        api.delete(&format!("{pods}/{name}"), Duration::from_secs(grace_s)).await?;
    }
    let old: Vec<String> = old.iter().map(uid).collect();
    until(&format!("another pod of {deployment}"), LIMIT, async || {
        let now = api.list(&format!("{pods}?labelSelector={selector}")).await?;
        let is_ready = |pod: &&Value| {
            let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        let fresh = now.iter().filter(|pod| !old.contains(&uid(pod))).filter(is_ready).count();
        so(fresh > 0, || "not ready".to_owned())
    })
    .await?;
    Ok(None)
}

/// Evicts every pod of the system from its only node, as far as the disruption budgets let it, and takes the node back.
async fn drain(shop: &Shop) -> Result<Option<String>, String> {
    let selector = "--pod-selector=app.kubernetes.io/part-of=jetlag";
    let timeout = format!("--timeout={DRAIN_S}s");
    let arguments =
        ["drain", NODE, selector, "--ignore-daemonsets", "--delete-emptydir-data", "--force", &timeout];
    let drained = shop.cluster.kubectl(&arguments).await;
    // Whatever came of it, the node is needed again.
    shop.cluster.kubectl(&["uncordon", NODE]).await?.good()?;
    let drained = drained?;
    let evicted = drained.out.lines().filter(|line| line.ends_with("evicted")).count();
    so(evicted > 0, || format!("nothing was evicted: {}{}", drained.out, drained.err))?;
    let held = drained.err.contains("disruption budget");
    Ok(Some(format!(
        "{evicted} pods evicted{}",
        if held { ", the last front door held back by its disruption budget" } else { "" }
    )))
}
