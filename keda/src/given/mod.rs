//! Kubernetes objects as somebody else wrote them: read with all their freedoms, only as far as they are understood.
//!
//! What is generated is written from other types, which cannot say anything wrong. These can: a linter and a local scaler
//! read what is there.

mod consumer;
mod deployment;
mod knative;
mod scaled_object;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use consumer::{Consumer, ConsumerSpec};
pub use deployment::{
    Container, Deployment, DeploymentSpec, Lifecycle, Pod, PodTemplate, Port, Probe, Variable,
};
pub use knative::{
    Delivery, Destination, EventTrigger, EventTriggerSpec, Filter, KnativeService, KnativeServiceSpec,
    Reference, Revision, RevisionTemplate, SinkBinding, SinkBindingSpec, Subscriber,
};
pub use scaled_object::{
    Advanced, Fallback, HpaBehavior, HpaConfig, Policy, Rules, ScaledObject, ScaledObjectSpec, Target,
    Trigger,
};

/// An object that is understood.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a handful of them, read once")]
pub enum Given {
    /// KEDA's.
    ScaledObject(ScaledObject),
    /// Kubernetes'.
    Deployment(Deployment),
    /// Of the JetStream controller (NACK), for teams whose consumers are Kubernetes objects too.
    Consumer(Consumer),
    /// Of Knative Serving.
    Service(KnativeService),
    /// Of Knative Eventing.
    Trigger(EventTrigger),
    /// Of Knative Eventing, too.
    Binding(SinkBinding),
}

/// What every object has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Settings of those who look after it.
    pub annotations: BTreeMap<String, Value>,
}

/// A text is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no YAML.
    #[error("it is no YAML (a template of a chart must be rendered first: `helm template`)")]
    Yaml(#[source] serde_yaml::Error),
    /// An object is not of the form that its kind has.
    #[error("the {kind} {name} is not of that form")]
    Form {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Where.
        #[source]
        source: serde_json::Error,
    },
}

/// The objects in `text`, which may hold several; those of other kinds are left out.
///
/// # Errors
/// It is no YAML, or an object of a kind that is understood is not of its form.
pub fn read(text: &str) -> Result<Vec<Given>, Unreadable> {
    let documents: Vec<Value> = serde_yaml::from_multiple(text).map_err(Unreadable::Yaml)?;
    let mut objects = Vec::new();
    for document in documents {
        let items = match document.get("items") {
            Some(Value::Array(items)) => items.clone(),
            _ => vec![document],
        };
        for item in items {
            objects.extend(object(item)?);
        }
    }
    Ok(objects)
}

fn object(value: Value) -> Result<Option<Given>, Unreadable> {
    let text = |at: &str| value.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let group = api.split_once('/').map_or("", |(group, _)| group);
    Ok(match (group, kind.as_str()) {
        ("keda.sh", "ScaledObject") => Some(Given::ScaledObject(typed(value, kind, name)?)),
        ("apps", "Deployment") => Some(Given::Deployment(typed(value, kind, name)?)),
        ("jetstream.nats.io", "Consumer") => Some(Given::Consumer(typed(value, kind, name)?)),
        ("serving.knative.dev", "Service") => Some(Given::Service(typed(value, kind, name)?)),
        ("eventing.knative.dev", "Trigger") => Some(Given::Trigger(typed(value, kind, name)?)),
        // Of another group it is a mistake, which is told.
        (group, "SinkBinding") if group.ends_with("knative.dev") => {
            Some(Given::Binding(typed(value, kind, name)?))
        }
        _ => None,
    })
}

fn typed<T: DeserializeOwned>(value: Value, kind: String, name: String) -> Result<T, Unreadable> {
    serde_json::from_value(value).map_err(|source| Unreadable::Form { kind, name, source })
}

/// A plain number or a text of one: people write both.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_objects_and_lists_are_read_and_other_kinds_left_out() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n\
            - {apiVersion: apps/v1, kind: Deployment, metadata: {name: b}, spec: {replicas: 2}}\n\
            - {apiVersion: extensions/v1, kind: ScaledObject, metadata: {name: c}}\n";
        let given = read(text).unwrap();
        let [Given::Deployment(deployment)] = given.as_slice() else { panic!("{given:?}") };
        assert_eq!((deployment.metadata.name.as_str(), deployment.spec.replicas), ("b", Some(2)));
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let told = |text: &str| format!("{:#}", anyhow_like(&read(text).unwrap_err()));
        assert!(told("a: {{ .Values.b }}\n: :").contains("helm template"));
        let wrong =
            told("{apiVersion: apps/v1, kind: Deployment, metadata: {name: b}, spec: {replicas: many}}");
        assert!(wrong.contains("the Deployment b") && wrong.contains("many"), "{wrong}");
    }

    /// An error with its sources.
    fn anyhow_like(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}
