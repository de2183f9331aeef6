//! Who is reached under which name, and who may reach whom.

use serde::Serialize;

use super::identity::{Kind, Labels};
use super::workload::Selector;

/// A name for pods.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceSpec {
    #[serde(rename = "clusterIP", skip_serializing_if = "Option::is_none")]
    pub(crate) cluster_ip: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publish_not_ready_addresses: Option<bool>,
    pub(crate) selector: Labels,
    pub(crate) ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) target_port: &'static str,
}

/// What the selected pods may take in and send out; a direction that is named and has no rule is closed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkPolicySpec {
    pub(crate) pod_selector: Selector,
    pub(crate) policy_types: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ingress: Vec<PolicyRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) egress: Vec<PolicyRule>,
}

/// An opening.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyRule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) to: Vec<Peer>,
    pub(crate) ports: Vec<PolicyPort>,
}

/// Pods of other namespaces, or addresses.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Peer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace_selector: Option<Selector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_block: Option<IpBlock>,
}

/// Addresses.
#[derive(Debug, Serialize)]
pub(crate) struct IpBlock {
    pub(crate) cidr: String,
}

/// A port and its protocol.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyPort {
    pub(crate) port: u16,
    pub(crate) protocol: &'static str,
}

impl Kind for ServiceSpec {
    const API: &'static str = "v1";
    const KIND: &'static str = "Service";
}

impl Kind for NetworkPolicySpec {
    const API: &'static str = "networking.k8s.io/v1";
    const KIND: &'static str = "NetworkPolicy";
}
