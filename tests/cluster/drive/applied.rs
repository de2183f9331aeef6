//! Scenario 1: the manifests as generated are taken by the API server and by KEDA's admission webhook, without a warning,
//! into a namespace that enforces the restricted pod security level.

use std::time::Duration;

use serde_json::json;

use crate::cluster::{NAMESPACE, Place, kubectl};
use crate::patience::{so, until};
use crate::report::Report;
use crate::shop::Shop;

/// How long the provisioning Job, the ScaledObjects and the first pods may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Applies the overlay: everything of keda/base, with other image names, polling and cooldown.
pub async fn apply(place: &Place, report: &Report) -> Result<(), String> {
    report.begin(1, "the manifests are applied");
    let overlay = place.overlay.display().to_string();
    // Strict: a field that the API server does not know is an error, and not dropped.
    let apply = ["apply", "--server-side", "--validate=strict", "-k", &overlay];
    let printed = kubectl(place, &apply).await?;
    so(!printed.err.contains("Warning"), || format!("a warning: {}", printed.err.trim()))?;
    let applied = printed.good()?;
    report.saw(
        1,
        "objects applied with server-side validation, warnings",
        format!("{}, 0", applied.lines().count()),
    );
    // The same again changes nothing: what was written is what is there.
    let printed = kubectl(place, &["diff", "--server-side", "-k", &overlay]).await?;
    so(printed.is_good, || format!("applied again it would differ:\n{}{}", printed.out, printed.err))
}

/// That everything that was applied works.
pub async fn is_sound(shop: &Shop) -> Result<(), String> {
    let (api, report) = (&shop.cluster.api, &shop.report);
    until("jetlag-provision", LIMIT, async || {
        let selector = "app.kubernetes.io/name=jetlag-provision";
        let path = format!("/apis/batch/v1/namespaces/{NAMESPACE}/jobs?labelSelector={selector}");
        let jobs = api.list(&path).await?;
        so(jobs.iter().any(|job| job["status"]["succeeded"] == 1), || format!("not succeeded: {jobs:?}"))
    })
    .await?;
    report.tell("streams and consumers are provisioned");
    let scaled = format!("/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects");
    let functions = shop.functions();
    until("every ScaledObject", LIMIT, async || {
        let objects = api.list(&scaled).await?;
        so(objects.len() == functions.len(), || format!("{} of {}", objects.len(), functions.len()))?;
        let unready = objects.iter().filter(|object| {
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            !conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        });
        let unready: Vec<_> = unready.map(|object| object["status"].to_string()).collect();
        so(unready.is_empty(), || unready.join("; "))
    })
    .await?;
    report.saw(
        1,
        "ScaledObjects that KEDA's webhook took and its operator calls Ready",
        functions.len().to_string(),
    );
    until("order-http", LIMIT, async || {
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/order-http");
        let status = api.get(&path).await?["status"].take();
        so(status["readyReplicas"] == 2, || status.to_string())
    })
    .await?;
    // KEDA's webhook is asked: a second ScaledObject for one Deployment is refused.
    let twin = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "twin"},
        "spec": {"scaleTargetRef": {"name": "payment"}, "triggers": [{"type": "nats-jetstream", "metadata": {
            "natsServerMonitoringEndpoint": "nats.nats.svc.cluster.local:8222", "account": "JETLAG", "stream": "EVENTS",
            "consumer": "payment", "lagThreshold": "1"}}]},
    });
    let refusal = api.create(&format!("{scaled}?dryRun=All"), &twin).await.err().unwrap_or_default();
    so(refusal.contains("already managed"), || format!("a second ScaledObject is not refused: {refusal}"))?;
    report.saw(1, "a second ScaledObject for payment", "refused by KEDA's webhook");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose"},
        "spec": {"containers": [{"name": "loose", "image": "localhost/pause:1"}]},
    });
    let refusal = api.create(&format!("/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All"), &pod).await;
    let refusal = refusal.err().unwrap_or_default();
    so(refusal.contains("PodSecurity \"restricted"), || format!("a loose pod is not refused: {refusal}"))?;
    report.saw(1, "a pod without restrictions in the namespace", "refused: restricted is enforced");
    Ok(())
}
