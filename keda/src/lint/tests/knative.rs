//! Knative's objects that somebody has written or changed.

use super::*;

const SERVICE: &str = r#"
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: till}
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/class: kpa.autoscaling.knative.dev
        autoscaling.knative.dev/metric: concurrency
        autoscaling.knative.dev/target: "64"
        autoscaling.knative.dev/min-scale: "0"
        autoscaling.knative.dev/max-scale: "10"
        autoscaling.knative.dev/initial-scale: "1"
    spec:
      containerConcurrency: 64
      timeoutSeconds: 90
      containers:
      - name: till
        env: [{name: JETLAG_TRIGGER, value: http}]
        ports: [{containerPort: 8080}]
        livenessProbe: {httpGet: {path: /health, port: 8080}}
        readinessProbe: {httpGet: {path: /ready, port: 8080}}
"#;

const TRIGGER: &str = r#"
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: till-orders-placed}
spec:
  broker: jetlag
  filter: {attributes: {type: orders.placed}}
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: till}}
  delivery: {retry: 7, backoffPolicy: exponential, backoffDelay: PT1S, deadLetterSink: {uri: "http://letters"}}
"#;

/// The rules that the objects break when one text in them is another.
fn with(from: &str, to: &str) -> Vec<Rule> {
    let text = [SERVICE, TRIGGER].join("---");
    assert_eq!(text.matches(from).count(), 1, "{from:?} must be in the objects once");
    rules(&found_in(&text.replace(from, to), &till()))
}

#[test]
fn nothing_is_wrong_with_what_is_as_it_should_be() {
    assert_eq!(with("max-scale: \"10\"", "max-scale: \"10\""), []);
}

#[test]
fn how_a_service_is_scaled_must_be_what_knative_takes_and_does() {
    assert_eq!(with("metric: concurrency", "metric: cpu"), [Rule::MetricOfClass]);
    assert_eq!(with("metric: concurrency", "metric: rps"), []);
    assert_eq!(with("min-scale: \"0\"", "min-scale: \"11\""), [Rule::MinAboveMax]);
    assert_eq!(with("min-scale: \"0\"", "min-scale: \"10\""), []);
    assert_eq!(with("class: kpa", "class: hpa"), [Rule::HpaNeverZero]);
    let hpa = SERVICE.replace("class: kpa", "class: hpa").replace("min-scale: \"0\"", "min-scale: \"1\"");
    assert_eq!(rules(&found_in(&hpa, &till())), []);
    assert_eq!(with("initial-scale: \"1\"", "initial-scale: \"0\""), [Rule::InitialZero]);
    assert_eq!(with("target: \"64\"", "target: \"65\""), [Rule::TargetAboveConcurrency]);
    assert_eq!(with("containerConcurrency: 64", "containerConcurrency: 0"), [], "that is any number");
    let misplaced = "metadata: {name: till, annotations: {autoscaling.knative.dev/min-scale: \"1\"}}";
    assert_eq!(with("metadata: {name: till}", misplaced), [Rule::ScaleMisplaced]);
}

#[test]
fn a_request_has_the_time_of_a_run_and_a_pod_the_time_to_stop() {
    assert_eq!(with("timeoutSeconds: 90", "timeoutSeconds: 66"), [Rule::GraceBelowStop]);
    assert_eq!(with("timeoutSeconds: 90", "timeoutSeconds: 67"), []);
    let function = but("/time_limit_ms", 90_001);
    let found = rules(&found_in(SERVICE, &function));
    assert_eq!(found, [Rule::TimeLimitAboveDrain, Rule::TimeoutBelowTimeLimit]);
}

#[test]
fn a_container_is_as_knative_takes_it_and_pulls_nothing() {
    assert_eq!(with("{containerPort: 8080}", "{name: http, containerPort: 8080}"), [Rule::PortName]);
    assert_eq!(with("{containerPort: 8080}", "{name: h2c, containerPort: 8080}"), []);
    assert_eq!(with("{path: /health", "{path: /ready"), [Rule::LivenessAsksReadiness]);
    let pulls = [Rule::StreamScaledOnRequests];
    assert_eq!(with("value: http}", "value: both}"), pulls);
    let unsaid = "        env: [{name: JETLAG_TRIGGER, value: http}]\n";
    assert_eq!(with(unsaid, ""), pulls, "then the contract says it, and it says the streams");
    let function = but("/trigger", "http");
    assert_eq!(rules(&found_in(&SERVICE.replace(unsaid, ""), &function)), []);
}

