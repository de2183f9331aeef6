//! What manifests are made of, for whoever makes others of the same functions: the crate `knative`.

use jetlag::Description;

pub use crate::document::Document;
use crate::environment::Environment;
pub use crate::kube::identity::{Kind, Labels, Meta, Object, labels};
use crate::kube::network::{NetworkPolicySpec, PolicyPort, PolicyRule};
pub use crate::kube::pod::{EnvFrom, EnvVar, Quantities};
use crate::kube::workload::Selector;
pub use crate::kustomization::{Kustomization, Patch};
pub use crate::names::{http as http_name, labels_of, labels_of_component};
pub use crate::values::{image as image_expression, of_function as value_of};
use crate::workload::Component;
pub use crate::workload::{PORT, takes_requests};
use crate::{Deploy, chart, manifests, workload};

/// Objects that the chart has where `condition` holds, under the name of their file.
#[derive(Debug, Clone)]
pub struct Page {
    /// The file, without its ending.
    pub name: String,
    /// A value of the chart.
    pub condition: &'static str,
    /// What is in it.
    pub documents: Vec<Document>,
}

/// In the chart, the namespace is the one that it is installed into.
pub const NAMESPACE: &str = crate::function::NAMESPACE;

/// The component of a function that takes requests.
pub const HTTP: &str = Component::Http.name();

/// A file of `documents`, with what every file begins with.
pub fn page(documents: &[Document]) -> String {
    manifests::page(documents)
}

/// What the variables of `function` that are secret are taken from.
pub fn secrets(function: &Description) -> Vec<EnvVar> {
    workload::secrets(function)
}

/// A checksum of what `function` is told, and the same as an expression.
pub fn checksum(function: &Description, deploy: &Deploy) -> (String, String) {
    (Environment::of(function, deploy).checksum(), chart::checksum(&function.name))
}

/// A policy that lets everybody reach these ports of `pods`.
pub fn opening(meta: Meta, pods: Labels, ports: &[u16]) -> Document {
    let ports = ports.iter().map(|port| PolicyPort { port: *port, protocol: "TCP" }).collect();
    let spec = NetworkPolicySpec {
        pod_selector: Selector { match_labels: pods },
        policy_types: vec!["Ingress"],
        ingress: vec![PolicyRule { to: Vec::new(), ports }],
        egress: Vec::new(),
    };
    Document::of(&Object::new(meta, spec)).tunable("metadata/namespace", NAMESPACE)
}
