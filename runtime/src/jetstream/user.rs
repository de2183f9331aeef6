//! Who a connection is, and what it may do, as the server tells.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::jetstream::api::{Caller, request};
use crate::permissions::{Grant, Permissions, USER_INFO, covers, overlap};

/// How long the server has for an answer. It needs nobody else for it.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct User {
    /// Its user name, or its public nkey.
    user: String,
    /// The name that its JWT gives it.
    #[serde(default)]
    user_name: String,
    /// Nothing if it may do anything.
    #[serde(default)]
    permissions: Option<Granted>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Granted {
    publish: Option<Rules>,
    subscribe: Option<Rules>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Rules {
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
}

impl User {
    /// Asks the server. A server that tells nothing tells what it denies when it does.
    pub(super) async fn ask(caller: &Caller) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            data: User,
        }
        let asked = tokio::time::timeout(ANSWER_MAX, request(caller, USER_INFO, None, Bytes::new())).await;
        let why = match asked.map(|answer| answer.map(|answer| serde_json::from_slice(&answer.payload))) {
            Ok(Ok(Ok(Answer { data }))) => return Some(data),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(failed)) => failed.to_string(),
            Err(_) => format!("nothing within {ANSWER_MAX:?}"),
        };
        tracing::debug!(why, "the server does not tell what this user may do");
        None
    }

    /// How people call it: by its name, and by its public nkey if that is another.
    pub(super) fn name(&self) -> String {
        match self.user_name.as_str() {
            "" => self.user.clone(),
            name if name == self.user => self.user.clone(),
            name => format!("{name} ({})", self.user),
        }
    }

    /// What of `needed` it may not do, in a sentence for people; nothing if it may do all of it. Rules that grant a line in
    /// part are left to the server: it denies what is tried and not granted.
    pub(super) fn lacks(&self, needed: &Permissions) -> Option<String> {
        let granted = self.permissions.as_ref()?;
        let missing = |rules: &Option<Rules>, needed: &[Grant], what: &str| -> Vec<String> {
            let rules = rules.clone().unwrap_or_default();
            let missing = needed.iter().filter(|grant| rules.refuse(&grant.subject));
            missing
                .map(|Grant { subject, why }| format!("allow it to {what} to \"{subject}\" ({why})"))
                .collect()
        };
        let mut missing_lines = missing(&granted.publish, &needed.publish, "publish");
        missing_lines.extend(missing(&granted.subscribe, &needed.subscribe, "subscribe"));
        if missing_lines.is_empty() {
            return None;
        }
        Some(format!(
            "the user {} may not do what the contract of {} needs: {}",
            self.name(),
            needed.user,
            missing_lines.join("; ")
        ))
    }
}

impl Rules {
    /// Whether nothing that `subject` matches is granted.
    fn refuse(&self, subject: &str) -> bool {
        let allow = self.allow.iter().flatten();
        // No list at all is leave for everything, as the server has it.
        let is_granted = self.allow.as_ref().is_none_or(Vec::is_empty)
            || allow.into_iter().any(|allowed| overlap(allowed, subject));
        !is_granted || self.deny.iter().flatten().any(|denied| covers(denied, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(permissions: &serde_json::Value) -> User {
        let json = serde_json::json!({"user": "UABC", "user_name": "payment", "permissions": permissions});
        serde_json::from_value(json).unwrap()
    }

    fn needed() -> Permissions {
        let grant = |subject: &str| Grant { subject: subject.into(), why: "commit" };
        Permissions {
            user: "payment".into(),
            about: String::new(),
            publish: vec![grant("a.b.*.*"), grant("state.payment.*")],
            subscribe: vec![grant("_INBOX_payment.>")],
        }
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let lacks = user(&serde_json::json!({
            "publish": {"allow": ["a.>", "done.>"]}, "subscribe": {"allow": ["_INBOX.>"]},
        }));
        let lacks = lacks.lacks(&needed()).unwrap();
        assert_eq!(
            lacks,
            "the user payment (UABC) may not do what the contract of payment needs: allow it to publish to \
             \"state.payment.*\" (commit); allow it to subscribe to \"_INBOX_payment.>\" (commit)"
        );
    }

    #[test]
    fn only_what_is_refused_for_certain_is_missing() {
        use serde_json::json;
        for enough in [
            json!(null),
            json!({}),
            json!({"publish": {"allow": [">"]}}),
            json!({"publish": {"deny": ["x.>"]}}),
            // In part: the server knows.
            json!({"publish": {"allow": ["a.b.*.1", "state.>"]}}),
        ] {
            assert_eq!(user(&enough).lacks(&needed()), None, "{enough}");
        }
        for little in [
            json!({"publish": {"allow": ["a.b.*.*"]}}),
            json!({"publish": {"deny": ["a.>"]}}),
            json!({"publish": {"allow": [">"]}, "subscribe": {"allow": ["_INBOX_other.>"]}}),
        ] {
            assert!(user(&little).lacks(&needed()).is_some(), "{little}");
        }
    }
}
