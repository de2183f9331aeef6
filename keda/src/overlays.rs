//! What differs from the base where people try things, and where customers wait; and parts that a cluster may have no use
//! for.

use jetlag::Description;
use serde::Serialize;

use crate::command;
use crate::deploy::{Deploy, Streams};
use crate::document::Document;
use crate::kube::identity::{Kind, Meta, Object};
use crate::kube::workload::Selector;
use crate::kustomization::{Kustomization, Patch};
use crate::names;

/// Copies of each stream where a server may be lost.
const PRODUCTION_STREAM_REPLICAS: u8 = 3;
/// How many processes take requests there: one may be replaced while another's node is lost.
const PRODUCTION_HTTP_REPLICAS: u32 = 3;
/// The Deployments that take requests.
const TAKES_REQUESTS: &str = "app.kubernetes.io/component=http";

/// The files of the overlay `dev`.
pub(crate) fn dev() -> Vec<(&'static str, Vec<Document>)> {
    let mut kustomization = Kustomization::of(["../../base".to_owned()].into_iter());
    let scaled = |path: &str, value: u32| Patch::replace("ScaledObject", None, path, value);
    kustomization.patches = vec![
        scaled("/spec/pollingInterval", 2),
        scaled("/spec/cooldownPeriod", 15),
        scaled(
            "/spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown/stabilizationWindowSeconds",
            15,
        ),
        Patch::replace("Deployment", Some(TAKES_REQUESTS), "/spec/replicas", 1),
        Patch::replace("Deployment", None, "/spec/template/spec/containers/0/resources/requests/cpu", "10m"),
    ];
    let document = Document::of(&kustomization)
        .because("resources", "For a cluster on a laptop.")
        .because(
            "patches/0/target",
            "Who tries something waits for it: up and down again within half a minute.",
        )
        .because("patches/3/target", "Less of everything.");
    vec![("kustomization.yaml", vec![document])]
}

/// The files of the overlay `production`.
pub(crate) fn production(functions: &[Description], deploy: &Deploy) -> Vec<(&'static str, Vec<Document>)> {
    let replicas = deploy.streams.replicas.max(PRODUCTION_STREAM_REPLICAS);
    let streams = Streams { replicas, ..deploy.streams };
    let own = Deploy { streams, ..deploy.clone() };
    let mut kustomization =
        Kustomization::of(["../../base", "provision.yaml"].map(str::to_owned).into_iter());
    let base_job = command::job_name(functions, deploy);
    kustomization.patches = vec![
        Patch::replace("Deployment", Some(TAKES_REQUESTS), "/spec/replicas", PRODUCTION_HTTP_REPLICAS),
        Patch::merge("contracts.yaml"),
        Patch::delete("batch/v1", "Job", &base_job, &deploy.namespace),
    ];
    let document = Document::of(&kustomization)
        .because(
            "resources",
            "For customers. Name images by their digest in an overlay of your own, so that what runs is what was tested: `kustomize edit set image ghcr.io/jetlag-functions/payment@sha256:…`.",
        )
        .because("patches/0/target", "One may be replaced while another's node is lost.")
        .because(
            "patches/1/path",
            "Three copies of every stream, so that a server may be lost. Other contracts are another Job, in place of that of the base.",
        );
    vec![
        ("kustomization.yaml", vec![document]),
        ("contracts.yaml", vec![command::contracts(functions, &own)]),
        ("provision.yaml", vec![command::job(functions, &own)]),
    ]
}

/// PodMonitor of the Prometheus operator, where there is one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PodMonitorSpec {
    selector: Selector,
    pod_metrics_endpoints: [PodEndpoint; 1],
}

#[derive(Debug, Serialize)]
struct PodEndpoint {
    port: &'static str,
    path: &'static str,
}

impl Kind for PodMonitorSpec {
    const API: &'static str = "monitoring.coreos.com/v1";
    const KIND: &'static str = "PodMonitor";
}

/// The files of the component `podmonitor`.
pub(crate) fn pod_monitor(deploy: &Deploy) -> Vec<(&'static str, Vec<Document>)> {
    let spec = PodMonitorSpec {
        selector: Selector { match_labels: names::everything() },
        pod_metrics_endpoints: [PodEndpoint { port: "http", path: "/metrics" }],
    };
    let meta = Meta::of(names::PART_OF, &deploy.namespace, &names::labels_of(names::PART_OF));
    let monitor = Document::of(&Object::new(meta, spec))
        .because("spec/selector", "Every pod of Jetlag that has a port of this name.");
    let kustomization = Document::of(&Kustomization::component(["podmonitor.yaml".to_owned()].into_iter()))
        .because(
            "resources",
            "For clusters with the Prometheus operator; it is no part of the base, since its kinds may not be there. In an overlay: `components: [../../components/podmonitor]`. Without it, the pods' prometheus.io annotations say the same.",
        );
    vec![("kustomization.yaml", vec![kustomization]), ("podmonitor.yaml", vec![monitor])]
}
