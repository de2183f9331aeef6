//! kustomization.yaml, and what it patches.

use serde::Serialize;

/// What `kubectl apply -k` reads first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kustomization {
    api_version: &'static str,
    kind: &'static str,
    /// Files and directories of objects.
    pub resources: Vec<String>,
    /// Parts that are taken in after those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Changes of what is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
}

/// A change of some objects.
#[derive(Debug, Serialize)]
pub struct Patch {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
}

/// Which objects.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label_selector: Option<&'static str>,
}

impl Kustomization {
    /// Of these files and directories.
    pub fn of(resources: impl Iterator<Item = String>) -> Self {
        Self {
            api_version: "kustomize.config.k8s.io/v1beta1",
            kind: "Kustomization",
            resources: resources.collect(),
            components: Vec::new(),
            patches: Vec::new(),
        }
    }

    /// A part that an overlay may take in.
    pub fn component(resources: impl Iterator<Item = String>) -> Self {
        Self { api_version: "kustomize.config.k8s.io/v1alpha1", kind: "Component", ..Self::of(resources) }
    }
}

impl Patch {
    /// Puts `value` at `path` of every object of `kind` that `labels` selects.
    pub fn replace(
        kind: &'static str,
        labels: Option<&'static str>,
        path: &str,
        value: impl std::fmt::Display,
    ) -> Self {
        let patch = format!("- op: replace\n  path: {path}\n  value: {value}\n");
        Self { path: None, target: Some(Target { kind, label_selector: labels }), patch: Some(patch) }
    }

    /// Takes the object away.
    pub fn delete(api: &str, kind: &str, name: &str, namespace: &str) -> Self {
        let patch = format!(
            "$patch: delete\napiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
        );
        Self { path: None, target: None, patch: Some(patch) }
    }

    /// Merges the object in this file into the one that is there.
    pub fn merge(path: &str) -> Self {
        Self { path: Some(path.to_owned()), target: None, patch: None }
    }
}
