//! A process of the function `teller`, as it is seen from outside: its probes, metrics, log and end.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{PATIENCE, free_port, logged, until};
use tokio::process::{Child, Command};

use crate::namespace::Namespace;

/// One process.
pub struct Process {
    child: Mutex<Child>,
    client: Client,
    address: String,
    log: PathBuf,
}

/// The variable that says how many files it may have open, instead of as many as the test.
pub const FILES_MAX: &str = "FILES_MAX";

/// How to start one.
pub struct Launch<'a> {
    pub broker: &'a str,
    pub directory: &'a Path,
    pub env: &'a [(&'a str, &'a str)],
    /// In this namespace of the network, or in the one of the test.
    pub namespace: Option<&'a Namespace>,
}

impl Process {
    /// Starts it without waiting for anything.
    pub fn start(launch: &Launch<'_>) -> Self {
        let port = free_port();
        let log = launch.directory.join(format!("teller-{port}.log"));
        let program = env!("CARGO_BIN_EXE_teller");
        let files = launch.env.iter().find(|(name, _)| *name == FILES_MAX);
        let mut command = match (launch.namespace, files) {
            (None, None) => Command::new(program),
            (None, Some((_, files))) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\""), program]);
                shell
            }
            (Some(namespace), _) => namespace.command(program),
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("NATS_URL", launch.broker)
            .env("PORT", port.to_string())
            .env("TELLER_JOURNAL", launch.directory.join("journal"))
            .envs(launch.env.iter().copied());
        let host = launch.namespace.map_or("127.0.0.1", |namespace| namespace.inside());
        Self {
            child: Mutex::new(logged(&mut command, &log)),
            client: client(),
            address: format!("http://{host}:{port}"),
            log,
        }
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        until("ready teller", async || {
            let ended = self.child.lock().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "it has ended: {}", self.log());
            (self.get("/ready").await.0 == 200).then_some(())
        })
        .await;
    }

    /// Waits until it is not ready, and gives how long that took and what it says; it lives all the while.
    pub async fn unready(&self) -> (Duration, Value) {
        let began = Instant::now();
        let report = until("unready teller", async || {
            assert_eq!(self.get("/health/liveness").await.0, 200, "it lives");
            let (status, report) = self.get("/ready").await;
            (status == 503).then_some(report)
        })
        .await;
        (began.elapsed(), report)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.address)).timeout(PATIENCE);
        match request.send().await {
            Ok(answer) => (answer.status().as_u16(), answer.json().await.unwrap_or_default()),
            Err(_) => (0, Value::Null),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// How much memory it has.
    pub fn memory_kib(&self) -> u64 {
        let pid = self.child.lock().unwrap().id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Asks one question; gives status, `Retry-After` and body.
    pub async fn ask(
        &self,
        question_id: &str,
        takes_ms: u64,
        padding: usize,
    ) -> (u16, Option<String>, Value) {
        self.put(&question(question_id, takes_ms, padding)).await
    }

    /// The same with a whole question.
    pub async fn put(&self, body: &Value) -> (u16, Option<String>, Value) {
        let request = self.client.post(format!("{}/questions", self.address)).json(body).timeout(PATIENCE);
        let Ok(answer) = request.send().await else { return (0, None, Value::Null) };
        let retry_after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), retry_after, answer.json().await.unwrap_or_default())
    }

    /// The value of the metric whose line begins with `line`; 0 if there is none.
    pub async fn metric(&self, line: &str) -> f64 {
        let Ok(answer) = self.client.get(format!("{}/metrics", self.address)).send().await else {
            return 0.0;
        };
        let text = answer.text().await.unwrap_or_default();
        let found = text.lines().find_map(|one| one.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or_default()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How many lines of its log have `text`.
    pub fn said(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until a line of its log has `text`.
    pub async fn says(&self, text: &str) {
        until(&format!("line with {text:?} in its log: {}", self.log()), async || {
            (self.said(text) > 0).then_some(())
        })
        .await;
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        let pid = self.child.lock().unwrap().id().expect("it runs");
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits until it ends by itself, and gives its exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.child.get_mut().unwrap().wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end: {}", self.log())).unwrap().code()
    }
}

pub fn question(question_id: &str, takes_ms: u64, padding: usize) -> Value {
    let topic = format!("topic-{}", question_id.len() % 3);
    json!({
        "question_id": question_id, "topic": topic, "takes_ms": takes_ms, "padding": "x".repeat(padding),
    })
}

/// A client without TLS roots: everything is on this machine.
pub fn client() -> Client {
    // An error means that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy().tls_certs_only([]);
    builder.connect_timeout(Duration::from_secs(2)).build().unwrap()
}
