//! Where pods may connect to.

use std::collections::BTreeSet;

use crate::kube::identity::labels;
use crate::kube::network::{IpBlock, Peer, PolicyPort, PolicyRule};
use crate::kube::workload::Selector;

/// The label by which every namespace has its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// Where DNS of a cluster runs.
const DNS_NAMESPACE: &str = "kube-system";
/// The address of DNS on the node itself, where NodeLocal DNSCache is used.
const NODE_DNS: &str = "169.254.20.10/32";

/// Schemes, and the port of each where a URL names none.
const PORTS: [(&str, u16); 6] =
    [("http", 80), ("https", 443), ("nats", 4222), ("tls", 4222), ("smtp", 25), ("smtps", 465)];

/// A place outside of the pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    host: String,
    port: u16,
}

impl Place {
    /// The place of `url`; none if it is no URL of a known scheme.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let (_, default) = PORTS.iter().find(|(known, _)| *known == scheme)?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (address, *default),
        };
        (!host.is_empty()).then(|| Self { host: host.to_ascii_lowercase(), port })
    }

    /// Whom the policy names: the pods of a namespace, one address, or anybody, since a policy knows no host names.
    fn peer(&self) -> Option<Peer> {
        let labels_of: Vec<&str> = self.host.split('.').collect();
        match labels_of.as_slice() {
            [_, namespace, "svc"] | [_, namespace, "svc", "cluster", "local"] => {
                Some(Peer::namespace(namespace))
            }
            _ if self.host.parse::<std::net::Ipv4Addr>().is_ok() => {
                Some(Peer::address(&format!("{}/32", self.host)))
            }
            _ => None,
        }
    }
}

impl Peer {
    fn namespace(name: &str) -> Self {
        let selector = Selector { match_labels: labels([(NAMESPACE_NAME, name)]) };
        Self { namespace_selector: Some(selector), ip_block: None }
    }

    fn address(cidr: &str) -> Self {
        Self { namespace_selector: None, ip_block: Some(IpBlock { cidr: cidr.to_owned() }) }
    }
}

/// The places that `values` name, each of which may be a list of URLs.
pub(crate) fn named_by<'a>(values: impl Iterator<Item = &'a str>) -> BTreeSet<Place> {
    values.flat_map(|value| value.split(',')).filter_map(Place::of).collect()
}

/// What every pod needs: name resolution, and the broker.
pub(crate) fn common(broker: &str) -> Vec<PolicyRule> {
    let dns = PolicyRule {
        to: vec![Peer::namespace(DNS_NAMESPACE), Peer::address(NODE_DNS)],
        ports: vec![PolicyPort { port: 53, protocol: "UDP" }, PolicyPort { port: 53, protocol: "TCP" }],
    };
    let broker = named_by(std::iter::once(broker));
    std::iter::once(dns).chain(rules(&broker)).collect()
}

/// An opening for each of `places`.
pub(crate) fn rules(places: &BTreeSet<Place>) -> Vec<PolicyRule> {
    let rule = |place: &Place| PolicyRule {
        to: place.peer().into_iter().collect(),
        ports: vec![PolicyPort { port: place.port, protocol: "TCP" }],
    };
    places.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_urls_of_every_kind() {
        let place = |url: &str| Place::of(url).map(|place| (place.host, place.port));
        let is = |host: &str, port: u16| Some((host.to_owned(), port));
        assert_eq!(
            place("http://gateway.world.svc.cluster.local:8080/v1"),
            is("gateway.world.svc.cluster.local", 8080)
        );
        assert_eq!(place("https://api.stripe.com"), is("api.stripe.com", 443));
        assert_eq!(place("smtp://me:pa@mail.example?from=a&to=b"), is("mail.example", 25));
        assert_eq!(place("pm_card_visa"), None);
        assert_eq!(place("8000"), None);
    }

    #[test]
    fn a_policy_names_the_namespace_of_a_service_the_address_or_nobody() {
        let peer = |url: &str| Place::of(url).unwrap().peer();
        let namespace =
            peer("nats://nats.broker.svc.cluster.local:4222").unwrap().namespace_selector.unwrap();
        assert_eq!(namespace.match_labels[NAMESPACE_NAME], "broker");
        assert_eq!(peer("http://10.0.0.7").unwrap().ip_block.unwrap().cidr, "10.0.0.7/32");
        assert!(peer("https://api.stripe.com").is_none());
    }
}
