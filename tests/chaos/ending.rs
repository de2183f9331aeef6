//! How a process ends that cannot finish what it has begun: in 30 s, or at once at a second signal, and nothing is lost.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::EVENTS;
use jetlag_cli::broker::{Places, find};
use jetlag_cli::console::Console;
use rustix::process::Signal;
use tempfile::TempDir;
use tests::{free_port, until};

use crate::fleet::send;

/// The exit code of a process that left something unfinished.
const FORCED: i32 = 75;
/// How long a drain lasts at most, and then the last answers and the end of the process on a machine under load.
const DRAIN: Duration = Duration::from_secs(30);
const SLACK: Duration = Duration::from_secs(15);

/// A broker, and a function that has an input it will never be done with.
struct Stuck {
    broker: Child,
    function: Child,
    operator: Operator,
    directory: TempDir,
}

impl Drop for Stuck {
    fn drop(&mut self) {
        for child in [&mut self.function, &mut self.broker] {
            let _ = (child.kill(), child.wait());
        }
    }
}

impl Stuck {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = find(&Places::from_env(None), &Console::silent()).await.unwrap();
        let port = free_port();
        let broker = Command::new(&server.path)
            .args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"])
            .arg(directory.path().join("store"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("nats://127.0.0.1:{port}");
        let operator = until("broker", async || Operator::connect(&Connection::to(&url)).await.ok()).await;
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let function = Command::new(env!("CARGO_BIN_EXE_tarry"))
            .env("NATS_URL", &url)
            .env("PORT", "0")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let event = r#"{"id":"1","type":"orders.placed","aggregate_id":"A","data":{"order_id":"A","customer_id":"C","amount":1},"timestamp":"2026-11-21T14:00:00Z","trace_id":""}"#;
        until("stream", async || operator.publish("orders.placed.A.1", "1", event.into()).await.ok()).await;
        let stuck = Self { broker, function, operator, directory };
        until("input under way", async || (stuck.unanswered().await? == 1).then_some(())).await;
        stuck
    }

    async fn unanswered(&self) -> Option<u64> {
        self.operator.lag(EVENTS, "tarry").await.ok().map(|(_, unanswered)| unanswered)
    }

    /// Sends SIGTERM and waits until the function says that it drains.
    async fn drain(&self) -> Instant {
        send(self.function.id(), Signal::TERM);
        let began = Instant::now();
        until("drain", async || {
            let log = std::fs::read_to_string(self.directory.path().join("log")).ok()?;
            log.contains("\"msg\":\"draining\"").then_some(())
        })
        .await;
        began
    }

    /// The exit code, and that the input was not answered: the broker will deliver it again.
    async fn end(&mut self) -> Option<i32> {
        let status = until("end of the process", async || self.function.try_wait().unwrap()).await;
        assert_eq!(self.unanswered().await, Some(1), "nothing is lost");
        status.code()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_after_thirty_seconds_whatever_is_under_way() {
    let mut stuck = Stuck::start().await;
    let began = stuck.drain().await;
    assert_eq!(stuck.end().await, Some(FORCED));
    let took = began.elapsed();
    assert!(took > DRAIN - Duration::from_secs(2), "it waited for what was under way: {took:?}");
    assert!(took < DRAIN + SLACK, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut stuck = Stuck::start().await;
        let began = stuck.drain().await;
        send(stuck.function.id(), signal);
        assert_eq!(stuck.end().await, Some(FORCED));
        let took = began.elapsed();
        assert!(took < DRAIN / 2, "{signal:?}: {took:?}");
    }
}
