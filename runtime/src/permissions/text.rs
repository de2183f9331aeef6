//! Permissions as an operator of the broker writes them: a block of nats-server's configuration, and the claims of users'
//! JWTs.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Grant, Permissions};

/// How the block tells what it is.
const HEAD: &str = "\
# The account of Jetlag and its users, generated from the contracts: a change belongs there.
#
# In nats-server's configuration:   accounts { include \"jetlag.conf\" }
#
# Each user's nkey is a variable that nats-server takes from its environment: the public key, which begins with U. The
# seed, which begins with SU, is the user's own: NATS_NKEY where it runs.
";

/// An account as a block of nats-server's configuration, to be included in `accounts`. Each user is known by an nkey,
/// whose public part comes from the variable [`key_variable`].
pub fn server_configuration(account: &str, users: &[Permissions]) -> String {
    let mut text = format!("{HEAD}\n{account}: {{\n  jetstream: enabled\n  users: [\n");
    for user in users {
        let _ = writeln!(text, "    # {}: {}", user.user, user.about);
        let _ = writeln!(text, "    {{\n      nkey: ${}\n      permissions: {{", key_variable(&user.user));
        for (name, grants) in [("publish", &user.publish), ("subscribe", &user.subscribe)] {
            let _ = writeln!(text, "        {name}: {{\n          allow: [");
            for Grant { subject, why } in grants {
                let _ = writeln!(text, "            # to {why}\n            \"{subject}\"");
            }
            text.push_str("          ]\n        }\n");
        }
        text.push_str("      }\n    }\n");
    }
    text.push_str("  ]\n}\n");
    text
}

/// The variable that holds the public nkey of `user` in nats-server's environment: `PAYMENT_NKEY` for `payment`.
pub fn key_variable(user: &str) -> String {
    format!("{}_NKEY", user.to_uppercase().replace('-', "_"))
}

/// What the claims of each user's JWT say about permissions, by the user's name: `pub` and `sub` with what they allow, as
/// they stand under `nats` in a JWT, and as `nsc add user --allow-pub … --allow-sub …` takes them.
pub fn claims_json(users: &[Permissions]) -> Value {
    let list =
        |grants: &[Grant]| json!({"allow": grants.iter().map(|g| g.subject.as_str()).collect::<Vec<_>>()});
    let claims = users
        .iter()
        .map(|user| (user.user.clone(), json!({"pub": list(&user.publish), "sub": list(&user.subscribe)})));
    Value::Object(claims.collect::<Map<String, Value>>())
}
