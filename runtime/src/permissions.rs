//! What each user may do at the broker: what its function's contract needs, and nothing else. Pure data, as the topology is.

mod operations;
mod pattern;
mod text;

use serde::Serialize;

use crate::topology::{AUDIT, EVENTS, INTAKE, RETRY};
use crate::{Description, Source};

pub use operations::{METRICS, OPERATIONS, OPERATOR, PROVISION, PUBLISHER, RESCUE};
pub(crate) use pattern::{covers, overlap};
pub use text::{claims_json, key_variable, server_configuration};

/// What tells a user what it may do. The server answers on this subject with the user's own permissions.
pub(crate) const USER_INFO: &str = "$SYS.REQ.USER.INFO";

/// One user of the broker, and everything that it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// Its name: the function's, or one of [`OPERATIONS`]. It is also the last part of its inbox's prefix.
    pub user: String,
    /// One sentence on who it is.
    pub about: String,
    /// The subjects that it may publish to.
    pub publish: Vec<Grant>,
    /// The subjects that it may subscribe to.
    pub subscribe: Vec<Grant>,
}

/// One line: a subject, or a pattern of subjects, and why it is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// Where ids stand there is a wildcard.
    pub subject: String,
    /// What cannot be done without it.
    pub why: &'static str,
}

impl Permissions {
    /// What `function` needs, where streams and consumers are made by somebody else (`JETLAG_PROVISION=false`).
    pub fn of(function: &Description) -> Self {
        let name = &function.name;
        let mut user = Self::nobody(name, &function.summary);
        let is_trail = function.reads == Source::Audit;
        let listens = !function.listens_to.is_empty();
        for stream in lanes(function) {
            user.may_publish(
                format!("$JS.API.CONSUMER.INFO.{stream}.{name}"),
                "see that its consumer is there, and how long it waits",
            );
            user.may_publish(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"), "pull its inputs");
            user.may_publish(format!("$JS.ACK.{stream}.{name}.>"), "answer for its inputs");
            if stream != EVENTS {
                user.may_publish(
                    format!("$JS.API.STREAM.MSG.GET.{stream}"),
                    "find an input whose headers cannot be read, and bury it",
                );
            }
        }
        user.may_publish(
            format!("$JS.API.STREAM.INFO.{EVENTS}"),
            "know how long events are kept, and whether there is room for more",
        );
        user.may_publish(
            format!("$JS.API.STREAM.MSG.GET.{EVENTS}"),
            "read at the stream's leader what was committed before",
        );
        if !function.keeps.is_empty() {
            user.may_publish(format!("$JS.API.DIRECT.GET.{EVENTS}.state.{name}.*"), "read its state");
        }
        for kind in &function.emits {
            user.may_publish(format!("{}.*.*", kind.name), "commit the events that it emits");
        }
        for kind in &function.admits {
            user.may_publish(format!("{}.*.*", kind.name), "admit events from publishers outside");
        }
        if listens {
            user.may_publish(
                format!("state.{name}.*"),
                "commit its state, and record what an input did to its process and its circuit breaker",
            );
        }
        if listens && !is_trail {
            user.may_publish(format!("done.{name}.*.*"), "commit receipts");
            user.may_publish(format!("schedule.{name}.*.*"), "put off a failed attempt");
        }
        if !lanes(function).is_empty() {
            user.may_publish(format!("dlq.{name}.*"), "write dead letters");
        }
        user.complete()
    }

    /// Every user of `functions`: one for each, and those of [`OPERATIONS`].
    pub fn all(functions: &[Description]) -> Vec<Self> {
        let own = functions.iter().map(Self::of);
        own.chain(OPERATIONS.iter().filter_map(|name| Self::of_operation(name, functions))).collect()
    }

    /// A user of this name that may do nothing yet.
    fn nobody(user: &str, about: &str) -> Self {
        Self { user: user.to_owned(), about: about.to_owned(), publish: Vec::new(), subscribe: Vec::new() }
    }

    /// Allows it to publish to `subject`, for the first reason that is given.
    fn may_publish(&mut self, subject: impl Into<String>, why: &'static str) {
        let subject = subject.into();
        if !self.publish.iter().any(|grant| grant.subject == subject) {
            self.publish.push(Grant { subject, why });
        }
    }

    /// Adds what every user needs.
    fn complete(mut self) -> Self {
        self.may_publish(USER_INFO, "ask what it may do, and tell at once what is missing");
        let inbox = format!("{}.>", inbox(&self.user));
        self.subscribe.push(Grant { subject: inbox, why: "hear the broker's answers" });
        self
    }
}

/// The prefix of the inboxes of `user`.
pub(crate) fn inbox(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// The streams that `function` has a consumer on.
fn lanes(function: &Description) -> Vec<&'static str> {
    if !function.trigger.pulls() {
        return Vec::new();
    }
    let mut lanes = match function.reads {
        Source::Events if !function.listens_to.is_empty() => vec![EVENTS, RETRY],
        Source::Events => Vec::new(),
        Source::Audit => vec![AUDIT],
    };
    if !function.admits.is_empty() {
        lanes.push(INTAKE);
    }
    lanes
}

#[cfg(test)]
mod tests;
