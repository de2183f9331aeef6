//! Scenario 1: the manifests as generated are taken by the API server and by KEDA's admission webhook, without a warning,
//! into a namespace that enforces the restricted pod security level.

use std::collections::BTreeMap;
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
    let applied = objects_taken(place, &["-k", &overlay]).await?;
    report.saw(1, "objects applied with server-side validation, warnings", format!("{applied}, 0"));
    Ok(())
}

/// How many objects the API server took of what `arguments` name, all of them and without a word.
pub async fn objects_taken(place: &Place, arguments: &[&str]) -> Result<usize, String> {
    // Strict: a field that the API server does not know is an error, and not dropped.
    let apply = ["apply", "--server-side", "--validate=strict"];
    let printed = kubectl(place, &[&apply, arguments].concat()).await?;
    let spoken = printed.err.trim().to_owned();
    let taken = printed.good()?.lines().count();
    so(spoken.is_empty(), || format!("{arguments:?}: {spoken}"))?;
    so(taken > 0, || format!("{arguments:?}: there is nothing to take"))?;
    Ok(taken)
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
    until("jetlag-metrics", LIMIT, async || {
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/jetlag-metrics");
        let status = api.get(&path).await?["status"].take();
        so(status["readyReplicas"] == 1, || status.to_string())
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
    let before = generations(shop).await?;
    let overlay = shop.cluster.place.overlay.display().to_string();
    shop.cluster.kubectl(&["apply", "--server-side", "-k", &overlay]).await?.good()?;
    let after = generations(shop).await?;
    so(before == after, || format!("applied again, something changed: {before:?}, then {after:?}"))?;
    report.saw(1, "applied again, objects that changed", "0");
    Ok(())
}

/// How often it was changed what each object is asked to be.
async fn generations(shop: &Shop) -> Result<BTreeMap<String, u64>, String> {
    let mut generations = BTreeMap::new();
    for path in [
        format!("/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects"),
        format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"),
        format!("/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets"),
        format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments"),
    ] {
        for object in shop.cluster.api.list(&path).await? {
            let scaled = shop.functions().iter().any(|name| object["metadata"]["name"] == **name);
            // KEDA changes the replicas of a Deployment whenever it likes: there it is the template that counts.
            let is_scaled_deployment = scaled && path.ends_with("deployments");
            let changed = if is_scaled_deployment {
                object["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
                    .as_str()
                    .and_then(|revision| revision.parse().ok())
            } else {
                object["metadata"]["generation"].as_u64()
            };
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            generations.insert(format!("{path}/{name}"), changed.unwrap_or_default());
        }
    }
    Ok(generations)
}
