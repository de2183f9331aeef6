//! kustomization.yaml.

use serde::Serialize;

/// What `kubectl apply -k` reads first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kustomization {
    api_version: &'static str,
    kind: &'static str,
    resources: Vec<String>,
}

impl Kustomization {
    pub(crate) fn of(resources: impl Iterator<Item = String>) -> Self {
        Self {
            api_version: "kustomize.config.k8s.io/v1beta1",
            kind: "Kustomization",
            resources: resources.collect(),
        }
    }
}
