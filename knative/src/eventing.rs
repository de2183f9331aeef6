//! The broker of Knative Eventing, and the triggers by which inputs come to functions.

use std::collections::{BTreeMap, BTreeSet};

use jetlag::Description;
use keda::Deploy;
use keda::parts::{Document, Kind, Meta, NAMESPACE, Object, labels, labels_of, takes_requests};

use crate::delivery::delivery;
use crate::kube::eventing::{BrokerSpec, Filter, Reference, Subscriber, TriggerSpec};
use crate::kube::serving::ServiceSpec;

/// Where Knative reads what a broker is made of.
const CLASS: &str = "eventing.knative.dev/broker.class";
/// Every type of event.
const ANY: &str = "*.*";
/// The attribute of a CloudEvent that triggers look at.
const TYPE: &str = "type";

/// The broker.
pub(crate) fn broker(deploy: &Deploy) -> Document {
    let name = &deploy.eventing.broker;
    let class = labels([(CLASS, deploy.eventing.class.annotation())]);
    let meta = Meta::of(name, &deploy.namespace, &labels_of(name)).annotated(class);
    Document::of(&Object::new(meta, BrokerSpec {}))
        .tunable("metadata/name", ".Values.knative.broker")
        .tunable("metadata/namespace", NAMESPACE)
        .tunable(&format!("metadata/annotations/{CLASS}"), ".Values.knative.broker_class")
        .because(
            &format!("metadata/annotations/{CLASS}"),
            "What it is made of cannot be changed: another class is another broker. Copies and channels are settings of the cluster (config-br-defaults).",
        )
}

/// Whether inputs come to `function` by Knative Eventing.
pub(crate) fn is_triggered(function: &Description) -> bool {
    takes_requests(function) && function.trigger.takes_requests() && !inputs(function).is_empty()
}

/// The triggers of `function`: one for each type of its inputs.
pub(crate) fn triggers(function: &Description, deploy: &Deploy) -> Vec<Document> {
    inputs(function).iter().map(|kind| trigger(function, deploy, kind)).collect()
}

/// The types that it handles; if it handles every type, that alone. What it admits from publishers outside comes by the
/// stream INTAKE or by a path of its own, and is no input.
fn inputs(function: &Description) -> BTreeSet<&str> {
    let kinds: BTreeSet<&str> = function.listens_to.iter().map(|kind| kind.name.as_str()).collect();
    if kinds.contains(ANY) { BTreeSet::from([ANY]) } else { kinds }
}

fn trigger(function: &Description, deploy: &Deploy, kind: &str) -> Document {
    let name = &function.name;
    let filter = (kind != ANY).then(|| Filter { attributes: BTreeMap::from([(TYPE, kind.to_owned())]) });
    let has_filter = filter.is_some();
    let spec = TriggerSpec {
        broker: deploy.eventing.broker.clone(),
        filter,
        subscriber: Subscriber {
            r#ref: Reference { api_version: ServiceSpec::API, kind: ServiceSpec::KIND, name: name.clone() },
        },
        delivery: delivery(function, deploy.eventing.dead_letters.as_deref()),
    };
    let meta = Meta::of(&trigger_name(name, kind), &deploy.namespace, &labels_of(name));
    let document = Document::of(&Object::new(meta, spec))
        .tunable("metadata/namespace", NAMESPACE)
        .tunable("spec/broker", ".Values.knative.broker")
        .because(
            "spec/delivery/retry",
            "As the contract says. Knative's waits double without an end: there are no more of them than stay near the contract's longest.",
        );
    let document = if has_filter {
        document.because("spec/filter", "One trigger for each type: a broker tries and counts them apart.")
    } else {
        document
    };
    if deploy.eventing.dead_letters.is_some() {
        document.tunable("spec/delivery/deadLetterSink/uri", ".Values.knative.dead_letters | quote").because(
            "spec/delivery/deadLetterSink",
            "What nobody could handle: what is refused (4xx) at once, the rest after the last attempt.",
        )
    } else {
        document
    }
}

/// Names have no dots, so that they can be labels.
fn trigger_name(function: &str, kind: &str) -> String {
    if kind == ANY {
        format!("{function}-any")
    } else {
        format!("{function}-{}", kind.replace(['.', '_'], "-"))
    }
}
