//! Knative's objects, as far as they say how a function is run, and how events come to it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Container, Metadata};

/// A Service of Knative Serving.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct KnativeService {
    /// Its name, and its own annotations.
    pub metadata: Metadata,
    /// What it says.
    pub spec: KnativeServiceSpec,
}

/// What it says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct KnativeServiceSpec {
    /// What each version is made of.
    pub template: RevisionTemplate,
}

/// What each version is made of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RevisionTemplate {
    /// Its annotations say how it is scaled.
    pub metadata: Metadata,
    /// What it runs.
    pub spec: Revision,
}

/// A version.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Revision {
    /// How many requests a pod is given at a time; any number if it is 0 or not said.
    pub container_concurrency: Option<u64>,
    /// How long one request may take, and a pod to stop.
    pub timeout_seconds: Option<u64>,
    /// What runs in it.
    pub containers: Vec<Container>,
}

/// A Trigger of Knative Eventing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EventTrigger {
    /// Its name.
    pub metadata: Metadata,
    /// What it says.
    pub spec: EventTriggerSpec,
}

/// What it says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EventTriggerSpec {
    /// Which events; all of them if it says nothing.
    pub filter: Option<Filter>,
    /// Who gets them.
    pub subscriber: Subscriber,
    /// What becomes of those that are not taken.
    pub delivery: Option<Delivery>,
}

/// Only events with these attributes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// By their names.
    pub attributes: BTreeMap<String, String>,
}

/// Who gets events.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Subscriber {
    /// An object.
    pub r#ref: Option<Reference>,
}

/// An object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reference {
    /// Its group and version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name; objects may also be chosen by their labels.
    pub name: String,
}

/// What becomes of an event that is not taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Delivery {
    /// How often it is sent again.
    pub retry: Option<u32>,
    /// How waits grow.
    pub backoff_policy: Option<String>,
    /// The first of them, as ISO 8601 has it.
    pub backoff_delay: Option<String>,
    /// Where it goes when that does not help.
    pub dead_letter_sink: Option<serde_json::Value>,
}

/// A SinkBinding of Knative Eventing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SinkBinding {
    /// Its group and version.
    pub api_version: String,
    /// Its name.
    pub metadata: Metadata,
    /// What it says.
    pub spec: SinkBindingSpec,
}

/// What it says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SinkBindingSpec {
    /// Who is told where its events go.
    pub subject: Reference,
    /// Where they go.
    pub sink: Destination,
}

/// Where events go.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// An object that has an address.
    pub r#ref: Option<Reference>,
    /// A URL; beside an object, a path of its address.
    pub uri: Option<String>,
}
