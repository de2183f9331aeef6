//! KEDA's objects: `keda.sh/v1alpha1`, as KEDA 2.20 and 2.21 have them.

use serde::Serialize;

use super::identity::Kind;

/// How far, how fast.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScaledObjectSpec {
    pub(crate) scale_target_ref: Target,
    pub(crate) polling_interval: u64,
    pub(crate) cooldown_period: u64,
    pub(crate) min_replica_count: u32,
    pub(crate) max_replica_count: u32,
    pub(crate) fallback: Fallback,
    pub(crate) advanced: Advanced,
    pub(crate) triggers: Vec<Trigger>,
}

/// The Deployment that is scaled.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) name: String,
}

/// How many there are while KEDA cannot see the lag.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fallback {
    pub(crate) failure_threshold: u32,
    pub(crate) replicas: u32,
    pub(crate) behavior: &'static str,
}

/// Settings of the HPA that KEDA makes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Advanced {
    pub(crate) horizontal_pod_autoscaler_config: HpaConfig,
}

#[derive(Debug, Serialize)]
pub(crate) struct HpaConfig {
    pub(crate) behavior: HpaBehavior,
}

/// How fast the HPA may go.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HpaBehavior {
    pub(crate) scale_up: HpaRules,
    pub(crate) scale_down: HpaRules,
}

/// One direction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HpaRules {
    pub(crate) stabilization_window_seconds: u64,
    pub(crate) select_policy: &'static str,
    pub(crate) policies: Vec<HpaPolicy>,
}

/// At most so much in so long.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HpaPolicy {
    pub(crate) r#type: &'static str,
    pub(crate) value: u32,
    pub(crate) period_seconds: u64,
}

/// What is looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trigger {
    pub(crate) r#type: &'static str,
    pub(crate) name: String,
    pub(crate) metadata: TriggerMetadata,
    pub(crate) authentication_ref: AuthRef,
}

/// KEDA wants every value as a string.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TriggerMetadata {
    pub(crate) stream: String,
    pub(crate) consumer: String,
    pub(crate) lag_threshold: String,
    pub(crate) activation_lag_threshold: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct AuthRef {
    pub(crate) name: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthSpec {
    pub(crate) config_map_target_ref: Vec<AuthConfig>,
}

/// A parameter of the trigger, from a ConfigMap.
#[derive(Debug, Serialize)]
pub(crate) struct AuthConfig {
    pub(crate) parameter: &'static str,
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
}

impl Kind for ScaledObjectSpec {
    const API: &'static str = "keda.sh/v1alpha1";
    const KIND: &'static str = "ScaledObject";
}

impl Kind for AuthSpec {
    const API: &'static str = "keda.sh/v1alpha1";
    const KIND: &'static str = "TriggerAuthentication";
}
