//! A Deployment, as far as it matters to how a function stops and is scaled.

use serde::Deserialize;
use serde_json::Value;

use super::Metadata;

/// A Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Its name.
    pub metadata: Metadata,
    /// What it says.
    pub spec: DeploymentSpec,
}

/// What it says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DeploymentSpec {
    /// How many processes there are, if nobody else decides.
    pub replicas: Option<u32>,
    /// Its pods.
    pub template: PodTemplate,
}

/// A pod to be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// What it says.
    pub spec: Pod,
}

/// What a pod says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Pod {
    /// How long it may take to stop.
    pub termination_grace_period_seconds: Option<u64>,
    /// What runs in it.
    pub containers: Vec<Container>,
}

/// What runs in a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub ports: Vec<Port>,
    /// Its environment, as far as it is said here.
    pub env: Vec<Variable>,
    /// What kills it when it fails.
    pub liveness_probe: Option<Probe>,
    /// What is done when it is to stop.
    pub lifecycle: Option<Lifecycle>,
}

/// Where a container listens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Port {
    /// Its name.
    pub name: String,
}

/// A variable of the environment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, if it is said here.
    pub value: Option<String>,
}

/// How a container is asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Probe {
    /// By a request.
    pub http_get: Option<Value>,
}

/// What is done when a container is to stop.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Lifecycle {
    /// Before the signal.
    pub pre_stop: Option<Value>,
}

impl Container {
    /// The value of `variable`, if it is said in the Deployment.
    pub(crate) fn variable(&self, variable: &str) -> Option<&str> {
        self.env.iter().find(|known| known.name == variable)?.value.as_deref()
    }

    /// For how long it sleeps before it is told to stop.
    pub(crate) fn sleeps_s(&self) -> u64 {
        let stop = self.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        stop.and_then(|stop| stop.pointer("/sleep/seconds")).and_then(Value::as_u64).unwrap_or(0)
    }
}

impl Probe {
    /// The path that is asked for.
    pub(crate) fn path(&self) -> Option<&str> {
        self.http_get.as_ref()?.get("path")?.as_str()
    }
}
