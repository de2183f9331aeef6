//! What is wrong with a SinkBinding that somebody has written.

use jetlag::{Description, Trigger};

use super::{Findings, Placed, Rule, Texts};
use crate::given::{Container, Given, Reference, SinkBinding};

/// What a SinkBinding is of.
const API: &str = "sources.knative.dev/v1";
/// The same of what it may name: of whom it is told, and of what has an address.
const SUBJECTS: [(&str, &str); 5] = [
    ("Service", "serving.knative.dev/v1"),
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("Job", "batch/v1"),
];
const SINKS: [(&str, &str); 5] = [
    ("Broker", "eventing.knative.dev/v1"),
    ("Channel", "messaging.knative.dev/v1"),
    ("InMemoryChannel", "messaging.knative.dev/v1"),
    ("Service", "serving.knative.dev/v1"),
    ("Service", "v1"),
];

pub(super) fn look(
    file: &str,
    binding: &SinkBinding,
    functions: &[Description],
    given: &[Placed],
    findings: &mut Findings,
) {
    let (subject, sink) = (&binding.spec.subject, &binding.spec.sink);
    let place = format!("{file}: SinkBinding {}", binding.metadata.name);
    let own = Reference {
        api_version: binding.api_version.clone(),
        kind: "SinkBinding".into(),
        name: String::new(),
    };
    version(&place, &own, &[("SinkBinding", API)], findings);
    version(&place, subject, &SUBJECTS, findings);
    if let Some(object) = &sink.r#ref {
        version(&place, object, &SINKS, findings);
    }
    let is_url = |uri: &String| ["http://", "https://"].iter().any(|scheme| uri.starts_with(scheme));
    let is_named = sink.r#ref.as_ref().is_some_and(|object| !object.name.is_empty());
    findings.add(!is_named && !sink.uri.as_ref().is_some_and(is_url), Rule::SinkMissing, &place, || Texts {
        what: "it says no sink: neither an object by its name, nor a URL".into(),
        why: "Knative's webhook refuses it; without a sink the function does not start",
        instead: "sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: …}}, or sink: {uri: http://…}"
            .into(),
    });

    let containers = given.iter().find_map(|placed| containers(&placed.object, subject));
    let is_looked_for =
        !subject.name.is_empty() && ["Service", "Deployment"].contains(&subject.kind.as_str());
    findings.add(is_looked_for && containers.is_none(), Rule::SubjectMissing, &place, || Texts {
        what: format!("its subject, the {} {}, is in none of the files", subject.kind, subject.name),
        why: "if it is nowhere else either, nobody is told where events go",
        instead: "the subject's apiVersion, kind and name as they are where it is written".into(),
    });
    let containers = containers.unwrap_or_default();
    let runs = |function: &&Description| {
        function.name == subject.name || containers.iter().any(|container| container.name == function.name)
    };
    let Some(function) = functions.iter().find(runs) else { return };
    let said = |name| containers.iter().find_map(|container| container.variable(name));
    let trigger = match said("JETLAG_TRIGGER") {
        Some("http") => Trigger::Http,
        Some("stream") => Trigger::Stream,
        Some("both") => Trigger::Both,
        _ => function.trigger,
    };
    let needs = function.needs_broker(trigger);
    findings.add(!needs.is_empty(), Rule::SinkNeedsBroker, &place, || Texts {
        what: format!("{} cannot do without a broker: {}", function.name, needs.join("; ")),
        why: "without NATS_URL it does not start, and with it K_SINK is passed over",
        instead: "no SinkBinding: with NATS_URL its events are in JetStream, and come back as the reply where Knative's broker asks"
            .into(),
    });
    let has_broker = said("NATS_URL").is_some_and(|url| !url.is_empty());
    findings.add(needs.is_empty() && has_broker, Rule::SinkNeedsBroker, &place, || Texts {
        what: format!("{} has a broker: NATS_URL is set", function.name),
        why: "K_SINK is passed over then: its events go to JetStream, and the sink gets none",
        instead: "no NATS_URL, neither here nor in its ConfigMap; or no SinkBinding".into(),
    });
}

/// The containers of `object`, if that is the one that is named.
fn containers<'a>(object: &'a Given, named: &Reference) -> Option<&'a [Container]> {
    match object {
        Given::Service(service) if named.kind == "Service" && service.metadata.name == named.name => {
            Some(&service.spec.template.spec.containers)
        }
        Given::Deployment(deployment)
            if named.kind == "Deployment" && deployment.metadata.name == named.name =>
        {
            Some(&deployment.spec.template.spec.containers)
        }
        _ => None,
    }
}

/// That an object of a known kind is of the group and version that it has.
fn version(place: &str, object: &Reference, known: &[(&str, &str)], findings: &mut Findings) {
    let of_kind: Vec<&str> =
        known.iter().filter(|(kind, _)| *kind == object.kind).map(|(_, version)| *version).collect();
    let is_wrong = !of_kind.is_empty() && !of_kind.contains(&object.api_version.as_str());
    findings.add(is_wrong, Rule::ApiVersion, place, || Texts {
        what: format!("the apiVersion of {} is {:?}", object.kind, object.api_version),
        why: "the API server knows no such object, or another one than is meant",
        instead: format!("apiVersion: {}", of_kind.join(" or ")),
    });
}
