//! Objects of Kubernetes, as they stand in files or come out of a chart, and what they refer to.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde::Deserialize;
use serde_json::Value;

/// An object.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Object(Value);

/// The objects in the files of a directory.
pub(crate) fn committed(directory: &Path) -> Vec<Object> {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let objects = yaml.flat_map(|path| objects(&std::fs::read_to_string(path).unwrap()));
    objects.filter(|object| !["Kustomization", "Component"].contains(&object.kind())).collect()
}

/// What helm says to a chart with `values` in place of its own.
pub(crate) fn helm(chart: &Path, values: &[&str]) -> Output {
    let mut helm = Command::new(std::env::var_os("HELM").unwrap_or_else(|| "helm".into()));
    helm.args(["template", "jetlag", "--namespace", "jetlag"]).arg(chart);
    for value in values {
        helm.args(["--set", value]);
    }
    helm.output().expect("helm is on the search path, or HELM names it")
}

/// The objects that a chart renders.
pub(crate) fn rendered(chart: &Path, values: &[&str]) -> Vec<Object> {
    let output = helm(chart, values);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout).unwrap())
}

/// The objects that kustomize builds of a directory.
pub(crate) fn built(directory: &Path) -> Vec<Object> {
    let mut kustomize = Command::new(std::env::var_os("KUSTOMIZE").unwrap_or_else(|| "kustomize".into()));
    let output = kustomize.arg("build").arg(directory).output();
    let output = output.expect("kustomize is on the search path, or KUSTOMIZE names it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout).unwrap())
}

fn objects(text: &str) -> Vec<Object> {
    serde_yaml::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

impl Object {
    pub(crate) fn value(&self) -> &Value {
        &self.0
    }

    pub(crate) fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// The labels of its pods.
    pub(crate) fn pod_labels(&self) -> Option<BTreeSet<(String, String)>> {
        let spec = &self.0["spec"];
        let spec = spec.get("jobTemplate").map_or(spec, |template| &template["spec"]);
        spec.get("template").map(|template| labels(&template["metadata"]["labels"]))
    }

    /// The labels by which it finds pods.
    pub(crate) fn selector(&self) -> Option<BTreeSet<(String, String)>> {
        let spec = &self.0["spec"];
        let selector = spec.get("selector").or_else(|| spec.get("podSelector"))?;
        Some(labels(selector.get("matchLabels").unwrap_or(selector)))
    }

    /// What it names, as kind and name.
    pub(crate) fn references(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        refer(&self.0, &mut found);
        found
    }
}

fn labels(value: &Value) -> BTreeSet<(String, String)> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn refer(value: &Value, found: &mut BTreeSet<String>) {
    let mut to = |kind: &str, name: &Value| {
        if let Some(name) = name.as_str() {
            found.insert(format!("{kind}/{name}"));
        }
    };
    for (key, value) in value.as_object().into_iter().flatten() {
        match key.as_str() {
            "configMapRef" | "configMap" => to("ConfigMap", &value["name"]),
            "configMapTargetRef" => {
                for parameter in value.as_array().into_iter().flatten() {
                    to("ConfigMap", &parameter["name"]);
                }
            }
            "secretKeyRef" => to("Secret", &value["name"]),
            "secret" => to("Secret", &value["secretName"]),
            "serviceAccountName" => to("ServiceAccount", value),
            "authenticationRef" => to("TriggerAuthentication", &value["name"]),
            "scaleTargetRef" => to("Deployment", &value["name"]),
            _ => {}
        }
    }
    let children = value.as_object().into_iter().flat_map(|object| object.values());
    for child in children.chain(value.as_array().into_iter().flatten()) {
        refer(child, found);
    }
}
