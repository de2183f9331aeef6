//! A broker that will not do is told of in one clear line.

use std::time::Duration;

use jetlag::topology::DEAD_LETTERS;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::until;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::field::{Field, ask, events};
use crate::process::{Launch, Process, question};
use crate::server::store;

/// The exit code for a configuration, or a server, that will not do.
const EXIT_CONFIG: Option<i32> = Some(78);

pub async fn server_that_is_too_old_is_refused_in_one_line() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let info = json!({
                    "server_id": "old", "server_name": "old", "version": "2.11.4", "go": "go1.24", "host": "127.0.0.1",
                    "port": 4222, "headers": true, "max_payload": 1_048_576, "proto": 1, "jetstream": true,
                });
                write.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with("PING") {
                        write.write_all(b"PONG\r\n").await.unwrap();
                    }
                }
            });
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let launch = Launch { broker: &url, directory: directory.path(), env: &[], namespace: None };
    let mut process = Process::start(&launch);
    assert_eq!(process.exit_code().await, EXIT_CONFIG, "{}", process.log());
    assert_eq!(process.log().lines().count(), 1, "{}", process.log());
    assert_eq!(process.said("nats-server 2.11.4 at nats://127.0.0.1:"), 1, "{}", process.log());
    assert_eq!(process.said("Jetlag needs 2.14 or newer"), 1, "{}", process.log());
}

pub async fn address_that_is_none_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let broker = "nats://[nowhere";
    let launch = Launch { broker, directory: directory.path(), env: &[], namespace: None };
    let mut process = Process::start(&launch);
    assert_eq!(process.exit_code().await, EXIT_CONFIG, "{}", process.log());
    assert_eq!((process.log().lines().count(), process.said("check NATS_URL")), (1, 1), "{}", process.log());
}

pub async fn server_without_jetstream_is_told_once_and_waited_for() {
    let mut field = Field::new(json!({"jetstream": null})).await;
    let process = field.teller(&[]);
    process.says("JetStream is not enabled on this server").await;
    let (_, report) = process.unready().await;
    let detail = report["conditions"]["consumers"]["detail"].as_str().unwrap();
    assert!(detail.contains("JetStream is not enabled"), "{report}");
    // Several attempts later it is still one line.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(process.log().lines().count(), 1, "{}", process.log());

    field.server.end(Signal::TERM).await;
    field.server.set("jetstream", store(&field.path().join("store")));
    field.server.run().await;
    process.ready().await;
    ask(&process, "after", 3, 10).await;
    field.balances(3).await;
}

pub async fn broker_that_is_not_there_yet_is_told_once_and_waited_for() {
    let mut field = Field::new(json!({})).await;
    field.server.end(Signal::TERM).await;
    let process = field.teller(&[]);
    process.says("the broker is not there yet").await;
    process.unready().await;
    assert_eq!(process.ask("early", 10, 0).await.2["code"], "starting");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(process.log().lines().count(), 1, "{}", process.log());
    let back = field.server.run().await;
    process.ready().await;
    println!("ready {:?} after the first start of the broker", back.elapsed());
    ask(&process, "after", 3, 10).await;
    field.balances(3).await;
}

/// Both at its start and lowered under a running function, whose client is told of the new limit by being thrown out.
pub async fn commit_that_is_larger_than_the_broker_takes_is_given_up_with_the_reason() {
    let mut field = Field::new(json!({"max_payload": 64 * 1024})).await;
    let process = field.teller(&[]);
    process.ready().await;
    let (status, _, problem) = process.ask("large", 0, 65 * 1024).await;
    assert_eq!((status, &problem["code"]), (413, &Value::from("too_large")), "{problem}");

    let answering = |id: &str, bytes: usize| {
        let mut question = question(id, 0, 0);
        question["answer_bytes"] = bytes.into();
        question
    };
    assert_eq!(process.put(&answering("first", 65 * 1024)).await.0, 202);
    given_up(&field, 1).await;
    field.server.set("max_payload", json!(16 * 1024));
    field.server.signal(Signal::HUP);
    until("reloaded server", async || field.server.log().contains("Reloaded: max_payload").then_some(()))
        .await;
    // Taken for good before; now the broker ends the connection over it, and the next run knows.
    assert_eq!(process.put(&answering("second", 32 * 1024)).await.0, 202);
    given_up(&field, 2).await;
    ask(&process, "small", 3, 0).await;
    let operator = field.operator().await;
    until("3 answers", async || (events(&operator, "answers.told.*.*").await.len() == 3).then_some(())).await;
}

/// Waits for so many dead letters, and looks at their reasons.
async fn given_up(field: &Field, count: usize) {
    let operator = field.operator().await;
    let letters = until("dead letter", async || {
        let letters = operator.read(DEAD_LETTERS, "dlq.*.*", 1).await.ok()?;
        (letters.len() >= count).then_some(letters)
    })
    .await;
    assert_eq!(letters.len(), count);
    for letter in letters {
        assert_eq!(letter.header("Jetlag-Reason"), Some("effects_too_large"), "{:?}", letter.headers);
        assert!(letter.header("Jetlag-Error").unwrap().contains("bytes"), "{:?}", letter.headers);
    }
}
