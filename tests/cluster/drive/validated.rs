//! Scenario 1, too: what may be applied in place of the base is taken by the API server and by KEDA's admission webhook.
//! Nothing of it is kept, and nothing is there yet, so that each is validated as a new cluster would.

use crate::applied::objects_taken;
use crate::cluster::{NAMESPACE, Place, helm};
use crate::report::Report;

/// Validates the overlays, the component for Prometheus, and the chart.
pub async fn validate(place: &Place, report: &Report) -> Result<(), String> {
    report.begin(1, "the overlays and the chart are validated");
    let overlay = |name: &str| place.manifests.join("overlays").join(name);
    for (what, kustomization) in [
        ("overlay dev", overlay("dev")),
        ("overlay production", overlay("production")),
        ("base with podmonitor", place.monitored.clone()),
        ("knative base with eventing", place.evented.clone()),
    ] {
        let kustomization = kustomization.display().to_string();
        is_taken(place, report, what, &["-k", &kustomization]).await?;
    }
    let chart = place.manifests.join("chart").display().to_string();
    let knative = ["--set", "knative.serving=true,knative.eventing=true"];
    for (what, values) in [("chart", &[][..]), ("chart for Knative", &knative[..])] {
        let template = ["template", "jetlag", &chart, "--namespace", NAMESPACE];
        let rendered = helm(place, &[&template, values].concat()).await?.good()?;
        let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        std::fs::write(&file, rendered).map_err(|error| format!("{}: {error}", file.path().display()))?;
        is_taken(place, report, what, &["-n", NAMESPACE, "-f", &file.path().display().to_string()]).await?;
    }
    Ok(())
}

/// That the API server would take all of `what`.
async fn is_taken(place: &Place, report: &Report, what: &str, arguments: &[&str]) -> Result<(), String> {
    let taken = objects_taken(place, &[&["--dry-run=server"], arguments].concat()).await?;
    report.saw(1, format!("{what}: objects that would be taken, warnings"), format!("{taken}, 0"));
    Ok(())
}
