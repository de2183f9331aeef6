//! What is not allowed is refused, as the server says itself.

use jetlag::permissions::Permissions;
use serde_json::json;

use crate::process::{NEEDY, described};
use crate::server::{Server, publish, with_password};

pub async fn nothing_but_its_own_is_open_to_a_function() {
    let directory = tempfile::tempdir().unwrap();
    let user = Permissions::of(&described(NEEDY, &[]).await);
    let subjects = |grants: &[jetlag::permissions::Grant]| -> Vec<String> {
        grants.iter().map(|grant| grant.subject.clone()).collect()
    };
    let accounts = json!({"J": {"jetstream": "enabled", "users": [
        {"user": "needy", "password": "x", "permissions": {
            "publish": {"allow": subjects(&user.publish)}, "subscribe": {"allow": subjects(&user.subscribe)},
        }},
    ]}});
    let server = Server::start(directory.path(), &format!("accounts: {accounts}"), &[]).await;
    let login = with_password("needy", "x");

    let others = [
        // What belongs to another function, and events that it does not emit.
        "state.payment.x",
        "done.payment.a.b",
        "schedule.payment.a.1",
        "retry.payment.a.1",
        "dlq.payment.a",
        "orders.placed.a.b",
        // Its own retries come up by themselves; its own events under no other shape.
        "retry.needy.a.1",
        "needs.met.a",
        "needs.told",
        "state.needy.a.b",
        // Another's consumers, and its own by other means than pulling.
        "$JS.API.CONSUMER.MSG.NEXT.EVENTS.payment",
        "$JS.API.CONSUMER.INFO.EVENTS.payment",
        "$JS.ACK.EVENTS.payment.1.1.1.1.0",
        "$JS.API.CONSUMER.CREATE.EVENTS.needy",
        "$JS.API.CONSUMER.CREATE.EVENTS",
        "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.needy",
        "$JS.API.CONSUMER.DELETE.EVENTS.needy",
        "$JS.API.CONSUMER.PAUSE.EVENTS.needy",
        "$JS.API.CONSUMER.RESET.EVENTS.needy",
        "$JS.API.CONSUMER.NAMES.EVENTS",
        // Streams: read where it must, and changed nowhere.
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.UPDATE.EVENTS",
        "$JS.API.STREAM.CREATE.OTHER",
        "$JS.API.STREAM.MSG.DELETE.EVENTS",
        "$JS.API.STREAM.MSG.GET.AUDIT",
        "$JS.API.STREAM.MSG.GET.DLQ",
        "$JS.API.STREAM.SNAPSHOT.EVENTS",
        "$JS.API.STREAM.NAMES",
        "$JS.API.DIRECT.GET.EVENTS",
        "$JS.API.DIRECT.GET.EVENTS.state.payment.x",
        "$JS.API.DIRECT.GET.DLQ.dlq.needy.a",
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.EVENTS.needy",
        "_INBOX_payment.x",
    ];
    for subject in others {
        let said = server.say(&login, &[&publish(subject, b"", b"{}")]).await;
        let denied = format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'");
        assert!(said.contains(&denied), "{subject} is open: {said}");
    }
    for subject in
        ["_INBOX_payment.>", "_INBOX.>", ">", "*.*.*.*", "needs.met.*.*", "state.needy.*", "$JS.>", "$SYS.>"]
    {
        let said = server.say(&login, &[format!("SUB {subject} 1\r\n").as_bytes()]).await;
        let denied = format!("-ERR 'Permissions Violation for Subscription to \"{subject}\"'");
        assert!(said.contains(&denied), "{subject} is open: {said}");
    }
    // The same words tell of nothing where it is allowed.
    for grant in &user.publish {
        let subject = grant.subject.replace('*', "a").replace('>', "1.1.1.1.0");
        let said = server.say(&login, &[&publish(&subject, b"", b"")]).await;
        assert!(!said.contains("-ERR"), "{subject}: {said}");
    }
}
