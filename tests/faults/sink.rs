//! A function without a broker: what follows from an input leaves as CloudEvents to a sink, and whoever sent the input is told
//! whether the sink has taken all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{PATIENCE, free_port, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{Launch, Process, client};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// For these the sink never answers, refuses, or hangs up.
const SILENT: &str = "silent";
const REFUSED: &str = "refused";
const HUNG_UP: &str = "hung-up";

/// What the sink was sent: the head, its names in lower case, and the body.
#[derive(Debug, Clone)]
struct Sent {
    head: BTreeMap<String, String>,
    body: Value,
}

/// A server that takes CloudEvents.
struct Sink {
    url: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    /// While it is set, the sink takes what it does not take otherwise.
    is_mended: Arc<Mutex<bool>>,
}

impl Sink {
    async fn start() -> Self {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let sink = Self {
            url: format!("http://127.0.0.1:{port}/shop/default"),
            sent: Arc::default(),
            is_mended: Arc::default(),
        };
        let (sent, is_mended) = (Arc::clone(&sink.sent), Arc::clone(&sink.is_mended));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&sent), Arc::clone(&is_mended)));
            }
        });
        sink
    }

    /// What it has taken that follows from `question`, by the ids.
    fn taken(&self, question: &str) -> BTreeMap<String, Sent> {
        let sent = self.sent.lock().unwrap();
        let own = sent.iter().filter(|sent| sent.body["padding"] == question);
        own.map(|sent| (sent.head["ce-id"].clone(), sent.clone())).collect()
    }
}

/// Answers one request, and hangs up.
async fn take(mut stream: TcpStream, sent: Arc<Mutex<Vec<Sent>>>, is_mended: Arc<Mutex<bool>>) {
    let mut bytes = Vec::new();
    let one = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("POST /shop/default HTTP/1.1"));
        let named =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let head: BTreeMap<String, String> = lines.filter_map(named).collect();
        if head["content-length"].parse::<usize>().unwrap() == body.len() {
            break Sent { head, body: serde_json::from_str(body).unwrap() };
        }
    };
    let subject = one.head["ce-subject"].clone();
    let is_mended = *is_mended.lock().unwrap();
    let answer = match subject.as_str() {
        SILENT if !is_mended => return drop(stream.read_to_end(&mut bytes).await),
        HUNG_UP if !is_mended => return,
        REFUSED if !is_mended => "500 Internal Server Error",
        _ => {
            sent.lock().unwrap().push(one);
            "202 Accepted"
        }
    };
    let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// Sends the question `id` about `topic` as a CloudEvent; gives status, `Retry-After` and body.
async fn ask(
    client: &Client,
    herald: &Process,
    id: &str,
    topic: &str,
    takes_ms: u64,
) -> (StatusCode, Option<String>, String) {
    let data = json!({"question_id": id, "topic": topic, "takes_ms": takes_ms, "padding": id});
    let request = client
        .post(format!("http://{}/", herald.address()))
        .timeout(PATIENCE)
        .header("ce-specversion", "1.0")
        .header("ce-id", format!("{id}-asked"))
        .header("ce-source", "/test")
        .header("ce-type", "questions.asked")
        .header("ce-subject", id)
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .header("tracestate", "vendor=1")
        .header("prefer", "reply")
        .json(&data);
    let answer = request.send().await.unwrap();
    let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (answer.status(), retry_after, answer.text().await.unwrap())
}

fn start(directory: &TempDir, env: &[(&str, &str)]) -> Process {
    Process::start(&Launch { broker: "", directory: directory.path(), env, namespace: None })
}

