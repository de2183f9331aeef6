//! What is wrong with Knative's objects that somebody has written.

use jetlag::topology::Sizing;
use jetlag::{Description, STOP_MAX};

use super::contract::millis;
use super::{Findings, Rule, Texts, seconds};
use crate::given::{Delivery, EventTrigger, KnativeService};

/// Where Knative reads how a version is scaled.
const SCALING: &str = "autoscaling.knative.dev/";
/// Knative's own autoscaler, and the HPA.
const KPA: &str = "kpa.autoscaling.knative.dev";
const HPA: &str = "hpa.autoscaling.knative.dev";
/// What the former looks at.
const METRICS: [&str; 2] = ["concurrency", "rps"];
/// The names of ports that Knative takes: each is a protocol.
const PORT_NAMES: [&str; 3] = ["", "http1", "h2c"];
/// Knative's default, in seconds.
const TIMEOUT_UNLESS_S: u64 = 300;
/// How long Knative's proxy in a pod goes on taking requests before the process is told to stop.
const DRAIN_S: u64 = 30;
/// What is added to what a process needs at most: for the kubelet, and a busy node.
const MARGIN_S: u64 = 9;
/// Where inputs come from.
const TRIGGER: &str = "JETLAG_TRIGGER";

pub(super) fn look(file: &str, service: &KnativeService, functions: &[Description], findings: &mut Findings) {
    let name = &service.metadata.name;
    let revision = &service.spec.template.spec;
    let runs =
        |function: &&Description| revision.containers.iter().any(|container| container.name == function.name);
    let function =
        functions.iter().find(|function| function.name == *name).or_else(|| functions.iter().find(runs));
    // What is no function is none of our business.
    if function.is_none() && !functions.is_empty() {
        return;
    }
    let place = format!("{file}: Service {name} of Knative");
    scaling(&place, service, findings);

    let timeout = revision.timeout_seconds.unwrap_or(TIMEOUT_UNLESS_S);
    let needed = STOP_MAX.as_secs().saturating_add(DRAIN_S);
    findings.add(timeout <= needed, Rule::GraceBelowStop, &place, || Texts {
        what: format!(
            "timeoutSeconds is {timeout}, which Knative also gives a pod to stop: its proxy takes {DRAIN_S} s of that, and a process up to {} s",
            STOP_MAX.as_secs()
        ),
        why: "Kubernetes kills it while it finishes what it has begun: whoever asked gets no answer",
        instead: format!("timeoutSeconds: {}", needed.saturating_add(MARGIN_S)),
    });
    let limit = function.map_or(0, |function| function.time_limit_ms);
    findings.add(timeout.saturating_mul(1000) < limit, Rule::TimeoutBelowTimeLimit, &place, || Texts {
        what: format!("timeoutSeconds is {timeout}, and a run may take {}", seconds(limit)),
        why: "Knative answers 504 while it still runs: whoever asked asks again, for nothing",
        instead: format!("timeoutSeconds: {} or more", limit.div_ceil(1000)),
    });
    for container in &revision.containers {
        let path = container.liveness_probe.as_ref().and_then(|probe| probe.path());
        findings.add(path == Some("/ready"), Rule::LivenessAsksReadiness, &place, || Texts {
            what: format!("the liveness probe of {} asks /ready", container.name),
            why: "a process that waits for the broker is not ready: Kubernetes kills all of them for the broker's sins",
            instead: "livenessProbe on /health, readinessProbe on /ready".into(),
        });
        for port in &container.ports {
            findings.add(!PORT_NAMES.contains(&port.name.as_str()), Rule::PortName, &place, || Texts {
                what: format!("a port of {} is called {:?}", container.name, port.name),
                why: "the name is the protocol, http1 or h2c: Knative's webhook refuses another",
                instead: "no name".into(),
            });
        }
    }
    if let Some(function) = function {
        let said = revision.containers.iter().find_map(|container| container.variable(TRIGGER));
        let pulls = said.map_or(function.trigger.pulls(), |said| said != "http");
        findings.add(pulls, Rule::StreamScaledOnRequests, &place, || Texts {
            what: "it pulls from the streams, and is scaled on requests".into(),
            why: "at zero, what waits in the streams wakes nobody, and a process goes in the middle of it",
            instead: format!("env: [{{name: {TRIGGER}, value: http}}], and a Deployment with a ScaledObject for the streams"),
        });
    }
}

