//! What a server says when it denies a subject, and what to grant so that it does not.

use std::fmt;

use crate::topology;

/// A subject that this user may not publish or subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    may_not: &'static str,
    subject: String,
}

impl Denial {
    /// Reads the server's words, such as `Permissions Violation for Publish to "orders.placed.1.2"`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let lower = text.to_lowercase();
        if !lower.contains("permissions violation") {
            return None;
        }
        let may_not = if lower.contains("for subscription") { "subscribe" } else { "publish" };
        let subject = text.split('"').nth(1).unwrap_or(text).to_owned();
        Some(Self { may_not, subject })
    }

    /// Whether the function works without it: reading what it was given of these streams once more, in search of an input
    /// that the client cannot read, is all that it asks of them in this way.
    pub(super) fn can_be_borne(&self) -> bool {
        let stream = self.subject.strip_prefix("$JS.API.STREAM.MSG.GET.");
        stream.is_some_and(|stream| [topology::INTAKE, topology::RETRY, topology::AUDIT].contains(&stream))
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { may_not, subject } = self;
        let grant = grant(subject);
        write!(f, "this user may not {may_not} to {subject}: allow it to {may_not} to \"{grant}\"")
    }
}

/// The narrowest pattern that covers what a function does with `subject` and its like: ids become wildcards.
fn grant(subject: &str) -> String {
    let tokens: Vec<&str> = subject.split('.').collect();
    let first = |count: usize| tokens.iter().take(count).copied().collect::<Vec<_>>().join(".");
    match tokens.as_slice() {
        // $JS.ACK.<stream>.<consumer>.…
        ["$JS", "ACK", _, _, ..] => format!("{}.>", first(4)),
        // $JS.API.DIRECT.GET.<stream>.<subject>
        ["$JS", "API", "DIRECT", "GET", _, ..] => format!("{}.>", first(5)),
        ["$JS", ..] => subject.to_owned(),
        [inbox, ..] if inbox.starts_with("_INBOX") => format!("{inbox}.>"),
        // <type>.<aggregate>.<id>, done.<function>.…, state.<function>.…, dlq.<function>.…
        [_, _, rest @ ..] => format!("{}{}", first(2), ".*".repeat(rest.len())),
        _ => subject.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_grant_covers_every_id_and_nothing_else() {
        let rows = [
            ("$JS.ACK.EVENTS.order.1.2.3.4.0", "$JS.ACK.EVENTS.order.>"),
            ("$JS.API.DIRECT.GET.EVENTS.state.order.x", "$JS.API.DIRECT.GET.EVENTS.>"),
            ("$JS.API.CONSUMER.MSG.NEXT.EVENTS.order", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.order"),
            ("_INBOX_order.abc.1", "_INBOX_order.>"),
            ("orders.placed.ORD-1.01J", "orders.placed.*.*"),
            ("state.order.stock%2F1", "state.order.*"),
            ("schedule.order.x.1", "schedule.order.*.*"),
            ("orders.placed", "orders.placed"),
        ];
        for (subject, expected) in rows {
            assert_eq!(grant(subject), expected);
        }
    }

    #[test]
    fn the_servers_words_are_read() {
        let denial =
            Denial::read(r#"nats: Permissions Violation for Subscription to "_INBOX_x.1.*""#).unwrap();
        assert_eq!(
            denial.to_string(),
            r#"this user may not subscribe to _INBOX_x.1.*: allow it to subscribe to "_INBOX_x.>""#
        );
        assert!(
            Denial::read(r#"Permissions Violation for Publish to "a.b.c.d""#)
                .unwrap()
                .to_string()
                .contains("publish to \"a.b.*.*\"")
        );
        assert_eq!(Denial::read("Stale Connection"), None);
        let can_be_borne = |subject: &str| {
            let text = format!(r#"Permissions Violation for Publish to "{subject}""#);
            Denial::read(&text).unwrap().can_be_borne()
        };
        assert!(can_be_borne("$JS.API.STREAM.MSG.GET.INTAKE"));
        assert!(!can_be_borne("$JS.API.STREAM.MSG.GET.EVENTS") && !can_be_borne("dlq.teller.1"));
    }
}
