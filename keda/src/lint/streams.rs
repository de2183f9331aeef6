//! What is wrong with consumers: those that are made of contracts, and those that somebody has written.

use jetlag::topology::Topology;
use serde_json::Value;

use super::{Findings, Rule, Texts};
use crate::given::Consumer;

/// What matters of a consumer.
struct Terms<'a> {
    max_deliver: Option<i64>,
    ack_policy: Option<&'a str>,
    backs_off: bool,
    max_ack_pending: Option<i64>,
}

/// The consumers that contracts need.
pub(super) fn look(topology: &Topology, findings: &mut Findings) {
    for consumer in &topology.consumers {
        let config = &consumer.config;
        let terms = Terms {
            max_deliver: config.get("max_deliver").and_then(Value::as_i64),
            ack_policy: config.get("ack_policy").and_then(Value::as_str),
            backs_off: config.get("backoff").is_some(),
            // A trail is read one batch at a time, and a batch may be of one.
            max_ack_pending: None,
        };
        rules(&format!("{}: consumer of {}", consumer.durable, consumer.stream), &terms, findings);
    }
}

/// A consumer that somebody has written.
pub(super) fn look_at(file: &str, consumer: &Consumer, findings: &mut Findings) {
    let spec = &consumer.spec;
    let terms = Terms {
        max_deliver: spec.max_deliver,
        // The controller's default.
        ack_policy: Some(spec.ack_policy.as_deref().unwrap_or("none")),
        backs_off: !spec.backoff.is_empty(),
        max_ack_pending: spec.max_ack_pending,
    };
    let name = spec.durable_name.as_ref().unwrap_or(&consumer.metadata.name);
    rules(&format!("{file}: Consumer {name} of {}", spec.stream_name), &terms, findings);
}

fn rules(place: &str, terms: &Terms<'_>, findings: &mut Findings) {
    // What is not said is unlimited too.
    let most = terms.max_deliver.filter(|most| *most > 0);
    findings.add(most.is_some(), Rule::MaxDeliver, place, || Texts {
        what: format!("the broker delivers an input {} times at most", most.unwrap_or(0)),
        why: "then it forgets it without a word and without a dead letter; a release (a drain, an open breaker) is a delivery, but no attempt. The runtime counts attempts itself",
        instead: "max_deliver: -1".into(),
    });
    findings.add(terms.backs_off, Rule::ServerBackoff, place, || Texts {
        what: "the broker has a backoff of its own".into(),
        why: "it takes the place of the ack wait and adds to every delay; what waits in it is lag, for which KEDA keeps a process",
        instead: "no backoff: the contract's .retry(…) schedules attempts in the stream RETRY".into(),
    });
    let policy = terms.ack_policy.unwrap_or_default();
    findings.add(policy != "explicit", Rule::AckPolicy, place, || Texts {
        what: format!("its ack policy is `{policy}`"),
        why: "only with explicit acks each input is kept until its own effects are stored",
        instead: "an ack policy of explicit".into(),
    });
    findings.add(terms.max_ack_pending == Some(1), Rule::AckPending, place, || Texts {
        what: "one input may be unanswered at a time, over all processes".into(),
        why: "there is nothing to scale: one process works, and the others wait",
        instead: "a limit of 20000; a process handles inputs of one key one after the other anyway".into(),
    });
}