/// How it is scaled.
fn scaling(place: &str, service: &KnativeService, findings: &mut Findings) {
    let misplaced: Vec<&str> = service
        .metadata
        .annotations
        .keys()
        .filter(|key| key.starts_with(SCALING))
        .map(String::as_str)
        .collect();
    findings.add(!misplaced.is_empty(), Rule::ScaleMisplaced, place, || Texts {
        what: format!("{} is said in metadata.annotations of the Service", misplaced.join(", ")),
        why: "each version is scaled by itself: Knative's webhook refuses it there",
        instead: "the same in spec.template.metadata.annotations".into(),
    });
    let annotations = &service.spec.template.metadata.annotations;
    let text = |key: &str| annotations.get(&format!("{SCALING}{key}")).map(plain);
    let number = |key: &str| text(key)?.parse::<u64>().ok();
    let class = text("class").unwrap_or_else(|| KPA.to_owned());
    if let Some(metric) = text("metric") {
        let is_known = class != KPA || METRICS.contains(&metric.as_str());
        findings.add(!is_known, Rule::MetricOfClass, place, || Texts {
            what: format!("its metric is {metric}, and its class {class}"),
            why: "Knative's own autoscaler looks at requests alone: its webhook refuses it",
            instead: format!("metric: concurrency or rps, or class: {HPA}"),
        });
    }
    let (min, max) = (number("min-scale").unwrap_or(0), number("max-scale").unwrap_or(0));
    findings.add(max > 0 && min > max, Rule::MinAboveMax, place, || Texts {
        what: format!("min-scale is {min}, and max-scale {max}"),
        why: "Knative's webhook refuses it",
        instead: format!("a max-scale of {min} or more"),
    });
    findings.add(class == HPA && min == 0, Rule::HpaNeverZero, place, || Texts {
        what: "its class is the HPA's, and no min-scale is said".into(),
        why: "the HPA does not go to zero: one process stays, which nothing here says",
        instead: format!("min-scale: \"1\", or class: {KPA}"),
    });
    findings.add(number("initial-scale") == Some(0), Rule::InitialZero, place, || Texts {
        what: "initial-scale is 0".into(),
        why: "a version that cannot start takes over all the same; and Knative's webhook refuses it where the cluster does not allow it (allow-zero-initial-scale)",
        instead: "initial-scale: \"1\"".into(),
    });
    let (target, limit) = (number("target"), service.spec.template.spec.container_concurrency);
    let is_above = target.zip(limit.filter(|limit| *limit > 0)).is_some_and(|(target, limit)| target > limit);
    let by_concurrency = text("metric").is_none_or(|metric| metric == "concurrency");
    findings.add(is_above && by_concurrency, Rule::TargetAboveConcurrency, place, || Texts {
        what: format!(
            "the target is {}, and containerConcurrency {}",
            target.unwrap_or(0),
            limit.unwrap_or(0)
        ),
        why: "a pod is never given as many: what is said is not what is aimed at",
        instead: format!("target: \"{}\" or less", limit.unwrap_or(0)),
    });
}

pub(super) fn look_at(
    file: &str,
    trigger: &EventTrigger,
    functions: &[Description],
    sizing: &Sizing,
    findings: &mut Findings,
) {
    let subscriber = trigger.spec.subscriber.r#ref.as_ref().map(|object| object.name.as_str());
    let function = functions.iter().find(|function| Some(function.name.as_str()) == subscriber);
    let Some(function) = function else { return };
    let place = format!("{file}: Trigger {}", trigger.metadata.name);
    let kind = trigger.spec.filter.as_ref().and_then(|filter| filter.attributes.get("type"));
    let takes: Vec<&str> = function.listens_to.iter().map(|kind| kind.name.as_str()).collect();
    let is_strange = kind.is_some_and(|kind| !takes.contains(&"*.*") && !takes.contains(&kind.as_str()));
    findings.add(is_strange, Rule::FilterUnknown, &place, || Texts {
        what: format!(
            "it sends {} to {}, which does not take it",
            kind.map_or("", String::as_str),
            function.name
        ),
        why: "each is refused, and is a dead letter or lost",
        instead: format!("a filter on one of {}", takes.join(", ")),
    });
    let delivery = trigger.spec.delivery.clone().unwrap_or_default();
    findings.add(delivery.dead_letter_sink.is_none(), Rule::DeadLettersLost, &place, || Texts {
        what: "it has no deadLetterSink".into(),
        why: "an event that the function refuses, or that no attempt got through, is lost, unless its broker has a sink",
        instead: "deploy.eventing.dead_letters in jetlag.yaml, or delivery: {deadLetterSink: {uri: …}}".into(),
    });
    let (total, horizon) = (longest(&delivery), millis(sizing.horizon));
    findings.add(total > horizon, Rule::HorizonBelowRetries, &place, || Texts {
        what: format!("its waits may take {} together, and events are kept for {}", seconds(total), seconds(horizon)),
        why: "what tells that an event was handled before is gone when it is sent for the last time: it could be done twice",
        instead: "a smaller retry or backoffDelay, or a longer streams.horizon in jetlag.yaml".into(),
    });
}

/// How long all waits take together.
fn longest(delivery: &Delivery) -> u64 {
    let first = delivery.backoff_delay.as_deref().and_then(period_ms).unwrap_or(0);
    let retries = delivery.retry.unwrap_or(0);
    let is_linear = delivery.backoff_policy.as_deref() == Some("linear");
    let wait = |number: u32| {
        if is_linear {
            first.saturating_mul(u64::from(number).saturating_add(1))
        } else {
            first.saturating_mul(1_u64.checked_shl(number).unwrap_or(u64::MAX))
        }
    };
    // After so many doublings a sum is as large as it can be; a line of as many is long, too.
    (0..retries.min(100_000)).map(wait).fold(0, u64::saturating_add)
}

/// The milliseconds of a time such as `PT1.5S` or `PT2M`.
fn period_ms(text: &str) -> Option<u64> {
    let units = [("H", 3_600_000), ("M", 60_000), ("S", 1_000)];
    let mut rest = text.strip_prefix("PT")?;
    let mut sum: u64 = 0;
    for (unit, factor) in units {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
        let tenth: u64 = tenths.get(..1)?.parse().ok()?;
        let value = whole.parse::<u64>().ok()?.saturating_mul(factor).saturating_add(tenth * factor / 10);
        sum = sum.saturating_add(value);
        rest = after;
    }
    rest.is_empty().then_some(sum)
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
