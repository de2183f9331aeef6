//! What is wrong with a Deployment that somebody has written.

use jetlag::{Description, STOP_MAX};

use super::{Findings, Placed, Rule, Texts};
use crate::given::{Container, Deployment, Given, ScaledObject};

/// Kubernetes' default.
const GRACE_UNLESS_S: u64 = 30;
/// What is added to what a process needs at most: for the kubelet, and a busy node.
const MARGIN_S: u64 = 9;
/// Where inputs come from.
const TRIGGER: &str = "JETLAG_TRIGGER";

pub(super) fn look(
    file: &str,
    deployment: &Deployment,
    functions: &[Description],
    given: &[Placed],
    findings: &mut Findings,
) {
    let name = &deployment.metadata.name;
    let pod = &deployment.spec.template.spec;
    let scaled = scaled_by(name, given);
    let is_known = |name: &str| functions.iter().any(|function| function.name == name);
    let runs_one = pod.containers.iter().any(|container| is_known(&container.name));
    // What is neither scaled here nor a function is none of our business.
    if scaled.is_none() && !is_known(name) && !runs_one {
        return;
    }
    let place = format!("{file}: Deployment {name}");

    let sleeps = pod.containers.iter().map(Container::sleeps_s).max().unwrap_or(0);
    let grace = pod.termination_grace_period_seconds.unwrap_or(GRACE_UNLESS_S);
    let needed = STOP_MAX.as_secs().saturating_add(sleeps);
    findings.add(grace <= needed, Rule::GraceBelowStop, &place, || Texts {
        what: format!("terminationGracePeriodSeconds is {grace}, and a process takes up to {needed} s to stop"),
        why: "Kubernetes kills it while it finishes what it has begun: its inputs wait for the ack wait, come again, and are suspected of having killed it",
        instead: format!("terminationGracePeriodSeconds: {}", needed.saturating_add(MARGIN_S)),
    });
    for container in &pod.containers {
        let path = container.liveness_probe.as_ref().and_then(|probe| probe.path());
        findings.add(path == Some("/ready"), Rule::LivenessAsksReadiness, &place, || Texts {
            what: format!("the liveness probe of {} asks /ready", container.name),
            why: "a process that waits for the broker is not ready: Kubernetes kills all of them for the broker's sins",
            instead: "livenessProbe on /health, readinessProbe on /ready".into(),
        });
    }
    let fixed = deployment.spec.replicas.filter(|_| scaled.is_some() || is_known(name));
    findings.add(fixed.is_some(), Rule::ReplicasFixed, &place, || Texts {
        what: format!("spec.replicas is {}, and KEDA scales it", fixed.unwrap_or(0)),
        why: "each `kubectl apply` sets it back to that, whatever the lag",
        instead: "no spec.replicas".into(),
    });
    let asks = |container: &Container| matches!(container.variable(TRIGGER), Some("http" | "both"));
    let takes_requests = pod.containers.iter().any(asks);
    let to_zero = scaled.is_some_and(|object| object.spec.min_replica_count.unwrap_or(0) == 0);
    findings.add(takes_requests && to_zero, Rule::RequestsScaledToZero, &place, || Texts {
        what: "it takes requests over HTTP, and is scaled to zero on lag".into(),
        why: "at zero nobody answers, and a request that nobody takes makes no lag",
        instead: "a minReplicaCount of 1 or more, or a Deployment of its own for requests".into(),
    });
}

fn scaled_by<'a>(deployment: &str, given: &'a [Placed]) -> Option<&'a ScaledObject> {
    given.iter().find_map(|placed| match &placed.object {
        Given::ScaledObject(object) if object.spec.scale_target_ref.name == deployment => Some(object),
        _ => None,
    })
}
