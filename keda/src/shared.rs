//! What functions share: the namespace, and how KEDA finds the broker.

use std::collections::BTreeMap;

use crate::deploy::Deploy;
use crate::document::Document;
use crate::function::NAMESPACE;
use crate::kube::identity::{ConfigMap, Meta, Namespace, Object, ServiceAccount, labels};
use crate::kube::network::NetworkPolicySpec;
use crate::kube::scaled_object::{AuthConfig, AuthSpec};
use crate::kube::workload::Selector;
use crate::names;

const ENDPOINT: &str = "natsServerMonitoringEndpoint";
const ACCOUNT: &str = "account";

/// The account of a function's pods, or of a job's: it has no rights, and says how images are pulled.
pub(crate) fn account(meta: Meta, deploy: &Deploy) -> Document {
    Document::of(&ServiceAccount::new(meta, &deploy.images.pull_secrets))
        .tunable("metadata/namespace", NAMESPACE)
        .tunable_after(
            "automountServiceAccountToken",
            &[
                "{{- with .Values.images.pull_secrets }}",
                "imagePullSecrets:",
                "{{- range . }}",
                "- name: {{ . }}",
                "{{- end }}",
                "{{- end }}",
            ],
        )
}

/// The namespace.
pub(crate) fn namespace(deploy: &Deploy) -> Document {
    let mut own = names::labels_of(&deploy.namespace);
    own.extend(labels([
        ("pod-security.kubernetes.io/enforce", "restricted"),
        ("pod-security.kubernetes.io/warn", "restricted"),
    ]));
    Document::of(&Namespace::new(Meta::of_cluster(&deploy.namespace, &own))).because(
        "metadata/labels/pod-security.kubernetes.io/enforce",
        "No pod may have more rights than the restricted level gives.",
    )
}

/// Nothing is open in the namespace but what another policy opens.
pub(crate) fn closed(deploy: &Deploy) -> Document {
    let meta = Meta::of("default-deny", &deploy.namespace, &names::labels_of("default-deny"));
    let spec = NetworkPolicySpec {
        pod_selector: Selector::default(),
        policy_types: vec!["Ingress", "Egress"],
        ingress: Vec::new(),
        egress: Vec::new(),
    };
    Document::of(&Object::new(meta, spec))
        .tunable("metadata/namespace", NAMESPACE)
        .because("spec/podSelector", "Every pod: what is open is in the policy of each.")
}

/// Where KEDA asks for lag.
pub(crate) fn monitoring(deploy: &Deploy) -> [Document; 2] {
    let meta = || Meta::of(names::MONITORING, &deploy.namespace, &names::labels_of(names::MONITORING));
    let data = BTreeMap::from([
        (ENDPOINT.to_owned(), deploy.broker.monitoring.clone()),
        (ACCOUNT.to_owned(), deploy.broker.account.clone()),
    ]);
    let auth = |parameter| AuthConfig { parameter, name: names::MONITORING, key: parameter };
    let spec = AuthSpec { config_map_target_ref: vec![auth(ENDPOINT), auth(ACCOUNT)] };
    [
        Document::of(&ConfigMap::new(meta(), data))
            .tunable("metadata/namespace", NAMESPACE)
            .tunable("data/natsServerMonitoringEndpoint", ".Values.broker.monitoring | quote")
            .tunable("data/account", ".Values.broker.account | quote")
            .because(
            "data/natsServerMonitoringEndpoint",
            "KEDA asks the server that leads a consumer, and finds it by host name: in a cluster of servers, the headless Service. It knows no password and no client certificate there: let only KEDA's namespace and this one, for `jetlag-metrics`, reach that port.",
        ),
        Document::of(&Object::new(meta(), spec)).tunable("metadata/namespace", NAMESPACE),
    ]
}
