//! All objects of one function, in the order in which they are read.

use jetlag::Description;

use crate::deploy::Deploy;
use crate::document::Document;
use crate::egress;
use crate::environment::Environment;
use crate::kube::identity::{ConfigMap, Labels, Meta, Object};
use crate::kube::network::{NetworkPolicySpec, PolicyPort, PolicyRule, ServicePort, ServiceSpec};
use crate::kube::workload::{DisruptionBudgetSpec, Selector};
use crate::requests::Settled;
use crate::scaling::scaled_object;
use crate::shared::account;
use crate::workload::{Component, PORT, deployment, takes_requests};
use crate::{chart, names, values};

/// The port under which requests are taken in the cluster.
const REQUESTS_PORT: u16 = 80;

/// In the chart, the namespace is the one that it is installed into.
pub(crate) const NAMESPACE: &str = ".Release.Namespace";

/// The objects of `function`, and what is wrong with what `deploy` says about it.
pub(crate) fn objects(function: &Description, deploy: &Deploy) -> (Vec<Document>, Vec<String>) {
    let name = &function.name;
    let environment = Environment::of(function, deploy);
    let labels = names::labels_of(name);
    let meta = |object: &str| Meta::of(object, &deploy.namespace, &labels);
    let content = [format!("{{{{ include {:?} . | nindent 2 }}}}", chart::config(name))];
    let mut documents = vec![
        account(meta(name), deploy),
        Document::of(&ConfigMap::new(meta(name), environment.data()))
            .tunable("metadata/namespace", NAMESPACE)
            .tunable_below("data", &content),
    ];
    if values::reads(function) {
        documents.push(deployment(function, deploy, &environment, Component::Stream));
        documents.push(scaled_object(function, deploy));
        if function.scaling.min > 1 {
            documents.push(budget(meta(name), names::selector_of_component(name, Component::Stream.name())));
        }
    }
    if takes_requests(function) {
        let http = names::selector_of_component(name, Component::Http.name());
        let always = [
            deployment(function, deploy, &environment, Component::Http),
            budget(meta(&names::http(name)), http.clone()),
            requests(meta(name), http),
        ];
        documents.extend(always.map(|document| document.only_if("not .Values.knative.serving")));
    }
    documents.push(metrics_service(meta(&names::metrics(name)), name, PORT));
    documents.push(policy(meta(name), name, deploy, &environment));
    let faults = environment.faults.into_iter().chain(Settled::faults(function, deploy)).collect();
    (documents, faults)
}

fn budget(meta: Meta, selector: Labels) -> Document {
    let spec = DisruptionBudgetSpec { max_unavailable: 1, selector: Selector { match_labels: selector } };
    Document::of(&Object::new(meta, spec)).tunable("metadata/namespace", NAMESPACE).because(
        "spec/maxUnavailable",
        "There are always at least two. Functions that scale to zero have no budget: it would keep a node from being drained for a process whose work goes on elsewhere.",
    )
}

fn requests(meta: Meta, selector: Labels) -> Document {
    let port = ServicePort { name: "http", port: REQUESTS_PORT, target_port: "http" };
    let spec =
        ServiceSpec { cluster_ip: None, publish_not_ready_addresses: None, selector, ports: vec![port] };
    Document::of(&Object::new(meta, spec)).tunable("metadata/namespace", NAMESPACE)
}

/// The Service by which Prometheus finds the pods of `name`, which tell their metrics on `port`.
pub(crate) fn metrics_service(meta: Meta, name: &str, port: u16) -> Document {
    let spec = ServiceSpec {
        cluster_ip: Some("None"),
        publish_not_ready_addresses: Some(true),
        selector: names::selector(name),
        ports: vec![ServicePort { name: "metrics", port, target_port: "http" }],
    };
    Document::of(&Object::new(meta, spec))
        .tunable("metadata/namespace", NAMESPACE)
        .because("spec/clusterIP", "Every process is asked by itself, ready or not, at /metrics.")
}

fn policy(meta: Meta, name: &str, deploy: &Deploy, environment: &Environment) -> Document {
    let own = egress::rules(&environment.places);
    let both = format!("concat .Values.egress {}", values::of_function(name, "egress"));

    let spec = NetworkPolicySpec {
        pod_selector: Selector { match_labels: names::selector(name) },
        policy_types: vec!["Ingress", "Egress"],
        ingress: vec![PolicyRule { to: Vec::new(), ports: vec![PolicyPort { port: PORT, protocol: "TCP" }] }],
        egress: egress::common(&deploy.broker.url).into_iter().chain(own).collect(),
    };
    Document::of(&Object::new(meta, spec))
        .tunable("metadata/namespace", NAMESPACE)
        .tunable_below("spec/egress", &[format!("{{{{- {both} | toYaml | nindent 2 }}}}")])
        .because("spec/ingress", "Probes, metrics, and requests where the function takes them.")
        .because(
            "spec/egress",
            "DNS, the broker, and whom the ConfigMap names. A policy knows no host names: a place outside of the cluster is its port on any address. Ports are those of pods, behind their Service.",
        )
}
