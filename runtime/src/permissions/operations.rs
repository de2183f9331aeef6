//! The users of operations: what makes streams, what carries on, what tells how everything is, who looks and mends, and who
//! publishes from outside.

use super::{Permissions, lanes};
use crate::topology::{ADVISORIES, AUDIT, DEAD_LETTERS, EVENTS, INTAKE, RETRY, Sizing, Topology};
use crate::{Description, Source};

/// Makes streams and consumers: `jetlag provision`.
pub const PROVISION: &str = "provision";
/// Carries on what would expire: `jetlag rescue`.
pub const RESCUE: &str = "rescue";
/// Tells how everything is, and changes nothing: `jetlag metrics --listen`.
pub const METRICS: &str = "metrics";
/// Looks and mends: every other command.
pub const OPERATOR: &str = "operator";
/// Publishes from outside.
pub const PUBLISHER: &str = "publisher";

/// The names of the users that are no functions.
pub const OPERATIONS: [&str; 5] = [PROVISION, RESCUE, METRICS, OPERATOR, PUBLISHER];

/// Why a stream's description is asked for.
const SEE_STREAM: &str = "see whether the stream is there, and as it must be";
/// The same of a consumer.
const SEE_CONSUMER: &str = "see whether the consumer is there, and as it must be";
/// Why consumers are listed.
const SEE_PROGRESS: &str = "see which functions there are, and how far they have come";

impl Permissions {
    /// What the user `name` of [`OPERATIONS`] needs for `functions`; nothing if it is none of them.
    pub fn of_operation(name: &str, functions: &[Description]) -> Option<Self> {
        match name {
            PROVISION => Some(provision(functions)),
            RESCUE => Some(rescue(functions)),
            METRICS => Some(metrics(functions)),
            OPERATOR => Some(operator(functions)),
            PUBLISHER => Some(publisher(functions)),
            _ => None,
        }
    }
}

fn provision(functions: &[Description]) -> Permissions {
    let mut user = Permissions::nobody(PROVISION, "Makes streams and consumers, and checks them.");
    let topology = Topology::of(functions, &Sizing::default());
    for stream in &topology.streams {
        let name = stream.name;
        user.may_publish(format!("$JS.API.STREAM.INFO.{name}"), SEE_STREAM);
        user.may_publish(format!("$JS.API.STREAM.CREATE.{name}"), "make the stream");
        if [EVENTS, INTAKE].contains(&name) {
            user.may_publish(format!("$JS.API.STREAM.UPDATE.{name}"), "add the types of new contracts");
        }
    }
    for consumer in &topology.consumers {
        let (stream, durable) = (consumer.stream, &consumer.durable);
        user.may_publish(format!("$JS.API.CONSUMER.INFO.{stream}.{durable}"), SEE_CONSUMER);
        user.may_publish(format!("$JS.API.CONSUMER.CREATE.{stream}.{durable}"), "make the consumer");
    }
    user.complete()
}

fn rescue(functions: &[Description]) -> Permissions {
    let mut user = Permissions::nobody(RESCUE, "Carries on events that would expire.");
    user.may_publish(format!("$JS.API.STREAM.INFO.{EVENTS}"), "know how long events are kept");
    for stream in [EVENTS, RETRY] {
        user.may_publish(format!("$JS.API.CONSUMER.NAMES.{stream}"), "find the functions");
    }
    let rescued = || functions.iter().filter(|function| is_rescued(function));
    let admits = rescued().any(|function| !function.admits.is_empty());
    for stream in [EVENTS, RETRY].into_iter().chain(admits.then_some(INTAKE)) {
        user.may_publish(format!("$JS.API.DIRECT.GET.{stream}"), "read what is old");
    }
    for stream in [EVENTS, RETRY, DEAD_LETTERS] {
        user.may_publish(
            format!("$JS.API.STREAM.MSG.GET.{stream}"),
            "see at the stream's leader whether an input was answered for",
        );
    }
    for stream in [RETRY].into_iter().chain(admits.then_some(INTAKE)) {
        user.may_publish(
            format!("$JS.API.STREAM.MSG.DELETE.{stream}"),
            "take away what was answered for and never expires",
        );
    }
    for function in rescued() {
        let name = &function.name;
        // Whether a function admits is asked for all of them.
        for stream in [EVENTS, RETRY, INTAKE] {
            user.may_publish(
                format!("$JS.API.CONSUMER.INFO.{stream}.{name}"),
                "see how far the function has come",
            );
        }
        user.may_publish(format!("$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{name}"), "pull what is old");
        user.may_publish(format!("$JS.ACK.{EVENTS}.{name}.>"), "answer for what was carried on");
        user.may_publish(format!("retry.{name}.*.*"), "carry an input on to its function");
        user.may_publish(format!("dlq.{name}.*"), "write a dead letter that was begun and not ended");
        user.may_publish(format!("state.{name}.*"), "record that an input was given back");
    }
    user.complete()
}

