//! The Deployments of a function: its processes, how they are asked how they are, and how they are stopped.

use jetlag::{Description, Trigger, VariableDescription};

use crate::deploy::Deploy;
use crate::document::Document;
use crate::environment::Environment;
use crate::function::NAMESPACE;
use crate::kube::identity::{Labels, Meta, Object, labels};
use crate::kube::pod::{
    Container, ContainerPort, ContainerSecurity, EnvFrom, EnvVar, Lifecycle, Mount, PodSecurity, PodSpec,
    PodTemplate, Probe, Quantities, Spread, Volume,
};
use crate::kube::workload::{DeploymentSpec, Selector, Strategy};
use crate::{chart, names, values};

/// The port of probes, metrics and requests.
pub const PORT: u16 = 8080;
/// How long a process may take to stop, in seconds: to finish what it has begun and to send its last answers and spans
/// (`jetlag::STOP_MAX`), and a margin. A process that is killed costs its inputs a wait and, after some times, suspicion.
pub(crate) const GRACE_S: u64 = 45;
/// How long a process that takes requests goes on after it is told to stop, so that whoever still sends to it hears of it.
const LEAVE_S: u64 = 5;
/// How many processes take requests: with two, one may go at a time.
pub(crate) const HTTP_REPLICAS: u32 = 2;
/// Versions to go back to.
pub(crate) const REVISIONS: u32 = 3;
/// Where the keys of a function's Secret are files, for what must be a file: `NATS_CREDS`, `NATS_CA`.
const SECRETS: &str = "/etc/jetlag/secrets";

/// Why files of Secrets have the mode that they have, which JSON has no octal number for.
pub(crate) const FILE_MODE: &str = "0440: for the user of the pod alone.";

/// What the processes of a Deployment take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    /// Inputs from streams, scaled on lag.
    Stream,
    /// Requests.
    Http,
}

impl Component {
    /// As its label has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Http => "http",
        }
    }
}

/// Whether requests are sent to `function`: to a path of its own, or events that are pushed.
pub fn takes_requests(function: &Description) -> bool {
    !function.endpoints.is_empty() || function.trigger.takes_requests()
}

/// A Deployment of `function`, whose configuration is `environment`.
pub(crate) fn deployment(
    function: &Description,
    deploy: &Deploy,
    environment: &Environment,
    component: Component,
) -> Document {
    let is_http = component == Component::Http;
    let name = if is_http { names::http(&function.name) } else { function.name.clone() };
    let selector = Selector { match_labels: names::selector_of_component(&function.name, component.name()) };
    let object_labels = names::labels_of_component(&function.name, component.name());
    let mut annotations = scraped(PORT);
    annotations.insert("checksum/config".into(), environment.checksum());
    let spec = DeploymentSpec {
        replicas: is_http.then_some(HTTP_REPLICAS),
        revision_history_limit: REVISIONS,
        selector: selector.clone(),
        strategy: is_http.then(Strategy::one_more),
        template: PodTemplate {
            metadata: Meta::unnamed(&object_labels).annotated(annotations),
            spec: PodSpec {
                service_account_name: function.name.clone(),
                automount_service_account_token: false,
                enable_service_links: false,
                restart_policy: None,
                termination_grace_period_seconds: Some(GRACE_S + if is_http { LEAVE_S } else { 0 }),
                security_context: PodSecurity::default(),
                topology_spread_constraints: ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
                    .map(|topology_key| Spread {
                        max_skew: 1,
                        topology_key,
                        when_unsatisfiable: "ScheduleAnyway",
                        label_selector: selector.clone(),
                    })
                    .into(),
                containers: vec![container(function, deploy, is_http)],
                volumes: vec![Volume::secret("secrets", &function.name)],
            },
        },
    };
    let document = Document::of(&Object::new(Meta::of(&name, &deploy.namespace, &object_labels), spec));
    tunables(reasons(document, is_http), &function.name, is_http)
}

/// The annotations by which Prometheus finds a pod that tells its metrics on `port`.
pub(crate) fn scraped(port: u16) -> Labels {
    let port = port.to_string();
    labels([
        ("prometheus.io/scrape", "true"),
        ("prometheus.io/port", port.as_str()),
        ("prometheus.io/path", "/metrics"),
    ])
}

fn tunables(document: Document, function: &str, is_http: bool) -> Document {
    const CONTAINER: &str = "spec/template/spec/containers/0";
    let value = |path: &str| values::of_function(function, path);
    let document = document
        .tunable("metadata/namespace", NAMESPACE)
        .tunable("spec/template/metadata/annotations/checksum/config", chart::checksum(function))
        .tunable(&format!("{CONTAINER}/image"), format!("{} | quote", values::image(function)))
        .tunable(&format!("{CONTAINER}/resources/requests/cpu"), value("resources.cpu | quote"))
        .tunable(&format!("{CONTAINER}/resources/requests/memory"), value("resources.memory | quote"))
        .tunable(&format!("{CONTAINER}/resources/limits/memory"), value("resources.memory_max | quote"));
    if is_http { document.tunable("spec/replicas", value("http.replicas | int64")) } else { document }
}

