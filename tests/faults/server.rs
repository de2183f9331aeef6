//! A nats-server to be broken: started, stopped, frozen, killed, reconfigured.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jetlag_cli::broker::{Places, find};
use jetlag_cli::console::Console;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{free_port, logged, until};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::process::client;

/// A server with a store, a configuration and a client port that outlive its process.
pub struct Server {
    binary: PathBuf,
    directory: PathBuf,
    host: &'static str,
    pub port: u16,
    monitor: u16,
    settings: Value,
    child: Option<Child>,
}

impl Server {
    /// A server that keeps everything in `directory`, with `settings` over the usual ones; it runs.
    pub async fn start(directory: &Path, settings: Value) -> Self {
        let mut server = Self::new(directory, settings).await;
        server.run().await;
        server
    }

    /// The same, not running yet.
    pub async fn new(directory: &Path, settings: Value) -> Self {
        let binary = find(&Places::from_env(None), &Console::silent()).await.unwrap().path;
        std::fs::create_dir_all(directory).unwrap();
        let (port, monitor, host) = (free_port(), free_port(), "127.0.0.1");
        Self { binary, directory: directory.to_owned(), host, port, monitor, settings, child: None }
    }

    /// Takes connections on every interface rather than the loopback's alone.
    pub fn on_every_interface(mut self) -> Self {
        self.host = "0.0.0.0";
        self
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts the process, and waits until it talks; gives the moment in which it did.
    pub async fn run(&mut self) -> Instant {
        self.configure();
        let mut command = Command::new(&self.binary);
        self.child = Some(logged(command.arg("-c").arg(self.directory.join("nats.conf")), &self.log_path()));
        until("nats-server that talks", async || self.talks().await.then_some(())).await;
        Instant::now()
    }

    /// Changes its settings: at its next start, or with SIGHUP.
    pub fn set(&mut self, name: &str, value: Value) {
        self.settings[name] = value;
        self.configure();
    }

    fn configure(&self) {
        let mut all = json!({
            "host": self.host,
            "port": self.port,
            "http": format!("127.0.0.1:{}", self.monitor),
            "jetstream": store(&self.directory.join("store")),
        });
        let settings = self.settings.as_object().into_iter().flatten();
        for (name, value) in settings {
            all[name] = value.clone();
        }
        if all["jetstream"].is_null() {
            all.as_object_mut().unwrap().remove("jetstream");
        }
        std::fs::write(self.directory.join("nats.conf"), format!("{all:#}\n")).unwrap();
    }

    async fn talks(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else { return false };
        let mut first = [0; 4];
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut first)).await;
        matches!(read, Ok(Ok(_))) && &first == b"INFO"
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).expect("nats-server runs");
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    /// Sends `signal`, which ends it, and waits for the end.
    pub async fn end(&mut self, signal: Signal) {
        self.signal(signal);
        self.ended().await;
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self) {
        let mut child = self.child.take().expect("nats-server runs");
        tokio::time::timeout(Duration::from_secs(60), child.wait()).await.expect("it ends").unwrap();
    }

    /// How many messages it was sent, by everybody, since its start.
    pub async fn messages_in(&self) -> u64 {
        let url = format!("http://127.0.0.1:{}/varz", self.monitor);
        let state: Value = client().get(url).send().await.unwrap().json().await.unwrap();
        state["in_msgs"].as_u64().unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("nats.log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

/// JetStream with its files in `directory`. What it may take is said, as the server would otherwise take its measure from
/// the disk, and refuse streams that set more aside than is free just now.
pub fn store(directory: &Path) -> Value {
    json!({"store_dir": directory, "max_file_store": 64u64 * 1024 * 1024 * 1024})
}
