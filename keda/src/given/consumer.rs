//! A consumer as the JetStream controller's object has it.

use serde::Deserialize;

use super::Metadata;

/// A consumer of JetStream.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Consumer {
    /// Its name in Kubernetes.
    pub metadata: Metadata,
    /// What it says.
    pub spec: ConsumerSpec,
}

/// What it says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerSpec {
    /// Its name in the broker.
    pub durable_name: Option<String>,
    /// The stream that it reads.
    pub stream_name: String,
    /// `none`, `all` or `explicit`.
    pub ack_policy: Option<String>,
    /// Such as `30s`.
    pub ack_wait: Option<String>,
    /// How often an input is delivered.
    pub max_deliver: Option<i64>,
    /// How many inputs may be unanswered.
    pub max_ack_pending: Option<i64>,
    /// The waits before it delivers again.
    pub backoff: Vec<String>,
}
