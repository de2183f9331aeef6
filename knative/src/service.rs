//! The Service of a function that takes requests, and the policy that lets Knative reach its pods.

use jetlag::Description;
use keda::parts::{
    Document, EnvFrom, EnvVar, HTTP, Meta, NAMESPACE, Object, PORT, Quantities, checksum, http_name,
    image_expression, labels, labels_of, labels_of_component, opening, secrets, value_of,
};
use keda::{Deploy, Settled};

use crate::kube::serving::{
    Container, HttpGet, Liveness, Mount, Port, Readiness, RevisionSpec, RevisionTemplate, SecretFiles,
    Security, ServiceSpec, Volume,
};

/// Where Knative's proxy in each pod takes requests (HTTP/1.1, h2c, TLS), is told to drain, and is asked for its figures.
const PROXY_PORTS: [u16; 6] = [8012, 8013, 8112, 8022, 9090, 9091];
/// Where the keys of a function's Secret are files.
const SECRETS: &str = "/etc/jetlag/secrets";
/// Readable for everybody in the pod.
const ALL_READ: u32 = 0o444;
/// Where Knative reads how a version is scaled.
const SCALING: &str = "autoscaling.knative.dev";

/// The objects of `function` in Knative Serving.
pub(crate) fn objects(function: &Description, deploy: &Deploy) -> [Document; 2] {
    let name = &function.name;
    let pods = labels([("app.kubernetes.io/name", name), ("app.kubernetes.io/component", HTTP)]);
    let meta = Meta::of(&http_name(name), &deploy.namespace, &labels_of(name));
    let opening = opening(meta, pods, &PROXY_PORTS).because(
        "spec/ingress",
        "Knative's proxy in the pod: requests, the order to drain, and its figures for the autoscaler. The policy of the function opens the rest.",
    );
    [service(function, deploy), opening]
}

fn service(function: &Description, deploy: &Deploy) -> Document {
    let name = &function.name;
    let settled = Settled::of(function, deploy);
    let (sum, _) = checksum(function, deploy);
    let scaling = |key: &str| format!("{SCALING}/{key}");
    let annotations = [
        (scaling("class"), settled.class.annotation().to_owned()),
        (scaling("metric"), settled.metric.annotation().to_owned()),
        (scaling("target"), settled.target.to_string()),
        (scaling("min-scale"), settled.min.to_string()),
        (scaling("max-scale"), settled.max.to_string()),
        (scaling("initial-scale"), settled.initial.to_string()),
        (scaling("scale-down-delay"), format!("{}s", settled.scale_down_delay_s)),
        ("checksum/config".to_owned(), sum),
        ("prometheus.io/scrape".to_owned(), "true".to_owned()),
        ("prometheus.io/port".to_owned(), PORT.to_string()),
        ("prometheus.io/path".to_owned(), "/metrics".to_owned()),
    ];
    let own = labels_of_component(name, HTTP);
    let resources = deploy.functions.get(name).map(|own| own.resources.clone()).unwrap_or_default();
    let ask = |path| HttpGet { path, port: PORT };
    let container = Container {
        name: name.clone(),
        image: deploy.image(name),
        ports: [Port { container_port: PORT }],
        env_from: [EnvFrom::config_map(name)],
        env: std::iter::once(EnvVar::value("JETLAG_TRIGGER", HTTP)).chain(secrets(function)).collect(),
        resources: Quantities::of(&resources),
        liveness_probe: Liveness {
            http_get: ask("/health"),
            period_seconds: 10,
            timeout_seconds: 2,
            failure_threshold: 3,
        },
        readiness_probe: Readiness { http_get: ask("/ready") },
        security_context: Security::default(),
        volume_mounts: [Mount { name: "secrets", mount_path: SECRETS, read_only: true }],
    };
    let template = RevisionTemplate {
        metadata: Meta::unnamed(&own).annotated(annotations.into()),
        spec: RevisionSpec {
            container_concurrency: settled.concurrency,
            timeout_seconds: settled.timeout_s,
            service_account_name: name.clone(),
            automount_service_account_token: false,
            enable_service_links: false,
            containers: [container],
            volumes: [Volume {
                name: "secrets",
                secret: SecretFiles { secret_name: name.clone(), optional: true, default_mode: ALL_READ },
            }],
        },
    };
    let meta = Meta::of(name, &deploy.namespace, &own);
    tunables(reasons(Document::of(&Object::new(meta, ServiceSpec { template }))), function, deploy)
}

