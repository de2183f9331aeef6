//! Names and labels of objects.

use jetlag::Description;

use crate::kube::identity::{Labels, labels};
use crate::workload::takes_requests;

/// What everything is part of.
pub(crate) const PART_OF: &str = "jetlag";
/// The Job that makes streams and consumers, before a hash of what it makes.
pub(crate) const PROVISION: &str = "jetlag-provision";
/// The CronJob that carries on what would expire.
pub(crate) const RESCUE: &str = "jetlag-rescue";
/// What tells Prometheus what the broker alone knows.
pub(crate) const METRICS: &str = "jetlag-metrics";
/// The ConfigMap with the contracts that are provisioned.
pub(crate) const CONTRACTS: &str = "jetlag-contracts";
/// The ConfigMap and the TriggerAuthentication by which KEDA finds the broker.
pub(crate) const MONITORING: &str = "jetlag-monitoring";
/// The program of the Job, the CronJob and the Deployment beside the functions.
pub(crate) const COMMAND: &str = "jetlag";

const NAME: &str = "app.kubernetes.io/name";
const COMPONENT: &str = "app.kubernetes.io/component";

/// Labels of everything that belongs to `name`.
pub fn labels_of(name: &str) -> Labels {
    labels([
        (NAME, name),
        ("app.kubernetes.io/part-of", PART_OF),
        ("app.kubernetes.io/managed-by", "jetlag-manifests"),
    ])
}

/// By which everything is selected.
pub(crate) fn everything() -> Labels {
    labels([("app.kubernetes.io/part-of", PART_OF)])
}

/// The same of one of its Deployments.
pub fn labels_of_component(name: &str, component: &str) -> Labels {
    let mut labels = labels_of(name);
    labels.insert(COMPONENT.into(), component.into());
    labels
}

/// By which the pods of `name` are selected; never to be changed, since a Deployment's selector cannot be.
pub(crate) fn selector(name: &str) -> Labels {
    labels([(NAME, name)])
}

/// The same of one of its Deployments.
pub(crate) fn selector_of_component(name: &str, component: &str) -> Labels {
    labels([(NAME, name), (COMPONENT, component)])
}

/// The Deployment of a function that answers requests.
pub fn http(function: &str) -> String {
    format!("{function}-http")
}

/// The Service by which a function's metrics are found.
pub(crate) fn metrics(function: &str) -> String {
    format!("{function}-metrics")
}

/// Whether two functions, or a function and what comes with them, would have objects of one name.
pub(crate) fn faults(functions: &[Description]) -> Vec<String> {
    let mut faults = Vec::new();
    let reserved = [PROVISION, RESCUE, METRICS, CONTRACTS, MONITORING, COMMAND];
    for function in functions {
        let name = function.name.as_str();
        if reserved.contains(&name) {
            faults.push(format!("a function cannot be called {name}: an object of Jetlag has that name"));
        }
        for other in functions {
            if other.name == name && !std::ptr::eq(other, function) {
                faults.push(format!("two functions are called {name}"));
            }
            if takes_requests(function) && other.name == http(name) {
                let other = &other.name;
                faults.push(format!(
                    "a function cannot be called {other}: {name} takes requests under that name"
                ));
            }
        }
    }
    faults
}
