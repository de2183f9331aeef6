//! Clients that do what none should: each is told, or hung up on, and whoever behaves is served meanwhile.

use std::time::Duration;

use futures::future::join_all;
use tests::{PATIENCE, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::field::Field;
use crate::process::{FILES_MAX, Process};

/// How much more memory they may cost, however many there are: the bodies that are held (32 MiB, and as much again while they
/// grow), and what is around them. 83 MiB were seen.
const COST_MAX_KIB: u64 = 128 * 1024;
/// How many say half a head and no more.
const CRAWLERS: usize = 800;
/// How many send a body of 1 MiB and keep its last byte; a third of them fits into the limit of all bodies.
const HOARDERS: usize = 100;
const BODY_BYTES: usize = 1024 * 1024;
/// How many questions are asked while they hold on.
const QUESTIONS: usize = 20;

pub async fn clients_that_misbehave_are_told_and_cost_little() {
    let field = Field::new(serde_json::json!({})).await;
    let mut teller = field.teller(&[("JETLAG_TRIGGER", "both")]);
    teller.ready().await;
    assert_eq!(teller.ask("first", 1, 0).await.0, 202);
    let before = teller.memory_kib();

    for (what, said, answers) in rows() {
        let heard = hear(&teller, &said).await;
        for answer in answers {
            assert!(heard.contains(answer), "{what}: {answer:?} is not in {heard:?}");
        }
        if answers.is_empty() {
            assert!(!heard.contains("HTTP/1.1"), "{what}: {heard:?}");
        }
    }

    let crawlers = hold(&teller, CRAWLERS, b"POST /questions HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    let head = format!(
        "POST /questions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    );
    let body = [head.as_bytes(), &vec![b' '; BODY_BYTES - 1]].concat();
    let hoarders = hold(&teller, HOARDERS, &body).await;
    // Whoever behaves is answered, at once or when there is room again.
    for number in 0..QUESTIONS {
        let (status, retry_after, _) = teller.ask(&format!("meanwhile-{number}"), 1, 0).await;
        assert!(status == 202 || (status == 429 && retry_after.is_some()), "{status}");
        assert_eq!(teller.get("/health").await.0, 200);
    }
    let cost = teller.memory_kib().saturating_sub(before);
    println!(
        "{cost} KiB more for {CRAWLERS} half heads and {HOARDERS} bodies of {BODY_BYTES} bytes without their end"
    );
    assert!(cost < COST_MAX_KIB, "{cost} KiB");
    drop((crawlers, hoarders));
    until("room for everybody", async || (teller.ask("last", 1, 0).await.0 == 202).then_some(())).await;
    teller.stop();
    assert_eq!(teller.exit_code().await, Some(0), "{}", teller.log());
    assert_eq!(teller.said("panicked"), 0, "{}", teller.log());
}

/// How many files a process has where they are few, and how many open a connection to it then: more than it can serve.
const FEW_FILES: &str = "300";
const CROWD: usize = 400;
/// How often each of them says one more byte of a head that never ends: never so seldom as to be idle.
const CRAWL: Duration = Duration::from_millis(500);
/// How much more memory they may cost.
const CROWD_COST_MAX_KIB: u64 = 32 * 1024;

pub async fn connections_beyond_the_limit_wait_and_heads_that_never_end_are_cut_off() {
    let field = Field::new(serde_json::json!({})).await;
    let mut teller = field.teller(&[(FILES_MAX, FEW_FILES)]);
    teller.ready().await;
    // 128 of them are for everything else.
    assert_eq!(teller.said("\"connections\":172"), 1, "{}", teller.log());
    assert_eq!(teller.ask("first", 1, 0).await.0, 202);
    let before = teller.memory_kib();
    let crowd = join_all((0..CROWD).map(|_| crawl(&teller)));
    let polite = async {
        // It waits behind all of them, and is served while they go on.
        until("answer in the crowd", async || (teller.ask("meanwhile", 1, 0).await.0 == 202).then_some(()))
            .await;
        teller.memory_kib().saturating_sub(before)
    };
    let (_, cost) = tokio::time::timeout(PATIENCE, async { tokio::join!(crowd, polite) })
        .await
        .expect("each is cut off, though it never stops");
    println!("{cost} KiB more for {CROWD} connections, of which 172 are served");
    assert!(cost < CROWD_COST_MAX_KIB, "{cost} KiB");
    // It was its own limit that they met, and not the system's.
    assert_eq!(teller.said("no connection can be accepted"), 0, "{}", teller.log());
    assert_eq!(teller.ask("last", 1, 0).await.0, 202);
    teller.stop();
    assert_eq!(teller.exit_code().await, Some(0), "{}", teller.log());
}

/// Says a head, a byte at a time, until the server hangs up.
async fn crawl(teller: &Process) {
    let (mut reader, mut writer) = TcpStream::connect(teller.address()).await.unwrap().into_split();
    let talk = async {
        let mut said = writer.write_all(b"POST /questions HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
        while said.is_ok() {
            tokio::time::sleep(CRAWL).await;
            said = writer.write_all(b"x").await;
        }
    };
    let mut heard = Vec::new();
    tokio::select! {
        () = talk => {}
        _ = reader.read_to_end(&mut heard) => {}
    }
}

/// What is said, and what must be in the answer; where that is nothing, the connection is just closed.
fn rows() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let post = |more: &str, body: &str| {
        let head =
            "POST /questions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n";
        format!("{head}{more}\r\n{body}").into_bytes()
    };
    let many = (0..200).map(|number| format!("X-{number}: x\r\n")).collect::<String>();
    let chunk = format!("{:x}\r\n{}\r\n", BODY_BYTES, " ".repeat(BODY_BYTES)).repeat(3);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    vec![
        ("no HTTP at all", b"\x16\x03\x01\x02\x00garbage\r\n\r\n".to_vec(), &["HTTP/1.1 400"]),
        ("a head of a megabyte", post(&format!("X: {}", "a".repeat(BODY_BYTES)), ""), &["HTTP/1.1 431"]),
        ("200 headers", post(&many, ""), &["HTTP/1.1 431"]),
        ("a path of 100 kB", format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000)).into_bytes(), &["HTTP/1.1 4"]),
        ("10 GB announced", post("Content-Length: 10000000000\r\n", "{"), &["HTTP/1.1 413", "too_large"]),
        ("two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "{}"), &["HTTP/1.1 400"]),
        ("a length that is none", post("Content-Length: -1\r\n", "{}"), &["HTTP/1.1 400"]),
        ("an encoding that is none", post("Transfer-Encoding: gzip\r\n", "{}"), &["HTTP/1.1 400"]),
        ("chunks without end", post(chunked, &chunk), &["HTTP/1.1 413", "too_large"]),
        ("a chunk that is none", post(chunked, "ZZ\r\n{}\r\n0\r\n\r\n"), &["HTTP/1.1 400", "incomplete"]),
        (
            "garbage behind a request",
            b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n\x00\x01\x02\r\n\r\n".to_vec(),
            &["HTTP/1.1 200", "HTTP/1.1 400"],
        ),
        (
            "three requests at once",
            b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                .to_vec(),
            &["HTTP/1.1 200", "HTTP/1.1 404", "\"status\":\"ready\""],
        ),
        ("half a body, and gone", post("Content-Length: 100\r\n", "{"), &["HTTP/1.1 400", "incomplete"]),
        ("HTTP/2, and then garbage", [preface.as_bytes(), &[0xff; 64]].concat(), &[]),
        ("HTTP/2, and a frame of 16 MB", [preface.as_bytes(), &[0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 1]].concat(), &[]),
    ]
}

/// Says `said`, closes its side, and gives what comes back until the other side is closed too.
async fn hear(teller: &Process, said: &[u8]) -> String {
    let (mut reader, mut writer) = TcpStream::connect(teller.address()).await.unwrap().into_split();
    let talk = async {
        // Whoever is hung up on in the middle has said enough.
        let _ = writer.write_all(said).await;
        let _ = writer.shutdown().await;
    };
    let mut heard = Vec::new();
    let listen = async {
        // A reset after the answer takes nothing of the answer away that was read before.
        let _ = reader.read_to_end(&mut heard).await;
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(talk, listen) }).await.expect("it is closed");
    String::from_utf8_lossy(&heard).into_owned()
}

/// Opens so many connections, says `said` on each, and keeps them.
async fn hold(teller: &Process, count: usize, said: &[u8]) -> Vec<TcpStream> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(teller.address()).await.unwrap();
        // One that is sent away does not read the rest.
        let _ = tokio::time::timeout(PATIENCE, stream.write_all(said)).await.expect("it is read, or closed");
        held.push(stream);
    }
    held
}
