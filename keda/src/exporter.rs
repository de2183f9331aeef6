//! The Deployment `jetlag-metrics`: what the broker alone knows, for Prometheus.

use crate::deploy::Deploy;
use crate::document::Document;
use crate::egress::{self, named_by};
use crate::function::{NAMESPACE, metrics_service};
use crate::kube::identity::{Meta, Object};
use crate::kube::network::{NetworkPolicySpec, PolicyPort, PolicyRule};
use crate::kube::pod::{ContainerPort, PodTemplate, Probe};
use crate::kube::workload::{DeploymentSpec, Selector};
use crate::shared::account;
use crate::workload::{REVISIONS, scraped};
use crate::{command, names};

/// The port of its probes and metrics.
const PORT: u16 = 9464;
/// How often the audit trail is read from end to end: the alert for one that is not allows two hours more.
pub(crate) const VERIFY_AUDIT: &str = "24h";

/// Everything about it.
pub(crate) fn objects(deploy: &Deploy) -> Vec<Document> {
    let name = names::METRICS;
    let meta = || Meta::of(name, &deploy.namespace, &names::labels_of(name));
    vec![
        account(meta(), deploy),
        deployment(deploy, meta()),
        metrics_service(meta(), name, PORT),
        policy(deploy, meta()),
    ]
}

/// Whom it may reach besides those that every pod may: the broker's monitoring endpoint.
pub(crate) fn egress(deploy: &Deploy) -> Vec<PolicyRule> {
    egress::rules(&named_by(std::iter::once(monitor(deploy).as_str())))
}

fn monitor(deploy: &Deploy) -> String {
    format!("http://{}", deploy.broker.monitoring)
}

fn deployment(deploy: &Deploy, meta: Meta) -> Document {
    const POD: &str = "spec/template/spec";
    let name = names::METRICS;
    let listen = format!("0.0.0.0:{PORT}");
    let monitor = monitor(deploy);
    let args = ["metrics", "--listen", &listen, "--monitor", &monitor, "--verify-audit", VERIFY_AUDIT];
    let mut pod = command::pod(deploy, name, args.map(str::to_owned).into());
    pod.restart_policy = None;
    for container in &mut pod.containers {
        container.ports = vec![ContainerPort { name: "http", container_port: PORT }];
        container.startup_probe = Some(Probe::get("/health", 1, 30));
        container.liveness_probe = Some(Probe::get("/health", 10, 3));
        container.readiness_probe = Some(Probe::get("/ready", 5, 2));
    }
    let spec = DeploymentSpec {
        replicas: Some(1),
        revision_history_limit: REVISIONS,
        selector: Selector { match_labels: names::selector(name) },
        strategy: None,
        template: PodTemplate {
            metadata: Meta::unnamed(&names::labels_of(name)).annotated(scraped(PORT)),
            spec: pod,
        },
    };
    let in_chart = [
        "          - metrics".to_owned(),
        "          - --listen".to_owned(),
        format!("          - {listen}"),
        "          - --monitor".to_owned(),
        "          - {{ printf \"http://%s\" .Values.broker.monitoring | quote }}".to_owned(),
        "          - --verify-audit".to_owned(),
        "          - {{ .Values.metrics.verify_audit | quote }}".to_owned(),
    ];
    command::tunables(Document::of(&Object::new(meta, spec)), POD)
        .tunable_below(&format!("{POD}/containers/0/args"), &in_chart)
        .because("spec/replicas", "One is enough. Another does no harm: both tell the same.")
        .because(
            &format!("{POD}/containers/0/args"),
            "Functions at zero tell nothing, and streams never do. Each scrape is one look at the broker; the audit trail is read from end to end once a day.",
        )
        .because(
            &format!("{POD}/containers/0/livenessProbe/httpGet"),
            "It tells only whether the process answers: a broker that is away is what it is there to tell of. One that denies its user something ends it with 78.",
        )
}

fn policy(deploy: &Deploy, meta: Meta) -> Document {
    let spec = NetworkPolicySpec {
        pod_selector: Selector { match_labels: names::selector(names::METRICS) },
        policy_types: vec!["Ingress", "Egress"],
        ingress: vec![PolicyRule { to: Vec::new(), ports: vec![PolicyPort { port: PORT, protocol: "TCP" }] }],
        egress: egress::common(&deploy.broker.url).into_iter().chain(egress(deploy)).collect(),
    };
    let both = "{{- concat .Values.egress .Values.metrics.egress | toYaml | nindent 2 }}".to_owned();
    Document::of(&Object::new(meta, spec))
        .tunable("metadata/namespace", NAMESPACE)
        .tunable_below("spec/egress", &[both])
        .because("spec/ingress", "Probes and metrics.")
        .because("spec/egress", "DNS, the broker, and its monitoring endpoint.")
}
