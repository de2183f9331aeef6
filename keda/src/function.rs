//! All objects of one function, in the order in which they are read.

use jetlag::Description;

use crate::deploy::Deploy;
use crate::document::Document;
use crate::egress;
use crate::environment::Environment;
use crate::kube::identity::{ConfigMap, Labels, Meta, Object, ServiceAccount};
use crate::kube::network::{NetworkPolicySpec, PolicyPort, PolicyRule, ServicePort, ServiceSpec};
use crate::kube::workload::{DisruptionBudgetSpec, Selector};
use crate::names;
use crate::scaling::scaled_object;
use crate::workload::{Component, PORT, deployment};

/// The port under which requests are taken in the cluster.
const REQUESTS_PORT: u16 = 80;

/// The objects of `function`, and what is wrong with what `deploy` says about it.
pub(crate) fn objects(function: &Description, deploy: &Deploy) -> (Vec<Document>, Vec<String>) {
    let name = &function.name;
    let (environment, faults) = Environment::of(function, deploy);
    let labels = names::labels_of(name);
    let meta = |object: &str| Meta::of(object, &deploy.namespace, &labels);
    let takes_requests = !function.endpoints.is_empty();
    let reads = function.reads == jetlag::Source::Audit
        || !function.listens_to.is_empty()
        || !function.admits.is_empty();

    let mut documents = vec![
        Document::of(&ServiceAccount::new(meta(name))),
        Document::of(&ConfigMap::new(meta(name), environment.data.clone())),
    ];
    if reads {
        documents.push(deployment(function, deploy, &environment, Component::Stream));
        documents.push(scaled_object(function, deploy));
        if function.scaling.min > 1 {
            documents.push(budget(meta(name), names::selector_of_component(name, Component::Stream.name())));
        }
    }
    if takes_requests {
        documents.push(deployment(function, deploy, &environment, Component::Http));
        let http = names::selector_of_component(name, Component::Http.name());
        documents.push(budget(meta(&names::http(name)), http.clone()));
        documents.push(requests(meta(name), http));
    }
    documents.push(metrics(meta(&names::metrics(name)), name));
    documents.push(policy(meta(name), name, &environment));
    (documents, faults)
}

fn budget(meta: Meta, selector: Labels) -> Document {
    let spec = DisruptionBudgetSpec { max_unavailable: 1, selector: Selector { match_labels: selector } };
    Document::of(&Object::new(meta, spec)).because(
        "spec/maxUnavailable",
        "There are always at least two. Functions that scale to zero have no budget: it would keep a node from being drained for a process whose work goes on elsewhere.",
    )
}

fn requests(meta: Meta, selector: Labels) -> Document {
    let port = ServicePort { name: "http", port: REQUESTS_PORT, target_port: "http" };
    let spec =
        ServiceSpec { cluster_ip: None, publish_not_ready_addresses: None, selector, ports: vec![port] };
    Document::of(&Object::new(meta, spec))
}

fn metrics(meta: Meta, name: &str) -> Document {
    let spec = ServiceSpec {
        cluster_ip: Some("None"),
        publish_not_ready_addresses: Some(true),
        selector: names::selector(name),
        ports: vec![ServicePort { name: "metrics", port: PORT, target_port: "http" }],
    };
    Document::of(&Object::new(meta, spec))
        .because("spec/clusterIP", "Every process is asked by itself, ready or not, at /metrics.")
}

fn policy(meta: Meta, name: &str, environment: &Environment) -> Document {
    let spec = NetworkPolicySpec {
        pod_selector: Selector { match_labels: names::selector(name) },
        policy_types: vec!["Ingress", "Egress"],
        ingress: vec![PolicyRule { to: Vec::new(), ports: vec![PolicyPort { port: PORT, protocol: "TCP" }] }],
        egress: egress::rules(&environment.places),
    };
    Document::of(&Object::new(meta, spec))
        .because("spec/ingress", "Probes, metrics, and requests where the function takes them.")
        .because(
            "spec/egress",
            "DNS, the broker, and whom the ConfigMap names. A policy knows no host names: a place outside of the cluster is its port on any address. Ports are those of pods, behind their Service.",
        )
}
