//! A nats-server and a process of the function `crasher`, started again whenever it ends.

use std::path::PathBuf;
use std::time::Duration;

use jetlag::Description;
use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::{DEAD_LETTERS, EVENTS, Sizing, Topology};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::{Server, free_port, logged};
use tokio::process::{Child, Command};

const CRASHER: &str = env!("CARGO_BIN_EXE_crasher");
/// How long anything that a test waits for may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long the broker waits for a sign of work: what a dead process held comes again after that.
const ACK_WAIT: Duration = Duration::from_secs(2);
/// The address space of a process, in kilobytes.
const MEMORY_KB: u64 = 1024 * 1024;
const POLL: Duration = Duration::from_millis(20);

/// A line of the function's journal: a run that began or ended.
#[derive(Debug, Clone)]
pub struct Line {
    pub what: String,
    pub id: String,
    pub pid: u32,
}

pub struct Place {
    operator: Operator,
    url: String,
    port: u16,
    process: Option<Child>,
    _server: Server,
    data: TempDir,
}

impl Place {
    pub async fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), "", &[]).await;
        let url = format!("nats://127.0.0.1:{}", server.port);
        let operator = Operator::connect(&Connection::to(&url)).await.unwrap();
        let described = Command::new(CRASHER).arg("--describe").output().await.unwrap();
        let description: Description = serde_json::from_slice(&described.stdout).unwrap();
        let sizing = Sizing { ack_wait: ACK_WAIT, events_bytes_max: 64 * 1024 * 1024, ..Sizing::default() };
        operator.provision(&Topology::of(&[description], &sizing)).await.unwrap();
        Self { operator, url, port: free_port(), process: None, _server: server, data }
    }

    fn log_path(&self) -> PathBuf {
        self.data.path().join("log")
    }

    fn journal_path(&self) -> PathBuf {
        self.data.path().join("journal")
    }

    /// Starts the function, with a limit on its memory.
    pub fn start(&mut self) {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -c 0; ulimit -v {MEMORY_KB}; exec {CRASHER}")])
            .env("NATS_URL", &self.url)
            .env("PORT", self.port.to_string())
            .env("CRASHER_JOURNAL", self.journal_path());
        self.process = Some(logged(&mut command, &self.log_path()));
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().and_then(Child::id).expect("a process that runs");
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    /// Kills the function from outside.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.process.take().unwrap().wait().await.unwrap();
    }

    /// Tells the function to stop, and sees that it drains.
    pub async fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(PATIENCE, self.process.take().unwrap().wait_with_output()).await;
        assert!(ended.expect("it stops").unwrap().status.success(), "it drains: {}", self.log());
    }

    /// Publishes an input that works for so long and then does what `how` says.
    pub async fn publish(&self, id: &str, how: &str, after_ms: u64) {
        let event = serde_json::json!({
            "id": id,
            "type": "crash.wanted",
            "aggregate_id": id,
            "data": {"id": id, "how": how, "after_ms": after_ms},
            "timestamp": "2025-01-01T00:00:00Z",
            "trace_id": "",
        });
        let subject = format!("crash.wanted.{id}.{id}");
        self.operator.publish(&subject, id, event.to_string().into()).await.unwrap();
    }

    /// Waits until `is_there`, within [`PATIENCE`].
    pub async fn until(&mut self, what: &str, is_there: impl AsyncFn(&Self) -> bool) {
        let waiting = async {
            while !is_there(self).await {
                tokio::time::sleep(POLL).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "no {what} within {PATIENCE:?}: {}", self.log());
    }

    /// The same, and starts the function again whenever it ends.
    pub async fn keep_running_until(&mut self, what: &str, is_there: impl AsyncFn(&Self) -> bool) {
        let waiting = async {
            while !is_there(self).await {
                if self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some()) {
                    self.start();
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "no {what} within {PATIENCE:?}: {}", self.log());
    }

    /// Every run that began or ended, in order.
    pub fn journal(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.journal_path()).unwrap_or_default();
        text.lines()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                Line { what: words[0].into(), id: words[1].into(), pid: words[2].parse().unwrap() }
            })
            .collect()
    }

    /// How many runs began.
    pub fn begun(&self) -> usize {
        self.journal().iter().filter(|line| line.what == "begin").count()
    }

    /// Who survived, and at which attempt.
    pub async fn survived(&self) -> Vec<(String, String)> {
        let survived = self.operator.read(EVENTS, "crash.survived.*.*", 1).await.unwrap();
        survived.iter().map(|one| (about(&one.subject), header(one, "Jetlag-Attempt"))).collect()
    }

    /// Who was given up, and why.
    pub async fn letters(&self) -> Vec<(String, String)> {
        let letters = self.operator.read(DEAD_LETTERS, "dlq.*.*", 1).await.unwrap();
        letters
            .iter()
            .map(|one| (about(&header(one, "Jetlag-Subject")), header(one, "Jetlag-Reason")))
            .collect()
    }

    pub async fn metrics(&self) -> String {
        // An error means that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        client.get(url).send().await.unwrap().text().await.unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Ends the function and sees that it drains.
    pub async fn close(mut self) {
        self.terminate().await;
    }
}

/// The aggregate that an event is about.
fn about(subject: &str) -> String {
    subject.split('.').nth(2).unwrap().to_owned()
}

fn header(message: &jetlag::jetstream::ReadMessage, name: &str) -> String {
    message.header(name).unwrap_or_default().to_owned()
}
