//! Where the events of a function go that does without JetStream.

use jetlag::Description;
use keda::Deploy;
use keda::deploy::SINK_BROKER;
use keda::parts::{Document, Kind, Meta, NAMESPACE, Object, labels_of};

use crate::kube::eventing::{BrokerSpec, Reference};
use crate::kube::serving::ServiceSpec;
use crate::kube::sources::{Destination, Overrides, SinkBindingSpec};

/// The binding of `function`, if the settings name a sink for it.
pub(crate) fn binding(function: &Description, deploy: &Deploy) -> Option<Document> {
    let name = &function.name;
    let own = &deploy.functions.get(name)?.knative;
    let sink = own.sink.as_deref()?;
    let is_broker = sink == SINK_BROKER;
    let broker = || Reference {
        api_version: BrokerSpec::API,
        kind: BrokerSpec::KIND,
        name: deploy.eventing.broker.clone(),
    };
    let overrides = (!own.extensions.is_empty()).then(|| Overrides { extensions: own.extensions.clone() });
    let spec = SinkBindingSpec {
        subject: Reference { api_version: ServiceSpec::API, kind: ServiceSpec::KIND, name: name.clone() },
        sink: if is_broker { Destination::Ref(broker()) } else { Destination::Uri(sink.to_owned()) },
        ce_overrides: overrides,
    };
    let document = Document::of(&Object::new(Meta::of(name, &deploy.namespace, &labels_of(name)), spec))
        .tunable("metadata/namespace", NAMESPACE)
        .because(
            "spec/sink",
            "In place of NATS_URL, which its ConfigMap leaves out: docs/http.md says what is not promised then.",
        );
    Some(if is_broker { document.tunable("spec/sink/ref/name", ".Values.knative.broker") } else { document })
}
