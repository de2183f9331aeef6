//! Objects that somebody has written or changed.

use super::*;

const SCALED: &str = include_str!("till.yaml");

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: till}
spec:
  template:
    spec:
      terminationGracePeriodSeconds: 45
      containers:
      - name: till
        env: [{name: JETLAG_TRIGGER, value: stream}]
        livenessProbe: {httpGet: {path: /health, port: http}}
        readinessProbe: {httpGet: {path: /ready, port: http}}
"#;

const CONSUMER: &str = r#"
apiVersion: jetstream.nats.io/v1beta2
kind: Consumer
metadata: {name: till}
spec: {durableName: till, streamName: EVENTS, ackPolicy: explicit, maxDeliver: -1, maxAckPending: 20000}
"#;

/// The rules that the objects break when one text in them is another.
fn with(from: &str, to: &str) -> Vec<Rule> {
    let text = [SCALED, DEPLOYMENT, CONSUMER].join("---");
    assert_eq!(text.matches(from).count(), 1, "{from:?} must be in the objects once");
    rules(&found_in(&text.replace(from, to), &till()))
}

#[test]
fn nothing_is_wrong_with_what_is_as_it_should_be() {
    assert_eq!(with("cooldownPeriod: 60", "cooldownPeriod: 60"), []);
}

#[test]
fn what_a_scaled_object_says_counts_instead_of_the_contract() {
    assert_eq!(with("cooldownPeriod: 60", "cooldownPeriod: 59"), [Rule::CooldownBelowBackoff]);
    assert_eq!(with("pollingInterval: 5", "pollingInterval: 31"), [Rule::PollingTooSlow]);
    assert_eq!(with("maxReplicaCount: 10", "maxReplicaCount: 313"), [Rule::MaxAboveAckPending]);
    let mut function = till();
    function["scaling"]["cooldown_ms"] = 1.into();
    assert_eq!(rules(&found_in(SCALED, &function)), [], "the contract is not asked twice");
}

#[test]
fn triggers_are_on_the_consumers_that_the_function_has() {
    let events = "stream: EVENTS, consumer: till, lagThreshold: \"128\"";
    let retry = "stream: RETRY, consumer: till, lagThreshold: \"128\"";
    assert_eq!(
        with(events, "stream: EVENTS, consumer: till, lagThreshold: \"58\""),
        [Rule::ThresholdBelowHeld]
    );
    assert_eq!(
        with(retry, "stream: RETRI, consumer: till, lagThreshold: \"128\""),
        [Rule::TriggerMissing, Rule::TriggerUnknown]
    );
    assert_eq!(
        with(retry, "stream: RETRY, consumer: til, lagThreshold: \"128\""),
        [Rule::TriggerMissing, Rule::TriggerUnknown]
    );
    let line =
        "  - {type: nats-jetstream, metadata: {stream: RETRY, consumer: till, lagThreshold: \"128\"}}\n";
    assert_eq!(with(line, ""), [Rule::TriggerMissing]);
}

#[test]
fn a_function_is_found_by_what_is_scaled_whatever_its_triggers_say() {
    let wrong =
        SCALED.replace("consumer: till", "consumer: til").replace("cooldownPeriod: 60", "cooldownPeriod: 59");
    let found = rules(&found_in(&wrong, &till()));
    let missing = [Rule::TriggerMissing; 2].into_iter().chain([Rule::TriggerUnknown; 2]);
    assert_eq!(found, missing.chain([Rule::CooldownBelowBackoff]).collect::<Vec<_>>());
    let elsewhere = SCALED.replace("name: till", "name: cash-desk");
    assert_eq!(rules(&found_in(&elsewhere, &till())), [], "or by its consumers");
}

#[test]
fn what_a_trigger_says_is_text_and_activates_at_once() {
    let retry = "stream: RETRY, consumer: till, lagThreshold: \"128\"";
    assert_eq!(with(retry, "stream: RETRY, consumer: till, lagThreshold: 128"), [Rule::TriggerNotText]);
    let activation = format!("{retry}, activationLagThreshold: \"1\"");
    assert_eq!(with(retry, &activation), [Rule::ActivationAboveZero]);
}

