//! Knative Eventing's objects: `eventing.knative.dev/v1`.

use std::collections::BTreeMap;

use keda::parts::Kind;
use serde::Serialize;

/// Where events are sent to, to be passed on. Everything about it is in its annotations, and in the settings of the cluster.
#[derive(Debug, Serialize)]
pub(crate) struct BrokerSpec {}

/// Which events go to whom.
#[derive(Debug, Serialize)]
pub(crate) struct TriggerSpec {
    pub(crate) broker: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<Filter>,
    pub(crate) subscriber: Subscriber,
    pub(crate) delivery: Delivery,
}

/// Only events with these attributes.
#[derive(Debug, Serialize)]
pub(crate) struct Filter {
    pub(crate) attributes: BTreeMap<&'static str, String>,
}

/// Who gets them.
#[derive(Debug, Serialize)]
pub(crate) struct Subscriber {
    pub(crate) r#ref: Reference,
}

/// An object of the same namespace.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reference {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
}

/// What becomes of an event that was not taken.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    pub(crate) retry: u32,
    pub(crate) backoff_policy: &'static str,
    pub(crate) backoff_delay: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_sink: Option<Sink>,
}

/// Where something is sent.
#[derive(Debug, Serialize)]
pub(crate) struct Sink {
    pub(crate) uri: String,
}

impl Kind for BrokerSpec {
    const API: &'static str = "eventing.knative.dev/v1";
    const KIND: &'static str = "Broker";
}

impl Kind for TriggerSpec {
    const API: &'static str = "eventing.knative.dev/v1";
    const KIND: &'static str = "Trigger";
}
