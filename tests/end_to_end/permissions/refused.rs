//! What is not allowed is refused, as the server says itself.

use jetlag::jetstream::{Connection, Operator};
use jetlag::permissions::{Grant, Permissions};
use jetlag::topology::{EVENTS, Sizing, Topology};
use serde_json::json;
use tests::{Server, publish, until, with_password};

use super::process::{NEEDY, Process, described};

fn subjects(grants: &[Grant]) -> Vec<&str> {
    grants.iter().map(|grant| grant.subject.as_str()).collect()
}

/// The broker lets whoever may schedule anything choose the subject that it comes up on.
pub async fn what_one_function_schedules_for_another_is_buried() {
    let directory = tempfile::tempdir().unwrap();
    let needy = described(NEEDY, &[]).await;
    let user = Permissions::of(&needy);
    let accounts = json!({"J": {"jetstream": "enabled", "users": [
        {"user": "admin", "password": "x"},
        {"user": "other", "password": "x", "permissions": {"publish": ["schedule.other.*.*"]}},
        {"user": "needy", "password": "x", "permissions": {
            "publish": {"allow": subjects(&user.publish)}, "subscribe": {"allow": subjects(&user.subscribe)},
        }},
    ]}});
    let server = Server::start(directory.path(), &format!("accounts: {accounts}"), &[]).await;
    let url = |user: &str| format!("nats://{user}:x@127.0.0.1:{}", server.port);
    let operator = Operator::connect(&Connection::to(url("admin"))).await.unwrap();
    operator.provision(&Topology::of(&[needy], &Sizing::default())).await.unwrap();
    let process = Process::start(NEEDY, directory.path().join("needy.log"), &[("NATS_URL", &url("needy"))]);
    process.says("function started").await;

    let event = json!({
        "id": "E", "type": "needs.told", "aggregate_id": "N", "data": {"id": "N", "how": "meet"},
        "timestamp": "2026-11-21T14:00:00Z", "trace_id": "",
    });
    // (One that says itself who scheduled it is refused by the broker.)
    let headers = [
        "NATS/1.0",
        "Nats-Schedule: @at 2026-01-01T00:00:00Z",
        "Nats-Schedule-Target: retry.needy.E.1",
        "\r\n",
    ];
    let forged = publish("schedule.other.E.1", headers.join("\r\n").as_bytes(), event.to_string().as_bytes());
    let said = server.say(&with_password("other", "x"), &[&forged]).await;
    assert!(!said.contains("-ERR"), "{said}");
    let letter =
        until("dead letter", async || operator.dead_letters(1).await.ok()?.into_iter().flatten().next())
            .await;
    assert_eq!(letter.header("Jetlag-Reason"), Some("not_an_event"));
    assert!(letter.error.contains("scheduled on schedule.other.E.1"), "{}", letter.error);
    assert!(operator.read(EVENTS, "needs.met.*.*", 1).await.unwrap().is_empty());
}

pub async fn nothing_but_its_own_is_open_to_a_function() {
    let directory = tempfile::tempdir().unwrap();
    let user = Permissions::of(&described(NEEDY, &[]).await);
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
