//! Settings from a ScaledObject as it is written.

use super::*;
use crate::given::{self, Given};

fn read(spec: &str, annotations: &str) -> Result<Settings, Undecided> {
    let text = format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: payment, annotations: {{{annotations}}}}}\n\
         spec:\n  scaleTargetRef: {{name: payment}}\n{spec}"
    );
    let given = given::read(&text).unwrap();
    let [Given::ScaledObject(object)] = given.as_slice() else { panic!("{given:?}") };
    Settings::try_from(object)
}

const TRIGGER: &str = "  triggers: [{type: nats-jetstream, metadata: {stream: EVENTS, consumer: payment, lagThreshold: '128'}}]\n";

#[test]
fn what_is_not_said_is_kedas_default() {
    let settings =
        read("  triggers: [{type: nats-jetstream, metadata: {stream: EVENTS, consumer: payment}}]", "");
    let expected = Settings { triggers: vec![trigger("EVENTS", 10)], ..Settings::default() };
    assert_eq!(settings, Ok(expected.clone()));
    assert_eq!((expected.polling, expected.cooldown, expected.min, expected.max), (at(30), at(300), 0, 100));
}

#[test]
fn everything_that_is_said_is_read() {
    let spec = "  pollingInterval: 5\n  cooldownPeriod: 60\n  initialCooldownPeriod: 7\n  idleReplicaCount: 0\n  \
        minReplicaCount: 1\n  maxReplicaCount: 20\n  fallback: {failureThreshold: 3, replicas: 2, behavior: currentReplicasIfHigher}\n  \
        advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:\n        scaleUp: {selectPolicy: Min, tolerance: 50m}\n        \
        scaleDown:\n          stabilizationWindowSeconds: 120\n          policies: [{type: Percent, value: 50, periodSeconds: 60}]\n";
    let settings = read(&format!("{spec}{TRIGGER}"), "").unwrap();
    assert_eq!((settings.polling, settings.cooldown, settings.initial_cooldown), (at(5), at(60), at(7)));
    assert_eq!((settings.idle, settings.min, settings.max), (Some(0), 1, 20));
    let fallback = Fallback { threshold: 3, replicas: 2, behaviour: FallbackBehaviour::CurrentIfHigher };
    assert_eq!(settings.fallback, Some(fallback));
    assert_eq!(settings.triggers, [trigger("EVENTS", 128)]);
    let behaviour = settings.behaviour.unwrap();
    assert_eq!(behaviour.up, Rules { select: Select::Min, tolerance: 0.05, ..Rules::up() });
    let policies = vec![Policy { change: Change::Percent(50), period: at(60) }];
    assert_eq!(behaviour.down, Rules { window: at(120), policies, ..Rules::down() });
}

#[test]
fn half_a_behaviour_is_filled_with_kubernetes_defaults_and_none_stays_none() {
    let behaviour = |spec: &str| read(&format!("{spec}{TRIGGER}"), "").unwrap().behaviour;
    let half = "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}}\n";
    let down = Rules { window: at(0), ..Rules::down() };
    assert_eq!(behaviour(half), Some(Behaviour { down, ..Behaviour::default() }));
    assert_eq!(behaviour("  advanced: {restoreToOriginalReplicaCount: true}\n"), None);
}

#[test]
fn annotations_pause_as_keda_reads_them() {
    let pauses = |annotations: &str| read(TRIGGER, annotations).unwrap().pauses;
    assert!(pauses("autoscaling.keda.sh/paused: 'true'").all);
    assert!(!pauses("autoscaling.keda.sh/paused: 'false'").all);
    assert!(pauses("autoscaling.keda.sh/paused: 'perhaps'").all, "what is no bool is true");
    assert_eq!(pauses("autoscaling.keda.sh/paused-replicas: '2'").replicas, Some(2));
    let settings = read(TRIGGER, "autoscaling.keda.sh/paused-scale-in: 'true'").unwrap();
    assert_eq!(settings.behaviour.unwrap().down.select, Select::Disabled);
}

#[test]
fn what_is_not_decided_here_is_told_by_its_field() {
    let told = |spec: &str| read(spec, "").unwrap_err().to_string();
    assert!(
        told("  triggers: [{type: cpu, metadata: {value: '50'}}]")
            .starts_with("spec.triggers[0].type: `cpu`")
    );
    let zero =
        "  triggers: [{type: nats-jetstream, metadata: {stream: EVENTS, consumer: a, lagThreshold: '0'}}]";
    assert!(told(zero).starts_with("spec.triggers[0].metadata.lagThreshold"));
    let value =
        "  triggers: [{type: nats-jetstream, metricType: Value, metadata: {stream: EVENTS, consumer: a}}]";
    assert!(told(value).starts_with("spec.triggers[0].metricType"));
    let formula = format!("  advanced: {{scalingModifiers: {{formula: a + b, target: '2'}}}}\n{TRIGGER}");
    assert!(told(&formula).contains("formulas"));
}
