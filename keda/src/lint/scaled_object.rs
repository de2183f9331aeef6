//! What is wrong with a ScaledObject that somebody has written.

use jetlag::Description;
use serde_json::Value;

use super::scale::{self, Scale, consumers};
use super::{Findings, Rule, Texts};
use crate::decision::{Pauses, Settings};
use crate::given::{ScaledObject, Trigger};

/// Labels are made of these names.
const NAME_CHARS_MAX: usize = 63;
const TRIGGER_TYPE: &str = "nats-jetstream";

/// The function whose consumers it looks at: its triggers name them.
pub(super) fn function_of(object: &ScaledObject) -> Option<&str> {
    object.spec.triggers.iter().find_map(|trigger| trigger.text("consumer"))
}

pub(super) fn look(
    file: &str,
    object: &ScaledObject,
    function: Option<&Description>,
    findings: &mut Findings,
) {
    let name = &object.metadata.name;
    let place = format!("{file}: ScaledObject {name}");
    let spec = &object.spec;

    let (hpa, own) = (object.hpa_name(), name.len());
    findings.add(own.max(hpa.len()) > NAME_CHARS_MAX, Rule::NameTooLong, &place, || Texts {
        what: format!("the name has {own} characters, and that of its HPA, {hpa}, {}", hpa.len()),
        why: "KEDA makes labels of both, which may have 63: its webhook refuses it",
        instead: "a shorter name, or spec.advanced.horizontalPodAutoscalerConfig.name".into(),
    });
    settings_of_triggers(&place, &spec.triggers, findings);
    if let Some(function) = function {
        consumers_of_triggers(&place, &spec.triggers, function, findings);
    }
    fallback(&place, object, findings);

    let behaviour = object.hpa().and_then(|config| config.behavior.as_ref());
    findings.add(behaviour.is_none(), Rule::BehaviorMissing, &place, || Texts {
        what: "it has no spec.advanced.horizontalPodAutoscalerConfig.behavior".into(),
        why: "without one the HPA raises to the highest recommendation of five minutes: after a burst and a rest at zero, a single input brings back many",
        instead: "behavior: {scaleDown: {stabilizationWindowSeconds: 120, policies: [{type: Percent, value: 50, periodSeconds: 60}]}}".into(),
    });
    let min = spec.min_replica_count.unwrap_or(0);
    let idle = spec.idle_replica_count.filter(|idle| *idle != 0 || min == 0);
    findings.add(idle.is_some(), Rule::IdleNotZero, &place, || Texts {
        what: format!("idleReplicaCount is {}, and minReplicaCount {min}", idle.unwrap_or(0)),
        why: "it works for 0 below a minimum above that, and for nothing else: the HPA raises to the minimum again",
        instead: "no idleReplicaCount; minReplicaCount says how many stay".into(),
    });
    match Settings::try_from(object) {
        Ok(settings) => {
            findings.add(settings.pauses != Pauses::default(), Rule::Paused, &place, || Texts {
                what: "an annotation stops or forces its scaling".into(),
                why: "until it is taken away lag does not decide, and whoever applies the file again brings it back",
                instead: "no autoscaling.keda.sh/… in the file: `kubectl annotate` it for as long as it is needed".into(),
            });
            let stream = |trigger: &Trigger| trigger.text("stream").unwrap_or_default().to_owned();
            let streams = spec.triggers.iter().map(stream).collect();
            scale::look(&Scale::of_settings(&place, &settings, streams), function, findings);
        }
        Err(undecided) => findings.add(true, Rule::NotUnderstood, &place, || Texts {
            what: undecided.to_string(),
            why: "how it is scaled could not be looked at, and a local scaler cannot follow it",
            instead: format!("triggers of the type {TRIGGER_TYPE}, each with its lagThreshold"),
        }),
    }
}

/// What its triggers say, whatever they look at.
fn settings_of_triggers(place: &str, triggers: &[Trigger], findings: &mut Findings) {
    for (index, trigger) in triggers.iter().enumerate() {
        let at = format!("spec.triggers[{index}].metadata");
        for (key, value) in &trigger.metadata {
            findings.add(!value.is_string(), Rule::TriggerNotText, place, || Texts {
                what: format!("{at}.{key} is {value}, which is no text"),
                why: "every value there is text: the API server refuses it",
                instead: format!("{key}: \"{}\"", plain(value)),
            });
        }
        let activation = trigger.number("activationLagThreshold", 0).unwrap_or(0);
        findings.add(activation > 0, Rule::ActivationAboveZero, place, || Texts {
            what: format!("{at}.activationLagThreshold is {activation}"),
            why: "at zero, so many inputs wait until another joins them: for ever, if none does",
            instead: "activationLagThreshold: \"0\"".into(),
        });
    }
}

/// Whether its triggers look at the consumers that the function has.
fn consumers_of_triggers(place: &str, triggers: &[Trigger], function: &Description, findings: &mut Findings) {
    let name = function.name.as_str();
    let needed: Vec<&str> = consumers(function).iter().map(|consumer| consumer.stream).collect();
    let looks_at = |trigger: &Trigger, stream: &str| {
        trigger.text("stream") == Some(stream) && trigger.text("consumer") == Some(name)
    };
    for stream in &needed {
        let is_there = triggers.iter().any(|trigger| looks_at(trigger, stream));
        findings.add(!is_there, Rule::TriggerMissing, place, || Texts {
            what: format!("no trigger looks at the consumer {name} of {stream}"),
            why: "at zero, what waits there wakes nobody",
            instead: format!(
                "- {{type: {TRIGGER_TYPE}, metadata: {{stream: {stream}, consumer: {name}, …}}}}"
            ),
        });
    }
    for trigger in triggers.iter().filter(|trigger| trigger.r#type == TRIGGER_TYPE) {
        let is_known = needed.iter().any(|stream| looks_at(trigger, stream));
        findings.add(!is_known, Rule::TriggerUnknown, place, || Texts {
            what: format!(
                "a trigger looks at the consumer {} of {}, and {name} has none there",
                trigger.text("consumer").unwrap_or("(none)"),
                trigger.text("stream").unwrap_or("(none)"),
            ),
            why: "KEDA cannot read a consumer that is not there: it never scales to zero, or holds for ever what the fallback says",
            instead: format!("a trigger for each of {}, with the consumer {name}", needed.join(", ")),
        });
    }
}

fn fallback(place: &str, object: &ScaledObject, findings: &mut Findings) {
    let instead = || "fallback: {failureThreshold: 3, replicas: 1, behavior: currentReplicasIfHigher}".into();
    let fallback = object.spec.fallback.as_ref();
    findings.add(fallback.is_none(), Rule::FallbackMissing, place, || Texts {
        what: "it has no fallback".into(),
        why: "while KEDA cannot read the lag it changes nothing: what is at zero stays there, whatever waits",
        instead: instead(),
    });
    let is_zero = fallback.is_some_and(|fallback| fallback.replicas == 0);
    findings.add(is_zero, Rule::FallbackZero, place, || Texts {
        what: "its fallback is no process".into(),
        why: "when KEDA cannot read the lag for longer than the cooldown, it stops what works",
        instead: instead(),
    });
}

fn plain(value: &Value) -> String {
    value.to_string().trim_matches('"').to_owned()
}