/// Whether its events can be carried on.
fn is_rescued(function: &Description) -> bool {
    function.reads == Source::Events && !function.listens_to.is_empty()
}

fn metrics(functions: &[Description]) -> Permissions {
    let mut user = Permissions::nobody(METRICS, "Tells how everything is, and changes nothing.");
    // All streams are asked for, whether something is admitted or not.
    for stream in [EVENTS, RETRY, INTAKE, DEAD_LETTERS, AUDIT, ADVISORIES] {
        user.may_publish(format!("$JS.API.STREAM.INFO.{stream}"), "see how full the stream is");
    }
    for stream in [EVENTS, RETRY, INTAKE, AUDIT] {
        user.may_publish(format!("$JS.API.CONSUMER.LIST.{stream}"), SEE_PROGRESS);
    }
    let mut reads = |stream: &str, why| user.may_publish(format!("$JS.API.DIRECT.GET.{stream}"), why);
    reads(EVENTS, "see how long the oldest event waits, and whose circuit breaker is open");
    reads(RETRY, "see how many failed attempts wait, and how long");
    if functions.iter().any(|function| !function.admits.is_empty()) {
        reads(INTAKE, "see how long the oldest input from outside waits");
    }
    reads(DEAD_LETTERS, "see whose dead letters there are");
    reads(AUDIT, "see how long the oldest entry waits, and verify the audit trail");
    user.complete()
}

fn operator(functions: &[Description]) -> Permissions {
    let mut user =
        Permissions::nobody(OPERATOR, "Looks at everything, sends dead letters again, and purges them.");
    let topology = Topology::of(functions, &Sizing::default());
    let admits = functions.iter().any(|function| !function.admits.is_empty());
    for stream in &topology.streams {
        user.may_publish(format!("$JS.API.STREAM.INFO.{}", stream.name), SEE_STREAM);
        user.may_publish(format!("$JS.API.DIRECT.GET.{}", stream.name), "read the stream");
    }
    user.may_publish("$JS.API.INFO", "see how much the account may store");
    // Whether anything is admitted is asked for all.
    user.may_publish(format!("$JS.API.STREAM.INFO.{INTAKE}"), SEE_STREAM);
    for stream in [EVENTS, RETRY, AUDIT, INTAKE] {
        user.may_publish(format!("$JS.API.CONSUMER.LIST.{stream}"), SEE_PROGRESS);
    }
    for stream in [EVENTS, RETRY, DEAD_LETTERS] {
        user.may_publish(
            format!("$JS.API.STREAM.MSG.GET.{stream}"),
            "see at the stream's leader whether an input was answered for",
        );
    }
    user.may_publish(
        format!("$JS.API.STREAM.MSG.DELETE.{DEAD_LETTERS}"),
        "take away dead letters that were sent again or purged",
    );
    for stream in [RETRY, ADVISORIES].into_iter().chain(admits.then_some(INTAKE)) {
        user.may_publish(
            format!("$JS.API.STREAM.MSG.DELETE.{stream}"),
            "take away what `check --repair` has sent again",
        );
    }
    for function in functions {
        let name = &function.name;
        for stream in lanes(function) {
            user.may_publish(format!("$JS.API.CONSUMER.INFO.{stream}.{name}"), SEE_CONSUMER);
            user.may_publish(
                format!("$JS.API.DIRECT.GET.{DEAD_LETTERS}.dlq.{name}.*"),
                "see whether a dead letter was written",
            );
        }
        if is_rescued(function) {
            user.may_publish(format!("done.{name}.*.*"), "note in the trail who sent a dead letter again");
            user.may_publish(format!("retry.{name}.*.*"), "send an input to its function again");
        }
        for kind in &function.admits {
            user.may_publish(
                format!("$JS.API.DIRECT.GET.{EVENTS}.{}.*.*", kind.name),
                "see whether an event was admitted",
            );
            user.may_publish(kind.name.as_str(), "send an event that was not admitted again");
        }
    }
    user.complete()
}

fn publisher(functions: &[Description]) -> Permissions {
    let mut user = Permissions::nobody(PUBLISHER, "Publishes events from outside.");
    for kind in functions.iter().flat_map(|function| &function.admits) {
        user.may_publish(kind.name.as_str(), "publish an event that a function admits");
    }
    user.complete()
}
