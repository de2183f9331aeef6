//! `jetlag check` and `jetlag rescue` with a real broker.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use async_nats::{Client, HeaderMap};
use futures::StreamExt;
use jetlag_cli::app::App;
use serde_json::{Value, json};
use tests::{PATIENCE, until};

use crate::shop::Shop;

/// Short, so that an event is soon half as old; the broker waits 15 s for an answer.
const HORIZON: Duration = Duration::from_secs(40);
/// A moment less than the broker waits for an answer.
const ACK_WAIT: Duration = Duration::from_secs(14);

impl Shop {
    fn jetlag(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
        command.args(arguments).arg("--data").arg(self.data());
        if arguments[0] == "check" {
            command.arg("--app").arg(self.manifest());
        }
        command.output().unwrap()
    }

    /// What a check finds, and how it exits.
    fn check(&self, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
        let output = self.jetlag(&[&["check", "-o", "json"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
        (output.status.code(), json["findings"].as_array().unwrap().clone())
    }
}

async fn ask(client: &Client, subject: &str, body: Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = client.request(subject.to_owned(), body.into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

/// A sale that `clerk` listens to.
async fn sell(client: &Client, id: &str) {
    let event = json!({
        "id": id, "type": "sales.made", "aggregate_id": "S-1", "data": {}, "timestamp": "2025-01-02T03:04:05Z",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    });
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    headers.insert("Shop-Door", "left");
    let subject = format!("sales.made.S-1.{id}");
    client.request_with_headers(subject, headers, event.to_string().into()).await.unwrap();
}

/// The next input of `clerk`, answered with `answer`.
async fn answer(client: &Client, stream: &str, answer: &'static str) -> async_nats::Message {
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.clerk");
    // What comes has the subject of the input, so that a plain request would not know it for its answer.
    let inbox = client.new_inbox();
    let mut came = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply(next, inbox, r#"{"batch":1,"expires":20000000000}"#.into()).await.unwrap();
    let message = tokio::time::timeout(PATIENCE, came.next()).await.unwrap().unwrap();
    let reply = message.reply.clone().unwrap_or_else(|| panic!("nothing comes: {message:?}"));
    client.publish(reply, answer.into()).await.unwrap();
    client.flush().await.unwrap();
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_function_answered_for_is_found_and_sent_again() {
    let shop = Shop::new();
    let running = App::start(shop.options()).await.unwrap();
    let client = async_nats::connect(running.broker_url().unwrap()).await.unwrap();
    assert_eq!(shop.check(&[]), (Some(0), vec![]), "nothing has happened");

    // Somebody lets the broker give up, and terminates an input by hand.
    let info = ask(&client, "$JS.API.CONSUMER.INFO.EVENTS.clerk", Value::Null).await;
    let update = |max_deliver: i64| {
        let mut config = info["config"].clone();
        config["max_deliver"] = max_deliver.into();
        json!({"stream_name": "EVENTS", "config": config, "action": "update"})
    };
    let create = "$JS.API.CONSUMER.CREATE.EVENTS.clerk";
    assert_eq!(ask(&client, create, update(1)).await["error"], Value::Null);
    sell(&client, "e1").await;
    answer(&client, "EVENTS", "+TERM by hand").await;
    sell(&client, "e2").await;
    answer(&client, "EVENTS", "-NAK").await;
    sell(&client, "e3").await;
    answer(&client, "EVENTS", "+WPI").await;
    let begun = Instant::now();

    until("finding of both, and of the consumer", async || (shop.check(&[]).1.len() >= 3).then_some(()))
        .await;
    let (code, mut findings) = shop.check(&[]);
    // What somebody works on is no finding, until the broker has waited too long for a sign of that.
    if begun.elapsed() > ACK_WAIT {
        findings.retain(|finding| !finding.to_string().contains("sales.made.S-1.e3"));
    }
    let kinds: Vec<_> = findings.iter().map(|finding| finding["kind"].as_str().unwrap()).collect();
    assert_eq!((code, kinds), (Some(1), vec!["differs", "unanswered", "unanswered"]));
    let told = |finding: &Value, words: &[&str]| {
        let text = finding.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    told(&findings[0], &["consumer clerk on EVENTS", "max_deliver: there is 1, needed is -1"]);
    told(&findings[1], &["sales.made.S-1.e1", "terminated", "by hand", "--repair"]);
    told(&findings[2], &["sales.made.S-1.e2", "delivered 1 times"]);

    assert_eq!(ask(&client, create, update(-1)).await["error"], Value::Null);
    let (code, findings) = shop.check(&["--repair"]);
    assert_eq!(code, Some(0), "{findings:?}");
    assert!(findings.len() == 2 && findings.iter().all(|finding| finding["repaired"] == true));
    assert_eq!(shop.check(&["--repair"]), (Some(0), vec![]), "each is sent once");
    for id in ["e1", "e2"] {
        let again = answer(&client, "RETRY", "+ACK").await;
        let headers = again.headers.unwrap();
        let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        assert_eq!(header("Jetlag-Subject").as_deref(), Some(&*format!("sales.made.S-1.{id}")));
        assert_eq!(header("Jetlag-Attempt").as_deref(), Some("1"));
        let own = header("Jetlag-Headers").unwrap_or_default();
        assert!(own.contains(r#"["Shop-Door","left"]"#), "its own headers are kept: {own}");
        assert!(header("traceparent").is_some() && again.subject.starts_with("retry.clerk."));
    }
    running.drain().await;
    let (code, stderr) = (shop.jetlag(&["check"]).status.code(), shop.jetlag(&["check"]).stderr);
    assert_eq!(code, Some(2), "{}", String::from_utf8_lossy(&stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_of_each_stream_is_sent_again_and_what_is_missing_or_behind_is_told() {
    let shop = Shop::new();
    let running = App::start(shop.options()).await.unwrap();
    let client = async_nats::connect(running.broker_url().unwrap()).await.unwrap();
    let event = |id: &str, kind: &str| {
        let event = json!({
            "id": id, "type": kind, "aggregate_id": "S-1", "data": {}, "timestamp": "2025-01-02T03:04:05Z",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
        });
        bytes::Bytes::from(event.to_string())
    };

    // The broker gives up a retry and an event from outside, and keeps both. (What is terminated on a work queue is gone.)
    let limit = async |stream: &str, max_deliver: i64| {
        let info = ask(&client, &format!("$JS.API.CONSUMER.INFO.{stream}.clerk"), Value::Null).await;
        let mut config = info["config"].clone();
        config["max_deliver"] = max_deliver.into();
        let update = json!({"stream_name": stream, "config": config, "action": "update"});
        let answer = ask(&client, &format!("$JS.API.CONSUMER.CREATE.{stream}.clerk"), update).await;
        assert_eq!(answer["error"], Value::Null);
    };
    let mut second = HeaderMap::new();
    second.insert("Jetlag-Subject", "sales.made.S-1.e1");
    second.insert("Jetlag-Attempt", "2");
    client.request_with_headers("retry.clerk.e1.2", second, event("e1", "sales.made")).await.unwrap();
    client.request("sales.told", event("t1", "sales.told")).await.unwrap();
    // Twice: the retry that somebody made by hand lies under its own subject only after the first time.
    for _ in 0..2 {
        for stream in ["RETRY", "INTAKE"] {
            limit(stream, 1).await;
            answer(&client, stream, "-NAK").await;
        }
        until("finding of both, and of the consumers", async || {
            // The broker notices when the next one is asked for.
            for stream in ["RETRY", "INTAKE"] {
                let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.clerk");
                client.request(next, r#"{"batch":1,"no_wait":true}"#.into()).await.unwrap();
            }
            (shop.check(&[]).1.len() == 4).then_some(())
        })
        .await;
        for stream in ["RETRY", "INTAKE"] {
            limit(stream, -1).await;
        }
        let (code, findings) = shop.check(&["--repair"]);
        assert_eq!(code, Some(0), "{findings:?}");
        assert_eq!(shop.check(&["--repair"]), (Some(0), vec![]), "each is sent once");
    }
    let again = answer(&client, "RETRY", "+ACK").await;
    assert_eq!(again.headers.unwrap().get("Jetlag-Attempt").map(|value| value.as_str()), Some("2"));
    let told = answer(&client, "INTAKE", "+ACK").await;
    assert_eq!((told.subject.as_str(), &told.payload), ("sales.told", &event("t1", "sales.told")));

    // A receipt of death without its letter; a consumer that is gone; and a horizon so short that an event is soon old.
    let mut death = HeaderMap::new();
    for (name, value) in [("Function", "clerk"), ("Cause", "sales.made.S-1.e2"), ("Reason", "rejected")] {
        death.insert(format!("Jetlag-{name}").as_str(), value);
    }
    client.request_with_headers("done.clerk.S-1.c2", death, "".into()).await.unwrap();
    ask(&client, "$JS.API.CONSUMER.DELETE.RETRY.clerk", Value::Null).await;
    sell(&client, "e3").await;
    let mut config = ask(&client, "$JS.API.STREAM.INFO.EVENTS", Value::Null).await["config"].take();
    for field in ["max_age", "duplicate_window"] {
        config[field] = json!(HORIZON.as_nanos() as u64);
    }
    assert_eq!(ask(&client, "$JS.API.STREAM.UPDATE.EVENTS", config).await["error"], Value::Null);
    let findings = until("finding of all of it", async || {
        let findings = shop.check(&[]).1;
        findings.iter().any(|finding| finding["kind"] == "behind").then_some(findings)
    })
    .await;
    let found = |kind: &str, place: &str| {
        let is_it = |finding: &Value| finding["kind"] == kind && finding["place"] == place;
        assert!(findings.iter().any(is_it), "{kind} {place}: {findings:?}");
    };
    found("missing", "consumer clerk on RETRY");
    found("letter_missing", "clerk: sales.made.S-1.e2");
    found("behind", "clerk on EVENTS");
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_handles_is_carried_on_before_it_expires() {
    let shop = Shop::new();
    let options = jetlag_cli::app::Options { horizon: HORIZON, ..shop.options() };
    let running = App::start(options).await.unwrap();
    let client = async_nats::connect(running.broker_url().unwrap()).await.unwrap();
    let unknown = shop.jetlag(&["rescue", "nobody", "--once"]);
    assert_eq!(unknown.status.code(), Some(66));
    sell(&client, "e1").await;
    // What runs beside the application has carried it on.
    until("event that is carried on", async || {
        let info = ask(&client, "$JS.API.STREAM.INFO.RETRY", Value::Null).await;
        (info["state"]["messages"] == 1).then_some(())
    })
    .await;
    let round = shop.jetlag(&["rescue", "--once", "-o", "json"]);
    assert_eq!(round.status.code(), Some(0), "{}", String::from_utf8_lossy(&round.stderr));
    let round: Value = serde_json::from_slice(&round.stdout).unwrap();
    assert_eq!((&round["horizon_s"], &round["functions"]["clerk"]["carried"]), (&json!(40), &json!(0)));
    until("end of the event", async || {
        let info = ask(&client, "$JS.API.STREAM.INFO.EVENTS", Value::Null).await;
        (info["state"]["messages"] == 0).then_some(())
    })
    .await;
    assert!(answer(&client, "RETRY", "+ACK").await.subject.starts_with("retry.clerk."));
    running.drain().await;
}
