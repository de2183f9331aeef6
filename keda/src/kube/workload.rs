//! Deployments, and how many of their pods may be taken away at a time.

use serde::Serialize;

use super::identity::{Kind, Labels};
use super::pod::PodTemplate;

/// What a Deployment runs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeploymentSpec {
    /// Absent where an autoscaler says it: applying the manifest again would undo what it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replicas: Option<u32>,
    pub(crate) revision_history_limit: u32,
    pub(crate) selector: Selector,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strategy: Option<Strategy>,
    pub(crate) template: PodTemplate,
}

/// How pods are replaced.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Strategy {
    rolling_update: RollingUpdate,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RollingUpdate {
    max_surge: u32,
    max_unavailable: u32,
}

impl Strategy {
    /// A new one is ready before an old one goes.
    pub(crate) const fn one_more() -> Self {
        Self { rolling_update: RollingUpdate { max_surge: 1, max_unavailable: 0 } }
    }
}

/// Which pods.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Selector {
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub(crate) match_labels: Labels,
}

/// How many pods may be taken away at a time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DisruptionBudgetSpec {
    pub(crate) max_unavailable: u32,
    pub(crate) selector: Selector,
}

impl Kind for DeploymentSpec {
    const API: &'static str = "apps/v1";
    const KIND: &'static str = "Deployment";
}

impl Kind for DisruptionBudgetSpec {
    const API: &'static str = "policy/v1";
    const KIND: &'static str = "PodDisruptionBudget";
}