fn tunables(document: Document, function: &Description, deploy: &Deploy) -> Document {
    const CONTAINER: &str = "spec/template/spec/containers/0";
    let name = &function.name;
    let (_, sum) = checksum(function, deploy);
    let value = |path: &str| value_of(name, path);
    let scaling = |key: &str| format!("spec/template/metadata/annotations/{SCALING}/{key}");
    let number = |key: &str| value(&format!("knative.{key} | int64 | quote"));
    document
        .tunable("metadata/namespace", NAMESPACE)
        .tunable(&scaling("class"), format!("printf \"%s.{SCALING}\" {}", value("knative.class")))
        .tunable(&scaling("metric"), value("knative.metric"))
        .tunable(&scaling("target"), number("target"))
        .tunable(&scaling("min-scale"), number("min"))
        .tunable(&scaling("max-scale"), number("max"))
        .tunable(&scaling("initial-scale"), number("initial"))
        .tunable(
            &scaling("scale-down-delay"),
            format!("printf \"%ds\" ({} | int64)", value("knative.scale_down_delay_s")),
        )
        .tunable("spec/template/metadata/annotations/checksum/config", sum)
        .tunable("spec/template/spec/containerConcurrency", value("knative.concurrency | int64"))
        .tunable("spec/template/spec/timeoutSeconds", value("knative.timeout_s | int64"))
        .tunable(&format!("{CONTAINER}/image"), format!("{} | quote", image_expression(name)))
        .tunable(&format!("{CONTAINER}/resources/requests/cpu"), value("resources.cpu | quote"))
        .tunable(&format!("{CONTAINER}/resources/requests/memory"), value("resources.memory | quote"))
        .tunable(&format!("{CONTAINER}/resources/limits/memory"), value("resources.memory_max | quote"))
}

fn reasons(document: Document) -> Document {
    const REVISION: &str = "spec/template/spec";
    let scaling = |key: &str| format!("spec/template/metadata/annotations/{SCALING}/{key}");
    document
        .because(
            &scaling("class"),
            "Knative's own autoscaler (kpa) goes to zero; the HPA (hpa) does not.",
        )
        .because(
            &scaling("target"),
            "What one process bears. Knative aims at 70 % of it, so that the next one comes in time.",
        )
        .because(
            &scaling("min-scale"),
            "None when there is nothing to do, unless something else is said: the first request waits for a process.",
        )
        .because(
            &scaling("max-scale"),
            "As the contract says: Knative itself knows no limit, and what is behind may.",
        )
        .because(
            &scaling("initial-scale"),
            "A new version takes over when so many of it are ready: one that cannot start takes no request.",
        )
        .because(
            &scaling("scale-down-delay"),
            "For so long fewer must be enough before one goes; a pause between two bursts costs no start.",
        )
        .because(
            "spec/template/metadata/annotations/checksum/config",
            "Of the ConfigMap: a change of it is a new version. A change of the Secret is not: `kubectl annotate` the template.",
        )
        .because(
            &format!("{REVISION}/containerConcurrency"),
            "More than the process handles at a time wait in Knative's proxy, or for another process.",
        )
        .because(
            &format!("{REVISION}/timeoutSeconds"),
            "How long one request may take. It is also how long the pod may take to stop: 30 s in which Knative still sends what is on its way, and 36 s to finish it.",
        )
        .because(
            &format!("{REVISION}/containers/0/env/0/name"),
            "Requests alone: what waits in the streams is KEDA's, and would be forgotten at zero.",
        )
        .because(
            &format!("{REVISION}/containers/0/readinessProbe/httpGet"),
            "No period: Knative's proxy asks many times a second until the process is ready, so that the first request waits less.",
        )
        .because(
            &format!("{REVISION}/containers/0/securityContext/runAsNonRoot"),
            "All that the restricted level wants, of the container: of the pod it would need a feature flag of Knative.",
        )
        .because(
            &format!("{REVISION}/volumes/0/secret/defaultMode"),
            "0444: without a group for the pod's files (a feature flag of Knative) its user could not read 0440.",
        )
}
