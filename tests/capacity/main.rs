//! What a broker needs for what it keeps and for whoever is connected, measured on a real nats-server on this machine:
//! `cargo measure-broker [--events 100000,500000,1000000] [--connections 1000]`. docs/capacity.md says what came of it.

#![allow(clippy::float_arithmetic, clippy::print_stderr, clippy::print_stdout, reason = "a test")]

mod fill;
mod machine;

use std::process::ExitCode;
use std::time::Instant;

use futures::future::join_all;
use jetlag::topology::{AUDIT, EVENTS, Sizing, Topology};
use tests::{Server, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use fill::Fill;
use machine::{disk_bytes, resident_bytes, settled};

const USAGE: &str = "cargo measure-broker [--events COUNT,COUNT…] [--connections COUNT]";
/// More than any run here keeps.
const EVENTS_BYTES_MAX: i64 = 64 << 30;
/// How many messages are read at random, so that the broker has the blocks in memory that reading needs.
const READ: u64 = 20_000;

/// What is asked for.
struct Options {
    events: Vec<u64>,
    connections: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("| What | Messages | Stream, bytes each | Disk, bytes each | Memory, bytes each |");
    println!("|---|---|---|---|---|");
    keep(&options.events).await;
    connect(options.connections).await;
    ExitCode::SUCCESS
}

fn read(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { events: vec![100_000, 500_000, 1_000_000], connections: 1_000 };
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--events" => options.events = value.split(',').map(str::parse).collect::<Result<_, _>>().ok()?,
            "--connections" => options.connections = value.parse().ok()?,
            _ => return None,
        }
    }
    options.events.sort_unstable();
    Some(options)
}

/// One line: what `messages` messages cost over what there was before.
fn line(what: &str, messages: u64, stream: u64, disk: u64, memory: u64) {
    let each = |bytes: u64| bytes / messages.max(1);
    println!("| {what} | {messages} | {} | {} | {} |", each(stream), each(disk), each(memory));
}

/// The stream of events with as many events as `counts` says, each on a subject of its own; then its copy, AUDIT.
async fn keep(counts: &[u64]) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    let (port, sizing) = (free_port(), Sizing { events_bytes_max: EVENTS_BYTES_MAX, ..Sizing::default() });
    let server = Server::start_at(port, directory.path(), "", &[]).await;
    let fill = Fill::on(port).await;
    let topology = Topology::of(&[], &sizing);
    let stream = |name: &str| topology.streams.iter().find(|stream| stream.name == name).expect("a stream");
    let mut events = stream(EVENTS).config.clone();
    events["subjects"] = serde_json::json!(["orders.placed.*.*"]);
    fill.make(EVENTS, &events).await;
    let (disk, memory) = (disk_bytes(&store), settled(server.pid()).await);
    let (before, empty) = (memory, disk);
    let mut there = 0;
    for &count in counts {
        fill.events(there, count).await;
        there = count;
        let (messages, bytes) = fill.state(EVENTS).await;
        assert_eq!(messages, count, "each event is on a subject of its own");
        let (disk, memory) = (disk_bytes(&store) - empty, settled(server.pid()).await.saturating_sub(before));
        line("EVENTS, just filled", count, bytes, disk, memory);
    }
    fill.read(EVENTS, there, READ).await;
    let (_, bytes) = fill.state(EVENTS).await;
    let read = settled(server.pid()).await.saturating_sub(before);
    line("EVENTS, after 20,000 reads at random", there, bytes, disk_bytes(&store) - empty, read);
    server.kill().await;
    let begun = Instant::now();
    let server = Server::start_at(port, directory.path(), "", &[]).await;
    let fill = Fill::on(port).await;
    let (messages, _) = fill.state(EVENTS).await;
    assert_eq!(messages, there, "everything is there again");
    eprintln!("start with {there} subjects after a kill: {} ms", begun.elapsed().as_millis());
    let (disk, memory) = (disk_bytes(&store), settled(server.pid()).await);
    line("EVENTS, started again", there, bytes, disk - empty, memory.saturating_sub(before));

    fill.make(AUDIT, &stream(AUDIT).config).await;
    fill.until(AUDIT, there).await;
    let (_, bytes) = fill.state(AUDIT).await;
    let (copied, held) = (disk_bytes(&store) - disk, settled(server.pid()).await.saturating_sub(memory));
    line("AUDIT, just copied", there, bytes, copied, held);
}

/// So many connections that do nothing, each with the subscriptions of a function.
async fn connect(count: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), "", &[]).await;
    let before = settled(server.pid()).await;
    let open = async |number: usize| {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port)).await.expect("a connection");
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"name\":\"f-{number}\"}}\r\n\
             SUB _INBOX_f.{number}.* 1\r\nSUB _INBOX_f.{number}.a 2\r\nSUB _INBOX_f.{number}.b 3\r\nPING\r\n"
        );
        socket.write_all(hello.as_bytes()).await.expect("a server that reads");
        let mut said = Vec::new();
        while !said.windows(4).any(|window| window == b"PONG") {
            let mut some = [0; 4096];
            let read = socket.read(&mut some).await.expect("an answer");
            assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&some[..read]);
        }
        socket
    };
    let sockets = join_all((0..count).map(open)).await;
    let memory = settled(server.pid()).await.saturating_sub(before);
    println!("| connections | {} | | | {} |", sockets.len(), memory / sockets.len().max(1) as u64);
    assert!(resident_bytes(server.pid()).is_some(), "the server is there");
}
