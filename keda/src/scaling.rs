//! How a function is scaled: its ScaledObject.

use jetlag::topology::{Sizing, Topology};
use jetlag::{Description, Source};

use crate::deploy::Deploy;
use crate::document::Document;
use crate::function::NAMESPACE;
use crate::given::{self, Given, Unreadable};
use crate::kube::identity::{Meta, Object};
use crate::kube::scaled_object::{
    Advanced, AuthRef, Fallback, HpaBehavior, HpaConfig, HpaPolicy, HpaRules, ScaledObjectSpec, Target,
    Trigger, TriggerMetadata,
};
use crate::{names, values};

/// How often in a row KEDA does not learn the lag before it falls back.
pub(crate) const FALLBACK_FAILURES: u32 = 3;
/// How long the HPA looks back before it takes processes away, in seconds.
pub(crate) const SCALE_DOWN_WINDOW_S: u64 = 120;
/// The share of processes that may go in one period, in percent.
pub(crate) const SCALE_DOWN_PERCENT: u32 = 50;
/// The period of that share, in seconds.
pub(crate) const SCALE_DOWN_PERIOD_S: u64 = 60;
/// How many times as many processes there may be after one period, in percent.
pub(crate) const SCALE_UP_PERCENT: u32 = 100;
/// How many processes may be added in one period, if that is more.
pub(crate) const SCALE_UP_PODS: u32 = 4;
/// The period of those, in seconds: as often as the HPA looks.
pub(crate) const SCALE_UP_PERIOD_S: u64 = 15;

/// The lag for which one process of `function` is wanted: twice what it handles at a time, unless its contract says
/// otherwise. What is being handled is lag too.
pub fn lag_threshold(function: &Description) -> u32 {
    let twice = u32::try_from(function.concurrency.saturating_mul(2)).unwrap_or(u32::MAX);
    function.scaling.lag.unwrap_or(twice)
}

/// The ScaledObject that is generated for `function`, as one that was written: for who decides by what is written.
///
/// # Errors
/// What is generated cannot be read: a fault of this crate.
pub fn generated(function: &Description) -> Result<Vec<Given>, Unreadable> {
    given::read(&scaled_object(function, &Deploy::default()).text())
}

/// The ScaledObject of `function`, with a trigger for each consumer that it has.
pub(crate) fn scaled_object(function: &Description, deploy: &Deploy) -> Document {
    let name = &function.name;
    let scaling = &function.scaling;
    let topology = Topology::of(std::slice::from_ref(function), &Sizing::default());
    let trigger = |stream: &str| Trigger {
        r#type: "nats-jetstream",
        name: stream.to_ascii_lowercase(),
        metadata: TriggerMetadata {
            stream: stream.to_owned(),
            consumer: name.clone(),
            lag_threshold: lag_threshold(function).to_string(),
            activation_lag_threshold: "0".to_owned(),
        },
        authentication_ref: AuthRef { name: names::MONITORING },
    };
    let policy = |r#type, value, period_seconds| HpaPolicy { r#type, value, period_seconds };
    let spec = ScaledObjectSpec {
        scale_target_ref: Target { name: name.clone() },
        polling_interval: seconds(scaling.polling_ms),
        cooldown_period: seconds(scaling.cooldown_ms),
        min_replica_count: scaling.min,
        max_replica_count: scaling.max,
        fallback: Fallback {
            failure_threshold: FALLBACK_FAILURES,
            replicas: scaling.min.max(1),
            behavior: "currentReplicasIfHigher",
        },
        advanced: Advanced {
            horizontal_pod_autoscaler_config: HpaConfig {
                behavior: HpaBehavior {
                    scale_up: HpaRules {
                        stabilization_window_seconds: 0,
                        select_policy: "Max",
                        policies: vec![
                            policy("Percent", SCALE_UP_PERCENT, SCALE_UP_PERIOD_S),
                            policy("Pods", SCALE_UP_PODS, SCALE_UP_PERIOD_S),
                        ],
                    },
                    scale_down: HpaRules {
                        stabilization_window_seconds: SCALE_DOWN_WINDOW_S,
                        select_policy: "Max",
                        policies: vec![policy("Percent", SCALE_DOWN_PERCENT, SCALE_DOWN_PERIOD_S)],
                    },
                },
            },
        },
        triggers: topology.consumers.iter().map(|consumer| trigger(consumer.stream)).collect(),
    };
    let labels = names::labels_of(name);
    let document = Document::of(&Object::new(Meta::of(name, &deploy.namespace, &labels), spec));
    tunables(reasons(document, function), name, topology.consumers.len())
}

fn tunables(document: Document, function: &str, triggers: usize) -> Document {
    let value = |path: &str| values::of_function(function, path);
    let document = document
        .tunable("metadata/namespace", NAMESPACE)
        .tunable("spec/pollingInterval", value("scaling.polling_s | int64"))
        .tunable("spec/cooldownPeriod", value("scaling.cooldown_s | int64"))
        .tunable("spec/minReplicaCount", value("scaling.min | int64"))
        .tunable("spec/maxReplicaCount", value("scaling.max | int64"))
        .tunable("spec/fallback/replicas", format!("{} | int64 | max 1", value("scaling.min")));
    (0..triggers).fold(document, |document, trigger| {
        document.tunable(
            &format!("spec/triggers/{trigger}/metadata/lagThreshold"),
            value("scaling.lag | int64 | quote"),
        )
    })
}

/// KEDA counts whole seconds; what is less than one is one.
pub(crate) fn seconds(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(1000)
}

fn reasons(document: Document, function: &Description) -> Document {
    let document = document
        .because(
            "spec/pollingInterval",
            "The first input after a quiet time waits this long for a process at most (KEDA's default: 30 s). Each look is one small request.",
        )
        .because(
            "spec/cooldownPeriod",
            "The last process goes when there was no lag for so long. Waiting retries are no lag: longer than most of their waits, so that a process does not go between two attempts.",
        )
        .because(
            "spec/minReplicaCount",
            "None when there is nothing to do, unless the contract says otherwise: a start takes about a second.",
        )
        .because("spec/maxReplicaCount", "As the contract says; what it connects to must bear as many times its concurrency.")
        .because(
            "spec/fallback/failureThreshold",
            "If the lag is unknown three times in a row, work goes on with what runs, and with one process if none does.",
        )
        .because(
            "spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleUp/stabilizationWindowSeconds",
            "Up at once: lag is work that waits, and one process more is cheap.",
        )
        .because(
            "spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown/stabilizationWindowSeconds",
            "Down slowly, by half at most: lag comes in bursts, and a process that stops gives back what it holds.",
        )
        .because(
            "spec/triggers/0/metadata/lagThreshold",
            if function.scaling.lag.is_some() {
                "As the contract says: one process for so much lag. What is being handled counts as lag too."
            } else {
                "Twice what one process handles at a time, since that counts as lag too: another comes when as much waits as is worked on."
            },
        )
        .because("spec/triggers/0/metadata/activationLagThreshold", "From zero at the first input.");
    if function.reads == Source::Audit || !function.listens_to.is_empty() {
        document.because(
            "spec/triggers/0/type",
            "One trigger for each consumer; the one that wants most processes decides. The endpoint and the account are in the TriggerAuthentication.",
        )
    } else {
        document
    }
}