fn container(function: &Description, deploy: &Deploy, is_http: bool) -> Container {
    // Where the contract says another, it is said here what these processes take in.
    let component = if is_http { Component::Http } else { Component::Stream };
    let is_said = is_http || function.trigger != Trigger::Stream;
    let trigger = is_said.then(|| EnvVar::value("JETLAG_TRIGGER", component.name()));
    let resources = deploy.functions.get(&function.name).map(|own| own.resources.clone()).unwrap_or_default();
    Container {
        name: function.name.clone(),
        image: deploy.image(&function.name),
        args: Vec::new(),
        ports: vec![ContainerPort { name: "http", container_port: PORT }],
        env_from: vec![EnvFrom::config_map(&function.name)],
        env: trigger.into_iter().chain(secrets(function)).collect(),
        resources: Quantities::of(&resources),
        startup_probe: Some(Probe::get("/health", 1, 30)),
        liveness_probe: Some(Probe::get("/health", 10, 3)),
        readiness_probe: Some(Probe::get("/ready", 5, 2)),
        lifecycle: is_http.then(|| Lifecycle::sleep_before_stop(LEAVE_S)),
        security_context: ContainerSecurity::default(),
        volume_mounts: vec![Mount { name: "secrets", mount_path: SECRETS, read_only: true }],
    }
}

/// The variables of `function` that are secret, from its Secret.
pub(crate) fn secrets(function: &Description) -> Vec<EnvVar> {
    let secret = |variable: &VariableDescription| {
        EnvVar::secret(&variable.name, &function.name, variable.default.is_some())
    };
    function.variables.iter().filter(|variable| variable.secret).map(secret).collect()
}

fn reasons(document: Document, is_http: bool) -> Document {
    let document = document
        .because(
            "spec/template/metadata/annotations/checksum/config",
            "Of the ConfigMap: a change of it replaces the pods. A change of the Secret does not: `kubectl rollout restart`.",
        )
        .because(
            "spec/template/spec/automountServiceAccountToken",
            "A function never speaks to the API server.",
        )
        .because(
            "spec/template/spec/enableServiceLinks",
            "Variables that are named after Services, such as ORDER_PORT, must not meet those of a function.",
        )
        .because(
            "spec/template/spec/topologySpreadConstraints/0/maxSkew",
            "Over nodes and zones as far as there are any: one that dies takes few with it, and a full one does not keep a process away.",
        )
        .because(
            "spec/template/spec/containers/0/resources/requests/cpu",
            "A handler that waits for others needs little. No limit of CPU: it would stop a process in the middle of its signals that it is at work.",
        )
        .because(
            "spec/template/spec/containers/0/resources/limits/memory",
            "An idle process takes 8 MiB; what it holds is bounded by the contract's concurrency, 1 MiB for each input at most.",
        )
        .because(
            "spec/template/spec/containers/0/startupProbe/httpGet",
            "Probes are answered from the first moment: looking every second makes the first input after a quiet time wait less.",
        )
        .because(
            "spec/template/spec/containers/0/livenessProbe/httpGet",
            "It tells only whether the process answers. A broker that is away is none of its business.",
        )
        .because(
            "spec/template/spec/containers/0/readinessProbe/httpGet",
            "Ready is who reaches JetStream, finds its consumers and takes work.",
        )
        .because("spec/template/spec/volumes/0/secret/defaultMode", FILE_MODE)
        .because(
            "spec/template/spec/volumes/0/name",
            "The keys of the Secret as files, for NATS_CREDS, NATS_CA and the like. A directory, so that a rotation arrives.",
        );
    if is_http {
        document
            .because("spec/replicas", "A function that had scaled to zero could not answer a request.")
            .because(
                "spec/template/spec/terminationGracePeriodSeconds",
                "5 s before SIGTERM, 30 s to finish what has begun, 6 s for the last answers and spans, and a margin.",
            )
            .because(
                "spec/template/spec/containers/0/lifecycle/preStop",
                "Requests are still sent here until every node has heard that this pod goes.",
            )
    } else {
        document
            .because(
                "spec/revisionHistoryLimit",
                "No `replicas`: KEDA and the HPA say how many, and applying this again must not undo it.",
            )
            .because(
                "spec/template/spec/terminationGracePeriodSeconds",
                "30 s to finish what has begun, 6 s for the last answers and spans, and a margin. No preStop: SIGTERM itself stops the pulling.",
            )
    }
}
