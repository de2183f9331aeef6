//! From a ScaledObject as it is written to what is decided by.

use std::num::NonZeroU64;
use std::time::Duration;

use serde_json::Value;

use super::behaviour::{Behaviour, Change, Policy, Rules, Select};
use super::settings::{Fallback, FallbackBehaviour, Pauses, Settings, Trigger};
use crate::given::{self, ScaledObject};

/// KEDA's default for the lag for which one process is wanted.
const LAG_THRESHOLD: u64 = 10;

/// Something in a ScaledObject that is not decided here, or not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct Undecided {
    /// The field.
    pub at: String,
    /// Why, in one clause.
    pub why: String,
}

impl TryFrom<&ScaledObject> for Settings {
    type Error = Undecided;

    fn try_from(object: &ScaledObject) -> Result<Self, Undecided> {
        let spec = &object.spec;
        let unless = Self::default();
        if spec.advanced.as_ref().is_some_and(|advanced| advanced.scaling_modifiers.is_some()) {
            return Err(undecided("spec.advanced.scalingModifiers", "formulas are not decided here"));
        }
        let pauses = pauses(object);
        let mut behaviour = match object.hpa().and_then(|config| config.behavior.as_ref()) {
            Some(written) => Some(Behaviour {
                up: rules(written.scale_up.as_ref(), Rules::up(), "scaleUp")?,
                down: rules(written.scale_down.as_ref(), Rules::down(), "scaleDown")?,
            }),
            None => None,
        };
        // KEDA pauses one direction by a behaviour that disables it.
        if pauses.scale_in {
            behaviour.get_or_insert_default().down.select = Select::Disabled;
        }
        if pauses.scale_out {
            behaviour.get_or_insert_default().up.select = Select::Disabled;
        }
        let seconds = |said: Option<u64>, unless: Duration| said.map_or(unless, Duration::from_secs);
        Ok(Self {
            polling: seconds(spec.polling_interval, unless.polling),
            cooldown: seconds(spec.cooldown_period, unless.cooldown),
            initial_cooldown: seconds(spec.initial_cooldown_period, unless.initial_cooldown),
            idle: spec.idle_replica_count,
            min: spec.min_replica_count.unwrap_or(unless.min),
            max: spec.max_replica_count.unwrap_or(unless.max),
            triggers: spec.triggers.iter().enumerate().map(trigger).collect::<Result<_, _>>()?,
            behaviour,
            fallback: spec.fallback.as_ref().map(fallback).transpose()?,
            pauses,
        })
    }
}

fn undecided(at: impl Into<String>, why: impl Into<String>) -> Undecided {
    Undecided { at: at.into(), why: why.into() }
}

fn trigger((index, written): (usize, &given::Trigger)) -> Result<Trigger, Undecided> {
    let at = |field: &str| format!("spec.triggers[{index}].{field}");
    if written.r#type != "nats-jetstream" {
        let why = format!("`{}` is no trigger on a consumer's lag: nats-jetstream", written.r#type);
        return Err(undecided(at("type"), why));
    }
    if written.metric_type.as_deref().is_some_and(|kind| kind != "AverageValue") {
        return Err(undecided(at("metricType"), "only AverageValue is decided here, KEDA's default"));
    }
    let number = |key: &str, unless| {
        let why = || undecided(at(&format!("metadata.{key}")), "it is no whole number");
        written.number(key, unless).ok_or_else(why)
    };
    let target = NonZeroU64::new(number("lagThreshold", LAG_THRESHOLD)?);
    let stream = || written.text("stream").unwrap_or_default().to_owned();
    Ok(Trigger {
        name: written.name.clone().unwrap_or_else(stream),
        target: target
            .ok_or_else(|| undecided(at("metadata.lagThreshold"), "the HPA refuses a target of 0"))?,
        activation: number("activationLagThreshold", 0)?,
    })
}

fn fallback(written: &given::Fallback) -> Result<Fallback, Undecided> {
    let behaviour = match written.behavior.as_deref() {
        None | Some("static") => FallbackBehaviour::Static,
        Some("currentReplicas") => FallbackBehaviour::Current,
        Some("currentReplicasIfHigher") => FallbackBehaviour::CurrentIfHigher,
        Some("currentReplicasIfLower") => FallbackBehaviour::CurrentIfLower,
        Some(other) => {
            return Err(undecided("spec.fallback.behavior", format!("`{other}` is not decided here")));
        }
    };
    Ok(Fallback { threshold: written.failure_threshold, replicas: written.replicas, behaviour })
}

fn rules(written: Option<&given::Rules>, unless: Rules, direction: &str) -> Result<Rules, Undecided> {
    let Some(written) = written else { return Ok(unless) };
    let at =
        |field: &str| format!("spec.advanced.horizontalPodAutoscalerConfig.behavior.{direction}.{field}");
    let select = match written.select_policy.as_deref() {
        None => unless.select,
        Some("Max") => Select::Max,
        Some("Min") => Select::Min,
        Some("Disabled") => Select::Disabled,
        Some(other) => {
            return Err(undecided(at("selectPolicy"), format!("`{other}` is none of Max, Min, Disabled")));
        }
    };
    let policy = |policy: &given::Policy| {
        let change = match policy.r#type.as_str() {
            "Pods" => Change::Replicas(policy.value),
            "Percent" => Change::Percent(policy.value),
            other => return Err(undecided(at("policies"), format!("`{other}` is neither Pods nor Percent"))),
        };
        Ok(Policy { change, period: Duration::from_secs(policy.period_seconds) })
    };
    let policies = match &written.policies {
        Some(policies) => policies.iter().map(policy).collect::<Result<_, _>>()?,
        None => unless.policies,
    };
    let tolerance = match &written.tolerance {
        Some(value) => {
            quantity(value).ok_or_else(|| undecided(at("tolerance"), "it is no quantity such as 0.05"))?
        }
        None => unless.tolerance,
    };
    let window = written.stabilization_window_seconds.map_or(unless.window, Duration::from_secs);
    Ok(Rules { window, select, policies, tolerance })
}

/// A quantity such as `0.05` or `50m`.
#[expect(clippy::float_arithmetic, reason = "a tolerance is a part, and the HPA's is a float")]
fn quantity(value: &Value) -> Option<f64> {
    let Some(text) = value.as_str() else { return value.as_f64() };
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<f64>().ok().map(|number| number / 1000.0),
        None => text.parse().ok(),
    }
    .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

fn pauses(object: &ScaledObject) -> Pauses {
    let annotation = |name: &str| object.metadata.annotations.get(&format!("autoscaling.keda.sh/{name}"));
    // As Go reads a bool; KEDA takes what is none for true.
    let is_on = |name: &str| match annotation(name) {
        None | Some(Value::Bool(false)) => false,
        Some(Value::String(text)) => !["0", "f", "F", "false", "FALSE", "False"].contains(&text.as_str()),
        Some(_) => true,
    };
    let replicas = annotation("paused-replicas");
    Pauses {
        all: replicas.is_some() || is_on("paused"),
        replicas: replicas.and_then(given::number).and_then(|count| u32::try_from(count).ok()),
        scale_in: is_on("paused-scale-in"),
        scale_out: is_on("paused-scale-out"),
        forced: is_on("force-activation"),
    }
}
