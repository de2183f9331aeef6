//! The broker denies the function what it needs: an end with a clear line, not a silence.

use std::time::Duration;

use jetlag::permissions::{Grant, Permissions};
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::until;

use crate::field::{Field, ask, description};
use crate::process::Process;

/// The exit code for a wrong configuration.
const EXIT_CONFIG: Option<i32> = Some(78);

/// What the teller needs but `without`, and for tests an administrator who may do anything.
async fn users(without: &str) -> Value {
    let user = Permissions::of(&description().await);
    let subjects = |grants: &[Grant]| -> Vec<String> {
        let subjects = grants.iter().map(|grant| grant.subject.clone());
        subjects.filter(|subject| without.is_empty() || !subject.contains(without)).collect()
    };
    json!({"users": [
        {"user": "teller", "password": "t", "permissions": {
            "publish": subjects(&user.publish),
            "subscribe": subjects(&user.subscribe),
        }},
        {"user": "admin", "password": "a"},
    ]})
}

async fn field() -> Field {
    let mut field = Field::new(json!({"authorization": users("").await})).await;
    field.login = "admin:a@";
    field.provision().await;
    field
}

fn teller(field: &Field, password: &str) -> Process {
    let url = format!("nats://teller:{password}@127.0.0.1:{}", field.server.port);
    field.teller_at(&url, &[("JETLAG_PROVISION", "false")])
}

/// It ends with 78, having said once what to grant.
async fn ends(mut process: Process, words: &str) {
    assert_eq!(process.exit_code().await, EXIT_CONFIG, "{}", process.log());
    assert!(process.said(words) > 0, "no {words:?} in its log: {}", process.log());
    let lines = process.log().lines().count();
    assert!(lines < 60, "a flood of {lines} lines: {}", process.log());
}

pub async fn permission_revoked_ends_it_with_what_to_grant() {
    let mut field = field().await;
    let process = teller(&field, "t");
    process.ready().await;
    ask(&process, "before", 5, 10).await;
    field.server.set("authorization", users("answers").await);
    field.server.signal(Signal::HUP);
    // Until the broker has read it, questions are answered as before; then the first answer tells.
    let mut number = 0;
    while process.said("the broker denies this function") == 0 && number < 600 {
        process.ask(&format!("after-{number}"), 10, 0).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ends(process, r#"allow it to publish to \"answers.told.*.*\""#).await;

    // Granted again, a new process takes up what was left: nothing is lost, and nothing was done twice.
    field.server.set("authorization", users("").await);
    field.server.signal(Signal::HUP);
    reloaded(&field, 2).await;
    let again = teller(&field, "t");
    again.ready().await;
    field.settles().await;
}

pub async fn permission_missing_at_start_ends_it_with_what_to_grant() {
    let mut field = field().await;
    field.server.set("authorization", users("CONSUMER.INFO").await);
    field.server.signal(Signal::HUP);
    reloaded(&field, 1).await;
    ends(teller(&field, "t"), r#"allow it to publish to \"$JS.API.CONSUMER.INFO."#).await;
}

/// Waits until the server has read its settings so many times since its start.
async fn reloaded(field: &Field, times: usize) {
    until("reloaded server", async || {
        (field.server.log().matches("Reloaded server configuration").count() >= times).then_some(())
    })
    .await;
}

pub async fn wrong_credentials_end_it_at_start() {
    let field = field().await;
    ends(teller(&field, "wrong"), "refuses this user").await;
}

pub async fn credentials_that_are_no_longer_accepted_end_it() {
    let mut field = field().await;
    let process = teller(&field, "t");
    process.ready().await;
    field.server.set("authorization", json!({"users": [{"user": "admin", "password": "a"}]}));
    field.server.signal(Signal::HUP);
    ends(process, "it refused this user").await;
}
