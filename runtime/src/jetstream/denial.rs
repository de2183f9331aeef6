//! What a server says when it denies a subject, and what to grant so that it does not.

use std::collections::BTreeMap;

/// How many denied subjects are remembered: whoever is denied one ends soon.
const DENIALS_MAX: usize = 64;

/// A subject that a user may not publish or subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    may_not: &'static str,
    subject: String,
}

/// The subjects that were denied over one connection, each with what is told of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Denials(BTreeMap<String, String>);

impl Denials {
    /// Remembers `denial`, and what is told of it.
    pub(super) fn note(&mut self, denial: &Denial, why: &str) {
        if self.0.len() < DENIALS_MAX {
            self.0.insert(denial.subject.clone(), why.to_owned());
        }
    }

    /// What is told of `subject`, if it was denied.
    pub(super) fn of(&self, subject: &str) -> Option<&str> {
        self.0.get(subject).map(String::as_str)
    }
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

    /// What there is to say about it, and what to do; `user` is who was denied.
    pub(super) fn told_of(&self, user: &str) -> String {
        let Self { may_not, subject } = self;
        let grant = grant(subject);
        // A name of its own follows the word.
        let user = if user.starts_with("this ") { user.to_owned() } else { format!("the user {user}") };
        format!("{user} may not {may_not} to {subject}: allow it to {may_not} to \"{grant}\"")
    }
}

/// The narrowest pattern that covers what is done with `subject` and its like: ids become wildcards.
fn grant(subject: &str) -> String {
    let tokens: Vec<&str> = subject.split('.').collect();
    let first = |count: usize| tokens.iter().take(count).copied().collect::<Vec<_>>().join(".");
    match tokens.as_slice() {
        // $JS.ACK.<stream>.<consumer>.…, or with domain and account before the stream: then there are more tokens.
        ["$JS", "ACK", _, _, _, _, _, _, _] => format!("{}.>", first(4)),
        ["$JS", "ACK", ..] => format!("$JS.ACK.*.*.{}.>", tokens.get(4..6).unwrap_or_default().join(".")),
        // $JS.API.DIRECT.GET.<stream>.<subject>
        ["$JS", "API", "DIRECT", "GET", _, kept @ ..] if !kept.is_empty() => {
            format!("{}.{}", first(5), grant(&kept.join(".")))
        }
        ["$JS" | "$SYS", ..] => subject.to_owned(),
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
            ("$JS.ACK.hub.ACC.EVENTS.order.1.2.3.4.0.x", "$JS.ACK.*.*.EVENTS.order.>"),
            ("$JS.ACK.hub.ACC.EVENTS.order.1.2.3.4.0", "$JS.ACK.*.*.EVENTS.order.>"),
            ("$JS.API.DIRECT.GET.EVENTS.state.order.x", "$JS.API.DIRECT.GET.EVENTS.state.order.*"),
            ("$JS.API.DIRECT.GET.EVENTS", "$JS.API.DIRECT.GET.EVENTS"),
            ("$JS.API.CONSUMER.MSG.NEXT.EVENTS.order", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.order"),
            ("$SYS.REQ.USER.INFO", "$SYS.REQ.USER.INFO"),
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
        let told = |text: &str, user: &str| Denial::read(text).unwrap().told_of(user);
        assert_eq!(
            told(r#"nats: Permissions Violation for Subscription to "_INBOX_x.1.*""#, "this user"),
            r#"this user may not subscribe to _INBOX_x.1.*: allow it to subscribe to "_INBOX_x.>""#
        );
        assert_eq!(
            told(r#"Permissions Violation for Publish to "a.b.c.d""#, "payment"),
            r#"the user payment may not publish to a.b.c.d: allow it to publish to "a.b.*.*""#
        );
        assert_eq!(Denial::read("Stale Connection"), None);
    }
}
