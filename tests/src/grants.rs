//! What users of the broker may do, a line less.

use jetlag::permissions::{Grant, Permissions};
use serde_json::{Value, json};

/// A user who lacks one line of its permissions, or none.
#[derive(Debug, Clone)]
pub struct Lacking {
    /// What it may.
    pub user: Permissions,
    /// What is missing, as it must be told.
    pub told: Option<String>,
}

impl Lacking {
    /// `user` with all its lines, and then without each of them in turn.
    pub fn each(user: &Permissions) -> Vec<Self> {
        let publish = user.publish.iter().map(|grant| ("publish", grant));
        let subscribe = user.subscribe.iter().map(|grant| ("subscribe", grant));
        let lacking = publish.chain(subscribe).map(|(what, grant)| {
            let mut user = user.clone();
            user.publish.retain(|other| other != grant);
            user.subscribe.retain(|other| other != grant);
            let told = Some(format!("allow it to {what} to \"{}\"", grant.subject));
            Self { user, told }
        });
        [Self { user: user.clone(), told: None }].into_iter().chain(lacking).collect()
    }

    /// The account `name` as a server's configuration has it: with an administrator, and with this user, whose `login` is a
    /// part of the configuration too.
    pub fn account(&self, name: &str, mut login: Value) -> Value {
        let subjects = |grants: &[Grant]| -> Value {
            // An empty list is leave for everything.
            if grants.is_empty() {
                return json!({"deny": [">"]});
            }
            json!({"allow": grants.iter().map(|grant| grant.subject.as_str()).collect::<Vec<_>>()})
        };
        login["permissions"] =
            json!({"publish": subjects(&self.user.publish), "subscribe": subjects(&self.user.subscribe)});
        let admin = json!({"user": format!("admin-{name}"), "password": "x"});
        json!({"jetstream": "enabled", "users": [admin, login]})
    }
}