pub async fn without_a_broker_events_go_to_the_sink_or_their_cause_is_sent_again() {
    let (sink, directory, client) = (Sink::start().await, TempDir::new().unwrap(), client());
    let overrides = r#"{"extensions":{"tenant":"north west"}}"#;
    let env = [("TELLER_IS_HERALD", "1"), ("K_SINK", &sink.url), ("K_CE_OVERRIDES", overrides)];
    let mut herald = start(&directory, &env);
    herald.ready().await;
    assert_eq!(herald.said("started without a broker"), 1, "{}", herald.log());
    let put = async |id: &str, topic: &str| ask(&client, &herald, id, topic, 0).await;
    let is_told = |(status, retry_after, body): (StatusCode, Option<String>, String), why: &str| {
        assert_eq!((status.as_u16(), retry_after.as_deref()), (503, Some("1")), "{body}");
        assert!(body.contains(why), "{why:?} is not in {body}");
    };
    let silent = put("Q-silent", SILENT);
    let others = async {
        let (status, _, body) = put("Q-1", "weather").await;
        // The event that followed is the sink's, not the caller's.
        assert_eq!((status.as_u16(), body.as_str()), (202, ""));
        let first = sink.taken("Q-1");
        let subjects: Vec<&str> = first.values().map(|sent| sent.head["ce-subject"].as_str()).collect();
        assert!(
            subjects.len() == 2 && subjects.contains(&"Q-1") && subjects.contains(&"weather"),
            "{first:?}"
        );
        for Sent { head, body } in first.values() {
            let of = |name: &str| head[name].as_str();
            assert_eq!((of("ce-type"), of("ce-source")), ("answers.told", "/jetlag/herald"));
            assert_eq!((of("ce-specversion"), of("content-type")), ("1.0", "application/json"));
            assert_eq!(of("ce-tenant"), "north%20west");
            assert!(of("tracestate").ends_with(",vendor=1"), "{}", of("tracestate"));
            for name in ["traceparent", "ce-traceparent"] {
                assert!(of(name).starts_with(&format!("00-{TRACE}-")), "{name}: {}", of(name));
            }
            assert_eq!(body["question_id"], of("ce-subject"));
        }
        // The same again: it runs again, and the receiver tells by the ids that it has them.
        assert_eq!(put("Q-1", "weather").await.0, 202);
        assert!(sink.taken("Q-1").keys().eq(first.keys()));
        let count = sink.sent.lock().unwrap().iter().filter(|sent| sent.body["padding"] == "Q-1").count();
        assert_eq!(count, 4);

        is_told(put("Q-2", REFUSED).await, "it answered 500");
        is_told(put("Q-3", HUNG_UP).await, "the sink has not answered for answers.told.hung-up");
        assert_eq!(put("not/an id?", "").await.0, 422);
        // What the sink has taken of them has the same ids when all of it is.
        let before = sink.taken("Q-2");
        *sink.is_mended.lock().unwrap() = true;
        for (id, topic) in [("Q-2", REFUSED), ("Q-3", HUNG_UP)] {
            assert_eq!(put(id, topic).await.0, 202);
            assert_eq!(sink.taken(id).len(), 2);
        }
        assert!(before.keys().all(|id| sink.taken("Q-2").contains_key(id)));
        *sink.is_mended.lock().unwrap() = false;
    };
    let (silent, ()) = tokio::join!(silent, others);
    is_told(silent, "has not");

    // What came in is finished.
    let asked = ask(&client, &herald, "Q-last", "weather", 500);
    let stopped = async {
        let journal = directory.path().join("journal");
        let runs = || std::fs::read_to_string(&journal).unwrap_or_default();
        until("run of the last", async || runs().contains("Q-last").then_some(())).await;
        herald.stop();
    };
    let ((status, _, body), ()) = tokio::join!(asked, stopped);
    assert_eq!(status, 202, "{body}");
    assert_eq!(sink.taken("Q-last").len(), 2);
    assert_eq!(herald.exit_code().await, Some(0), "{}", herald.log());
    assert_eq!(herald.said("panicked"), 0, "{}", herald.log());
}

pub async fn function_that_needs_the_broker_is_refused_without_one() {
    let directory = TempDir::new().unwrap();
    let mut teller = start(&directory, &[("K_SINK", "http://sink.example"), ("K_CE_OVERRIDES", "{")]);
    assert_eq!(teller.exit_code().await, Some(78), "{}", teller.log());
    for why in [
        "set JETLAG_TRIGGER=http",
        "keeps state (tally)",
        "questions.asked, of which",
        "POST /questions answers",
        "K_CE_OVERRIDES: it must be like",
    ] {
        assert!(teller.said(why) == 1, "{why:?} is not in {}", teller.log());
    }
}
