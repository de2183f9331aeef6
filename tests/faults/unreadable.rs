//! The server takes any bytes for headers, and the client does not: it ends its connection, or itself, at an input whose
//! headers it cannot read. Whoever may publish could stop a function for good with one message.

use serde_json::Value;
use tests::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::field::{Field, ask, events};
use crate::process::question;

/// The exit code for a failure of the program itself.
const EXIT_SOFTWARE: Option<i32> = Some(70);

/// What a broker takes as one message, unless told otherwise.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A question to INTAKE with so much in it.
fn event(id: &str, padding: usize) -> Vec<u8> {
    let event = serde_json::json!({
        "id": format!("e-{id}"), "type": "questions.asked", "aggregate_id": id, "data": question(id, 1, padding),
        "timestamp": "2026-11-21T14:00:00Z", "trace_id": "",
    });
    event.to_string().into_bytes()
}

/// Publishes a question to INTAKE with these bytes as headers, as no client would.
async fn publish_raw(field: &Field, id: &str, headers: &[u8]) -> Vec<u8> {
    let body = event(id, 0);
    let mut socket = TcpStream::connect(("127.0.0.1", field.server.port)).await.unwrap();
    let connect = br#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
    let (length, all) = (headers.len(), headers.len() + body.len());
    let publish = format!("\r\nSUB answer 1\r\nHPUB questions.asked answer {length} {all}\r\n");
    let parts: [&[u8]; 5] = [connect, publish.as_bytes(), headers, &body, b"\r\n"];
    socket.write_all(&parts.concat()).await.unwrap();
    let mut said = Vec::new();
    until("answer of the stream", async || {
        let mut some = [0; 4096];
        let count = socket.read(&mut some).await.unwrap();
        said.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&said).into_owned();
        assert!(!text.contains("-ERR") && !text.contains("\"error\""), "{text}");
        text.contains("\"seq\"").then_some(())
    })
    .await;
    body
}

async fn told(field: &Field, id: &str) {
    let operator = field.operator().await;
    until(&format!("answer to {id}"), async || {
        let told = events(&operator, &format!("answers.told.{id}.*")).await.len();
        assert!(told <= 1, "answered twice");
        (told == 1).then_some(())
    })
    .await;
}

/// Waits for the dead letter with number `count`, and checks what it tells.
async fn buried(field: &Field, count: usize, body: &[u8], why: &str, headers: &[(&str, &str)]) {
    let operator = field.operator().await;
    let letter = until(&format!("dead letter {count}"), async || {
        let mut letters: Vec<_> = operator.dead_letters(1).await.ok()?.into_iter().flatten().collect();
        (letters.len() >= count).then(|| letters.remove(count - 1))
    })
    .await;
    assert_eq!(letter.header("Jetlag-Reason"), Some("not_an_event"));
    let error = letter.header("Jetlag-Error").unwrap();
    assert!(error.contains(why), "{error}");
    assert_eq!(&letter.payload[..], body);
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    assert_eq!(letter.original_headers(), headers);
    until("answer to everything in INTAKE", async || {
        (operator.lag("INTAKE", "teller").await.ok()? == (0, 0)).then_some(())
    })
    .await;
}

pub async fn input_with_unreadable_headers_is_a_dead_letter_and_the_function_goes_on() {
    let (field, mut teller) = Field::with_teller().await;
    ask(&teller, "before", 3, 1).await;

    // The client ends its connection at these.
    let headers = b"NATS/1.0\r\nX: \xff\xfe\r\n\r\n";
    let body = publish_raw(&field, "not-text", headers).await;
    buried(&field, 1, &body, "not UTF-8", &[("raw", r"NATS/1.0\r\nX: \xff\xfe\r\n\r\n")]).await;
    let body = publish_raw(&field, "no-colon", b"NATS/1.0\r\nno colon\r\n\r\n").await;
    buried(&field, 2, &body, "no colon", &[("raw", r"NATS/1.0\r\nno colon\r\n\r\n")]).await;
    // An input is one, also with the status of an answer.
    publish_raw(&field, "status", b"NATS/1.0 503 none\r\nX: y\r\n\r\n").await;
    told(&field, "status").await;
    assert_eq!(teller.said("function started"), 1);

    // The client ends itself at this one.
    let body = publish_raw(&field, "line-break", b"NATS/1.0\r\nX: a\rb\r\nY: c\r\n\r\n").await;
    assert_eq!(teller.exit_code().await, EXIT_SOFTWARE, "{}", teller.log());
    assert_eq!(teller.said("the client of the broker has failed"), 1, "{}", teller.log());
    buried(&field, 3, &body, "line break", &[("X", "a\rb"), ("Y", "c")]).await;

    // Whoever starts it again has a function that works.
    let next = field.teller(&[]);
    next.ready().await;
    ask(&next, "after", 3, 1).await;
    publish_raw(&field, "fine", b"NATS/1.0\r\nX: y\r\n\r\n").await;
    for id in ["before-0", "after-2", "fine"] {
        told(&field, id).await;
    }
    let letters = field.request("$JS.API.STREAM.INFO.DLQ", Value::Null).await;
    assert_eq!(letters["state"]["messages"], 3);
}

pub async fn input_as_large_as_a_message_may_be_is_a_dead_letter() {
    let (field, teller) = Field::with_teller().await;
    let operator = field.operator().await;
    let client = async_nats::connect(field.server.url()).await.unwrap();
    // Neither leaves room for anything beside it: the second not even for an empty list of headers.
    for (count, id, spare) in [(1, "large", 2_000), (2, "largest", 0)] {
        let body = event(id, MESSAGE_BYTES_MAX - spare - event(id, 0).len());
        assert_eq!(body.len(), MESSAGE_BYTES_MAX - spare);
        let answer = client.request("questions.asked", body.clone().into()).await.unwrap();
        assert!(String::from_utf8_lossy(&answer.payload).contains("seq"), "{:?}", answer.payload);
        let letters = until(&format!("dead letter of the {id} input: {}", teller.log()), async || {
            let letters = operator.read("DLQ", "dlq.teller.*", 1).await.ok()?;
            (letters.len() == count).then_some(letters)
        })
        .await;
        assert!(letters[count - 1].payload == body, "its bytes are kept");
        until("answer in INTAKE", async || {
            (operator.lag("INTAKE", "teller").await.ok()? == (0, 0)).then_some(())
        })
        .await;
    }
    assert!(teller.said("a dead letter holds only the input's bytes") >= 1, "{}", teller.log());
}