#[test]
fn without_fallback_or_behaviour_and_with_idle_counts_or_pauses() {
    let fallback = "fallback: {failureThreshold: 3, replicas: 1}";
    assert_eq!(with(fallback, "initialCooldownPeriod: 0"), [Rule::FallbackMissing]);
    assert_eq!(with(fallback, "fallback: {failureThreshold: 3, replicas: 0}"), [Rule::FallbackZero]);
    let behaviour = "{horizontalPodAutoscalerConfig: {behavior: {scaleUp: {stabilizationWindowSeconds: 0}}}}";
    assert_eq!(with(behaviour, "{restoreToOriginalReplicaCount: false}"), [Rule::BehaviorMissing]);
    let min = "minReplicaCount: 0";
    assert_eq!(with(min, "idleReplicaCount: 0\n  minReplicaCount: 2"), []);
    assert_eq!(with(min, "idleReplicaCount: 0"), [Rule::IdleNotZero]);
    assert_eq!(with(min, "idleReplicaCount: 1\n  minReplicaCount: 2"), [Rule::IdleNotZero]);
    let paused = "annotations: {autoscaling.keda.sh/paused: \"true\"}";
    assert_eq!(with("annotations: {}", paused), [Rule::Paused]);
}

#[test]
fn names_become_labels() {
    let name = |length: usize| format!("name: {}\n  annotations", "n".repeat(length));
    assert_eq!(with("name: till\n  annotations", &name(54)), []);
    assert_eq!(with("name: till\n  annotations", &name(55)), [Rule::NameTooLong]);
}

#[test]
fn what_is_not_understood_is_told() {
    let line = "  - {type: nats-jetstream, metadata: {stream: RETRY,";
    let found = with(
        line,
        "  - {type: cpu, metadata: {value: \"50\"}}\n  - {type: nats-jetstream, metadata: {stream: RETRY,",
    );
    assert_eq!(found, [Rule::NotUnderstood]);
}

#[test]
fn pods_have_time_to_stop() {
    let grace = "terminationGracePeriodSeconds: 45";
    assert_eq!(with(grace, "terminationGracePeriodSeconds: 37"), []);
    assert_eq!(with(grace, "terminationGracePeriodSeconds: 36"), [Rule::GraceBelowStop]);
    assert_eq!(with(grace, "restartPolicy: Always"), [Rule::GraceBelowStop], "Kubernetes gives 30 s");
    let sleeps = |seconds: u64| {
        let probe = "livenessProbe: {httpGet: {path: /health, port: http}}";
        with(probe, &format!("lifecycle: {{preStop: {{sleep: {{seconds: {seconds}}}}}}}\n        {probe}"))
    };
    assert_eq!((sleeps(8), sleeps(9)), (vec![], vec![Rule::GraceBelowStop]));
}

#[test]
fn deployments_are_left_to_keda_and_killed_for_their_own_sins_only() {
    assert_eq!(with("spec:\n  template:", "spec:\n  replicas: 2\n  template:"), [Rule::ReplicasFixed]);
    let probe = "livenessProbe: {httpGet: {path: /health";
    assert_eq!(with(probe, "livenessProbe: {httpGet: {path: /ready"), [Rule::LivenessAsksReadiness]);
    assert_eq!(with("value: stream", "value: both"), [Rule::RequestsScaledToZero]);
}

#[test]
fn a_deployment_of_others_is_none_of_our_business() {
    let other = DEPLOYMENT.replace("till", "cache").replace("45", "1");
    assert_eq!(rules(&found_in(&other, &till())), []);
    // One that takes a function's requests is, and may have its replicas.
    let requests = DEPLOYMENT.replace("metadata: {name: till}", "metadata: {name: till-http}");
    let requests = requests.replace("spec:\n  template:", "spec:\n  replicas: 2\n  template:");
    assert_eq!(rules(&found_in(&requests, &till())), []);
    assert_eq!(rules(&found_in(&requests.replace("45", "30"), &till())), [Rule::GraceBelowStop]);
}

#[test]
fn consumers_that_are_objects() {
    assert_eq!(with("maxDeliver: -1", "maxDeliver: 5"), [Rule::MaxDeliver]);
    assert_eq!(with("maxDeliver: -1, ", ""), [], "what is not said is unlimited");
    assert_eq!(with("maxDeliver: -1", "maxDeliver: -1, backoff: [1s]"), [Rule::ServerBackoff]);
    assert_eq!(with("ackPolicy: explicit", "ackPolicy: all"), [Rule::AckPolicy]);
    assert_eq!(with("maxAckPending: 20000", "maxAckPending: 1"), [Rule::AckPending]);
}

#[test]
fn without_contracts_the_objects_are_still_looked_at() {
    let text = SCALED.replace("cooldownPeriod: 60", "cooldownPeriod: 4");
    let objects = given::read(&text).unwrap();
    let placed: Vec<_> =
        objects.into_iter().map(|object| Placed { file: "till.yaml".into(), object }).collect();
    let findings = lint(&[], &Sizing::default(), &placed);
    assert_eq!(rules(&findings), [Rule::CooldownBelowPolling]);
    assert_eq!(findings[0].place, "till.yaml: ScaledObject till");
    assert_eq!(findings[0].instead, "cooldownPeriod: 10");
}
