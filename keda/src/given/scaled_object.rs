//! KEDA's ScaledObject, as KEDA 2.20 and 2.21 have it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Metadata;

/// A ScaledObject.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScaledObject {
    /// Its name, and the annotations that pause it.
    pub metadata: Metadata,
    /// What it says.
    pub spec: ScaledObjectSpec,
}

/// What it says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ScaledObjectSpec {
    /// What is scaled.
    pub scale_target_ref: Target,
    /// Seconds between two looks.
    pub polling_interval: Option<u64>,
    /// Seconds without lag until zero.
    pub cooldown_period: Option<u64>,
    /// The same for what was never active.
    pub initial_cooldown_period: Option<u64>,
    /// How many there are while there is no lag.
    pub idle_replica_count: Option<u32>,
    /// The least.
    pub min_replica_count: Option<u32>,
    /// The most.
    pub max_replica_count: Option<u32>,
    /// What is looked at.
    pub triggers: Vec<Trigger>,
    /// What is done when it cannot be seen.
    pub fallback: Option<Fallback>,
    /// The rest.
    pub advanced: Option<Advanced>,
}

/// What is scaled.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Target {
    /// Its name.
    pub name: String,
}

/// What is looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Trigger {
    /// `nats-jetstream`, and many more that are not understood here.
    pub r#type: String,
    /// Its name.
    pub name: Option<String>,
    /// `AverageValue` or `Value`.
    pub metric_type: Option<String>,
    /// Its settings.
    pub metadata: BTreeMap<String, Value>,
}

/// What is done when triggers cannot be read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Fallback {
    /// So many failures in a row are borne.
    pub failure_threshold: u32,
    /// How many processes there are then.
    pub replicas: u32,
    /// What that means.
    pub behavior: Option<String>,
}

/// The rest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Advanced {
    /// The HPA that KEDA makes.
    pub horizontal_pod_autoscaler_config: Option<HpaConfig>,
    /// A formula over several triggers.
    pub scaling_modifiers: Option<Value>,
}

/// The HPA that KEDA makes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct HpaConfig {
    /// Its name, unless it is `keda-hpa-` and that of the ScaledObject.
    pub name: Option<String>,
    /// How fast it scales.
    pub behavior: Option<HpaBehavior>,
}

/// How fast it scales.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HpaBehavior {
    /// To more.
    pub scale_up: Option<Rules>,
    /// To fewer.
    pub scale_down: Option<Rules>,
}

/// The rules of one direction.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rules {
    /// For how long a recommendation counts.
    pub stabilization_window_seconds: Option<u64>,
    /// `Max`, `Min` or `Disabled`.
    pub select_policy: Option<String>,
    /// How much may change in a time.
    pub policies: Option<Vec<Policy>>,
    /// How far from its target a lag must be.
    pub tolerance: Option<Value>,
}

/// How much may change in a time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Policy {
    /// `Pods` or `Percent`.
    pub r#type: String,
    /// How much.
    pub value: u32,
    /// In which time.
    pub period_seconds: u64,
}

impl ScaledObject {
    /// The name of the HPA that KEDA makes.
    pub(crate) fn hpa_name(&self) -> String {
        let own = self.hpa().and_then(|config| config.name.clone());
        own.unwrap_or_else(|| format!("keda-hpa-{}", self.metadata.name))
    }

    pub(crate) fn hpa(&self) -> Option<&HpaConfig> {
        self.spec.advanced.as_ref()?.horizontal_pod_autoscaler_config.as_ref()
    }
}

impl Trigger {
    /// The stream whose consumer is looked at.
    pub fn stream(&self) -> Option<&str> {
        self.text("stream")
    }

    /// The consumer whose lag is looked at.
    pub fn consumer(&self) -> Option<&str> {
        self.text("consumer")
    }

    /// A setting as text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_str()
    }

    /// A setting as a number, `default` if it is not there; `None` if it is none.
    pub(crate) fn number(&self, key: &str, default: u64) -> Option<u64> {
        self.metadata.get(key).map_or(Some(default), super::number)
    }
}
