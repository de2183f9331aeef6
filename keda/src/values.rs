//! What can be tuned in the chart: its values, and how a template speaks of them.

use std::collections::BTreeMap;

use jetlag::{Description, Source};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::deploy::{BrokerClass, BrokerPlace, Class, Deploy, Images, Metric, Resources, Streams};
use crate::egress;
use crate::environment::Environment;
use crate::kube::network::PolicyRule;
use crate::requests::Settled;
use crate::scaling::{lag_threshold, seconds};
use crate::workload::{HTTP_REPLICAS, takes_requests};
use crate::{command, exporter};

/// values.yaml.
#[derive(Debug, Serialize)]
pub(crate) struct Values {
    images: Images,
    broker: BrokerPlace,
    streams: Streams,
    egress: Vec<PolicyRule>,
    rescue: RescueValues,
    metrics: MetricsValues,
    knative: KnativeValues,
    functions: BTreeMap<String, FunctionValues>,
}

#[derive(Debug, Serialize)]
struct RescueValues {
    schedule: String,
}

/// How what the broker alone knows is told.
#[derive(Debug, Serialize)]
struct MetricsValues {
    verify_audit: &'static str,
    egress: Vec<PolicyRule>,
}

#[derive(Debug, Serialize)]
struct KnativeValues {
    serving: bool,
    eventing: bool,
    broker: String,
    broker_class: BrokerClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<String>,
}

#[derive(Debug, Serialize)]
struct FunctionValues {
    env: BTreeMap<String, String>,
    egress: Vec<PolicyRule>,
    resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<HttpValues>,
    #[serde(skip_serializing_if = "Option::is_none")]
    knative: Option<RequestValues>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling: Option<ScalingValues>,
}

#[derive(Debug, Serialize)]
struct HttpValues {
    replicas: u32,
}

/// How Knative runs it, in the words of its annotations.
#[derive(Debug, Serialize)]
struct RequestValues {
    class: Class,
    metric: Metric,
    target: u32,
    min: u32,
    max: u32,
    scale_down_delay_s: u64,
    initial: u32,
    concurrency: u32,
    timeout_s: u64,
}

#[derive(Debug, Serialize)]
struct ScalingValues {
    min: u32,
    max: u32,
    lag: u32,
    cooldown_s: u64,
    polling_s: u64,
}

/// Of the values of `function`, the one at `path`, as an expression.
pub fn of_function(function: &str, path: &str) -> String {
    format!("(index .Values.functions {function:?}).{path}")
}

/// The image of the program `name`, as an expression.
pub fn image(name: &str) -> String {
    format!("printf \"%s{name}:%s\" .Values.images.prefix .Values.images.tag")
}

impl Values {
    /// The values by which the chart comes to what `deploy` says.
    pub(crate) fn of(functions: &[Description], deploy: &Deploy) -> Self {
        let of_function = |function: &Description| {
            let environment = Environment::of(function, deploy);
            let own = deploy.functions.get(&function.name);
            let values = FunctionValues {
                env: environment.own,
                egress: egress::rules(&environment.places),
                resources: own.map(|own| own.resources.clone()).unwrap_or_default(),
                http: takes_requests(function).then_some(HttpValues { replicas: HTTP_REPLICAS }),
                knative: takes_requests(function).then(|| RequestValues::of(&Settled::of(function, deploy))),
                scaling: reads(function).then(|| ScalingValues {
                    min: function.scaling.min,
                    max: function.scaling.max,
                    lag: lag_threshold(function),
                    cooldown_s: seconds(function.scaling.cooldown_ms),
                    polling_s: seconds(function.scaling.polling_ms),
                }),
            };
            (function.name.clone(), values)
        };
        Self {
            images: deploy.images.clone(),
            broker: deploy.broker.clone(),
            streams: deploy.streams,
            egress: egress::common(&deploy.broker.url),
            rescue: RescueValues { schedule: command::schedule(&deploy.streams).0 },
            metrics: MetricsValues { verify_audit: exporter::VERIFY_AUDIT, egress: exporter::egress(deploy) },
            knative: KnativeValues {
                serving: false,
                eventing: false,
                broker: deploy.eventing.broker.clone(),
                broker_class: deploy.eventing.class,
                dead_letters: deploy.eventing.dead_letters.clone(),
            },
            functions: functions.iter().map(of_function).collect(),
        }
    }

    /// Their JSON Schema, by which `helm` tells a misspelt value: the shape of the defaults.
    pub(crate) fn schema(&self) -> Value {
        let values = serde_json::to_value(self).unwrap_or_default();
        let mut schema = shape("", &values);
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
        }
        schema
    }
}

impl RequestValues {
    const fn of(settled: &Settled) -> Self {
        let Settled { class, metric, target, min, max, scale_down_delay_s, initial, concurrency, timeout_s } =
            *settled;
        Self { class, metric, target, min, max, scale_down_delay_s, initial, concurrency, timeout_s }
    }
}

/// Whether `function` has consumers, and so something to be scaled on.
pub(crate) fn reads(function: &Description) -> bool {
    let has_inputs =
        function.reads == Source::Audit || !function.listens_to.is_empty() || !function.admits.is_empty();
    function.trigger.pulls() && has_inputs
}

fn shape(name: &str, value: &Value) -> Value {
    match (name, value) {
        // Other values may be said here than the defaults have.
        ("env", _) => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        (_, Value::Array(_)) => json!({"type": "array"}),
        (_, Value::Bool(_)) => json!({"type": "boolean"}),
        (_, Value::Number(_)) => json!({"type": "integer", "minimum": 0}),
        (_, Value::Object(fields)) => {
            let mut properties: Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), shape(name, value))).collect();
            if name.is_empty() {
                // Helm adds it where the chart is part of another.
                properties.insert("global".into(), json!({"type": "object"}));
            }
            json!({"type": "object", "properties": properties, "additionalProperties": false})
        }
        _ => json!({"type": "string"}),
    }
}
