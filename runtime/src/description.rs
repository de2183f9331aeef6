//! A contract as data: what `--describe` prints, and what every generator reads.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::PROCESSES_MAX;
use crate::{Scaling, Source, Terms, Trigger, Variable};

/// A function's contract as JSON. Any team's functions tell it, by `--describe`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// The function's name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// One sentence on what it does.
    pub summary: String,
    /// The stream that it reads.
    pub reads: Source,
    /// The types of event that it listens to; `*.*` is every type.
    pub listens_to: Vec<Kind>,
    /// The types of event that it emits.
    pub emits: Vec<Kind>,
    /// The types that it admits from publishers outside.
    pub admits: Vec<Kind>,
    /// The kinds of state that it owns.
    pub keeps: Vec<String>,
    /// How failed attempts are made again.
    pub retry: RetryDescription,
    /// How long one run of the handler may take, in milliseconds.
    pub time_limit_ms: u64,
    /// How many inputs are handled at a time in one process.
    pub concurrency: usize,
    /// How many inputs one run of the handler is given at most.
    pub batch: usize,
    /// When it stops asking a dependency that is down; nothing if it has no breaker.
    #[serde(default)]
    pub breaker: Option<BreakerDescription>,
    /// How many processes an autoscaler runs; as many as it likes up to ten if nothing is said.
    #[serde(default)]
    pub scaling: ScalingDescription,
    /// Where its inputs come from; from the streams if nothing is said.
    #[serde(default)]
    pub trigger: Trigger,
    /// The paths under which it takes requests over HTTP.
    #[serde(default)]
    pub endpoints: Vec<EndpointDescription>,
    /// The paths under which it tells what events say of one aggregate.
    #[serde(default)]
    pub views: Vec<ViewDescription>,
    /// The environment variables that it reads.
    #[serde(default)]
    pub variables: Vec<VariableDescription>,
}

/// A type of event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kind {
    /// Two tokens, such as `orders.placed`.
    #[serde(rename = "type")]
    pub name: String,
    /// What its events are about.
    pub aggregate: String,
    /// Whether an aggregate has at most one.
    pub once_per_aggregate: bool,
    /// The data of an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<serde_json::Value>,
}

/// How failed attempts are made again.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RetryDescription {
    /// The wait after the first failure.
    pub first_delay_ms: u64,
    /// The longest wait, before jitter.
    pub max_delay_ms: u64,
    /// How often the handler runs.
    pub max_attempts: u32,
}

/// When a dependency that is down is left alone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct BreakerDescription {
    /// How many consecutive outages are borne; one more opens it.
    pub failures: u32,
    /// How long it stays open before one input tries.
    pub open_for_ms: u64,
}

/// How many processes an autoscaler runs; see [`Scaling`](crate::Scaling).
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ScalingDescription {
    /// How many there are when there is nothing to do.
    pub min: u32,
    /// How many there are at most.
    pub max: u32,
    /// The lag for which one process is wanted; twice the concurrency if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u32>,
    /// How long there must be no lag before the last process is stopped.
    pub cooldown_ms: u64,
    /// How often lag is looked at.
    pub polling_ms: u64,
}

/// A way in over HTTP.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointDescription {
    /// Such as `/orders`; the method is `POST`.
    pub path: String,
    /// The type of event that a request becomes.
    pub event_type: String,
}

/// A look at one aggregate over HTTP.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ViewDescription {
    /// Such as `/orders`; the request is `GET /orders/{id}`.
    pub path: String,
    /// The types of event that it reads.
    pub event_types: Vec<String>,
}

/// An environment variable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VariableDescription {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// What stands in for it; required where there is nothing.
    pub default: Option<String>,
    /// Whether its value must not be shown: it belongs into a secret.
    #[serde(default)]
    pub secret: bool,
}

impl Default for ScalingDescription {
    fn default() -> Self {
        let Scaling { min, max, lag, cooldown, polling } = Scaling::up_to(PROCESSES_MAX);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { min, max, lag, cooldown_ms: millis(cooldown), polling_ms: millis(polling) }
    }
}

impl Description {
    /// The description of a function.
    ///
    /// # Errors
    /// An example of one of its events does not serialise.
    pub fn of(
        terms: &Terms,
        version: &str,
        endpoints: Vec<EndpointDescription>,
        views: Vec<ViewDescription>,
        variables: &[Variable],
    ) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::to_value(terms)?;
        if let Some(object) = json.as_object_mut() {
            let variables: Vec<VariableDescription> = variables
                .iter()
                .map(|v| VariableDescription {
                    name: v.name.into(),
                    about: v.about.into(),
                    default: v.default.clone(),
                    secret: v.secret,
                })
                .collect();
            object.insert("version".into(), version.into());
            object.insert("endpoints".into(), serde_json::to_value(endpoints)?);
            object.insert("views".into(), serde_json::to_value(views)?);
            object.insert("variables".into(), serde_json::to_value(variables)?);
        }
        serde_json::from_value(json)
    }

    /// Why a function whose inputs come by `trigger` cannot do without JetStream, each a sentence; empty if it can send its events
    /// to a sink instead (`K_SINK`).
    pub fn needs_broker(&self, trigger: Trigger) -> Vec<String> {
        let mut why = Vec::new();
        if trigger.pulls() {
            why.push("inputs would be pulled from a stream: set JETLAG_TRIGGER=http".to_owned());
        }
        if !self.keeps.is_empty() {
            why.push(format!("the contract keeps state ({}), which is in the stream", self.keeps.join(", ")));
        }
        for Kind { name, .. } in self.emits.iter().filter(|kind| kind.once_per_aggregate) {
            why.push(format!("the contract emits {name}, of which the stream sees to it that there is one"));
        }
        let endpoints = self.endpoints.iter().map(|endpoint| ("POST", &endpoint.path));
        for (method, path) in endpoints.chain(self.views.iter().map(|view| ("GET", &view.path))) {
            why.push(format!("{method} {path} answers by what is in the stream"));
        }
        why
    }
}
