//! Knative Eventing's sources: `sources.knative.dev/v1`.

use std::collections::BTreeMap;

use keda::parts::Kind;
use serde::Serialize;

use crate::kube::eventing::Reference;

/// Who is told, as `K_SINK`, where its events go.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SinkBindingSpec {
    pub(crate) subject: Reference,
    pub(crate) sink: Destination,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ce_overrides: Option<Overrides>,
}

/// Where events go.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Destination {
    Ref(Reference),
    Uri(String),
}

/// What is added to each.
#[derive(Debug, Serialize)]
pub(crate) struct Overrides {
    pub(crate) extensions: BTreeMap<String, String>,
}

impl Kind for SinkBindingSpec {
    const API: &'static str = "sources.knative.dev/v1";
    const KIND: &'static str = "SinkBinding";
}
