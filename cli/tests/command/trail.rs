//! `jetlag trail` and `jetlag audit verify` with a real broker.

use std::path::Path;
use std::process::{Command, Output};

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use jetlag_cli::app::{App, Running};
use jetlag_cli::streams::Source;
use jetlag_cli::trail::Trail;
use tests::until;

use crate::shop::Shop;

const MADE: &str = "sales.made.S-1.e1";
const NOTED: &str = "done.clerk.S-1.e2";

fn jetlag(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jetlag")).args(arguments).arg("--data").arg(data).output().unwrap()
}

/// Publishes the event whose subject is `event` on `subject`.
async fn publish(jetstream: &Context, subject: &str, event: &str, headers: &[(&str, &str)]) {
    let parts: Vec<_> = event.split('.').collect();
    let body = serde_json::json!({
        "id": parts[3], "type": format!("{}.{}", parts[0], parts[1]), "aggregate_id": parts[2],
        "data": {"pieces": 1}, "timestamp": "2025-01-02T03:04:05Z", "trace_id": "0af7651916cd43dd8448eb211c80319c",
    });
    let mut map = HeaderMap::new();
    headers.iter().for_each(|(name, value)| map.insert(*name, *value));
    let sent =
        jetstream.publish_with_headers(subject.to_owned(), map, body.to_string().into()).await.unwrap();
    sent.await.unwrap();
}

/// A sale is made and noted, another is made, and an input of the first is given up.
async fn trade(running: &Running) -> Context {
    let jetstream = jetstream::new(async_nats::connect(running.broker_url().unwrap()).await.unwrap());
    publish(&jetstream, MADE, MADE, &[("Jetlag-Function", "till"), ("Jetlag-Cause", MADE)]).await;
    publish(&jetstream, "sales.made.S-2.e9", "sales.made.S-2.e9", &[]).await;
    let noted = [("Jetlag-Function", "clerk"), ("Jetlag-Cause", MADE), ("Jetlag-Attempt", "2")];
    publish(&jetstream, NOTED, NOTED, &noted).await;
    let dead = [("Jetlag-Function", "clerk"), ("Jetlag-Subject", MADE), ("Jetlag-Reason", "rejected")];
    publish(&jetstream, "dlq.clerk.e1", MADE, &dead).await;
    until("copy of everything in AUDIT", async || {
        let audit = jetstream.get_stream("AUDIT").await.ok()?;
        (audit.cached_info().state.messages >= 3).then_some(())
    })
    .await;
    jetstream
}

#[tokio::test]
async fn a_trail_is_whole_also_when_its_beginning_is_in_the_audit_trail_only() {
    let shop = Shop::new();
    let running = App::start(shop.options()).await.unwrap();
    let jetstream = trade(&running).await;
    let source = Source { url: running.broker_url(), ..Source::default() };
    let (operator, _) = source.connect().await.unwrap();

    let steps = async || {
        let trail = Trail::of(&operator, "S-1").await.unwrap();
        assert_eq!(
            trail.dead_letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(),
            ["rejected"]
        );
        trail.steps.into_iter().map(|step| (step.stream, step.subject, step.attempt)).collect::<Vec<_>>()
    };
    let made = |stream| (stream, MADE.to_owned(), None);
    let noted = |stream| (stream, NOTED.to_owned(), Some(2));
    assert_eq!(steps().await, [made("EVENTS"), noted("EVENTS")]);
    let events = jetstream.get_stream("EVENTS").await.unwrap();
    events.purge().filter(MADE).await.unwrap();
    assert_eq!(steps().await, [made("AUDIT"), noted("EVENTS")]);
    events.purge().await.unwrap();
    assert_eq!(steps().await, [made("AUDIT"), noted("AUDIT")]);
    assert!(Trail::of(&operator, "S").await.unwrap().is_empty());
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_find_the_broker_and_say_what_they_found() {
    let shop = Shop::new();
    let nowhere = jetlag(&shop.data(), &["trail", "S-1"]);
    assert_eq!(nowhere.status.code(), Some(66));
    let running = App::start(shop.options()).await.unwrap();
    trade(&running).await;

    let found = jetlag(&shop.data(), &["trail", "S-1"]);
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(text.starts_with("S-1: 2 steps, by 2 functions, in 0.0"), "{text}");
    assert!(text.contains("\ntrace 0af7651916cd43dd8448eb211c80319c\n"), "{text}");
    assert!(text.contains("sales.made  by till") && text.contains("├─ clerk  done, attempt 2"), "{text}");
    assert!(text.contains("└─ clerk  dead letter 1 after 0 attempts, rejected"), "{text}");
    let json = jetlag(&shop.data(), &["trail", "S-1", "-o", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["steps"][1]["type"], "done.clerk");
    let unknown = jetlag(&shop.data(), &["trail", "S-3"]);
    assert_eq!(unknown.status.code(), Some(66));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("nothing is known of `S-3`"));

    let whole = jetlag(&shop.data(), &["audit", "verify", "-o", "json"]);
    assert_eq!(whole.status.code(), Some(0));
    let whole: serde_json::Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!((&whole["entries"], &whole["unsealed"]), (&3.into(), &3.into()));
    // Somebody files an event under another one's subject.
    let jetstream = jetstream::new(async_nats::connect(running.broker_url().unwrap()).await.unwrap());
    publish(&jetstream, "sales.made.S-4.e4", "sales.made.S-5.e5", &[]).await;
    until("finding of that", async || {
        (jetlag(&shop.data(), &["audit", "verify"]).status.code() == Some(1)).then_some(())
    })
    .await;
    running.drain().await;
}