#[test]
fn a_trigger_sends_what_is_taken_as_long_as_it_is_known_and_loses_nothing() {
    assert_eq!(with("type: orders.placed", "type: orders.plaiced"), [Rule::FilterUnknown]);
    assert_eq!(with(", deadLetterSink: {uri: \"http://letters\"}", ""), [Rule::DeadLettersLost]);
    // 2^17 - 1 s are more than the day for which events are kept, 2^16 - 1 s are less.
    assert_eq!(with("retry: 7", "retry: 17"), [Rule::HorizonBelowRetries]);
    assert_eq!(with("retry: 7", "retry: 16"), []);
    assert_eq!(with("retry: 7, backoffPolicy: exponential", "retry: 17, backoffPolicy: linear"), []);
    assert_eq!(with("PT1S", "PT12M"), [Rule::HorizonBelowRetries]);
    assert_eq!(with("PT1S", "PT11.2M"), []);
}

#[test]
fn what_is_no_function_is_left_alone() {
    let other = [SERVICE, TRIGGER]
        .join("---")
        .replace("till", "cash-desk")
        .replace("timeoutSeconds: 90", "timeoutSeconds: 1");
    assert_eq!(rules(&found_in(&other, &till())), []);
}

const BINDING: &str = r#"
apiVersion: sources.knative.dev/v1
kind: SinkBinding
metadata: {name: told}
spec:
  subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: till}
  sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: jetlag}}
"#;

/// The rules that a SinkBinding for the Service breaks when one text is another.
fn bound(from: &str, to: &str) -> Vec<Rule> {
    let text = [SERVICE, BINDING].join("---");
    assert_eq!(text.matches(from).count(), 1, "{from:?} must be in the objects once");
    rules(&found_in(&text.replace(from, to), &till()))
}

#[test]
fn a_binding_is_for_a_function_that_can_do_without_a_broker() {
    assert_eq!(bound("name: told", "name: told"), []);
    let bound_with = |function: &Value| rules(&found_in(&[SERVICE, BINDING].join("---"), function));
    let once = json!([{"type": "sales.made", "aggregate": "sale", "once_per_aggregate": true}]);
    let often = json!([{"type": "sales.made", "aggregate": "sale", "once_per_aggregate": false}]);
    assert_eq!(bound_with(&but("/emits", once)), [Rule::SinkNeedsBroker]);
    assert_eq!(bound_with(&but("/emits", often)), []);
    assert_eq!(bound_with(&but("/keeps", json!(["drawer"]))), [Rule::SinkNeedsBroker]);
    let pulls = bound("value: http}", "value: both}");
    assert_eq!(pulls, [Rule::StreamScaledOnRequests, Rule::SinkNeedsBroker]);
    let has_one = "value: http}, {name: NATS_URL, value: \"nats://n:4222\"}";
    assert_eq!(bound("value: http}", has_one), [Rule::SinkNeedsBroker]);
    assert_eq!(bound("value: http}", "value: http}, {name: NATS_URL, value: \"\"}"), []);
}

#[test]
fn a_binding_says_whose_events_go_where() {
    assert_eq!(bound("kind: Service, name: till", "kind: Service, name: till-http"), [Rule::SubjectMissing]);
    let by_labels = "kind: Service, selector: {matchLabels: {app: till}}";
    assert_eq!(bound("kind: Service, name: till", by_labels), []);
    assert_eq!(bound("apiVersion: serving.knative.dev/v1, kind", "apiVersion: v1, kind"), [Rule::ApiVersion]);
    assert_eq!(bound("sources.knative.dev/v1", "sources.knative.dev/v1beta1"), [Rule::ApiVersion]);
    assert_eq!(bound("sources.knative.dev/v1", "eventing.knative.dev/v1"), [Rule::ApiVersion]);
    let sink = "{ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: jetlag}}";
    assert_eq!(bound("kind: Broker, name: jetlag", "kind: Broker"), [Rule::SinkMissing]);
    assert_eq!(bound(sink, "{}"), [Rule::SinkMissing]);
    assert_eq!(bound(sink, "{uri: /orders}"), [Rule::SinkMissing]);
    assert_eq!(bound(sink, "{uri: \"http://sink.example/orders\"}"), []);
    assert_eq!(bound(sink, "{ref: {apiVersion: v1, kind: Service, name: till}}"), []);
    assert_eq!(bound(sink, "{ref: {apiVersion: apps/v1, kind: Service, name: till}}"), [Rule::ApiVersion]);
}
