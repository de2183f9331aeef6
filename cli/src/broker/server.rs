//! Starts the nats-server.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use super::greeting;
use crate::problem::{Exit, Problem};
use crate::supervisor::process::Output;
use crate::supervisor::{Addresses, Kind, Launch, Service};

/// The name on the board, and of the log.
pub(crate) const NAME: &str = "broker";
/// Recovering the indexes of a large store takes time.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A server with open batches and files to sync.
const GRACE: Duration = Duration::from_secs(15);
/// How often the start is looked at.
const POLL: Duration = Duration::from_millis(20);
/// What streams in memory may take together.
const MEMORY_STORE_BYTES: u64 = 256 * 1024 * 1024;
/// The server's own default: what it acknowledges is on disk after so long at the latest.
const SYNC_INTERVAL: &str = "2m";
/// How long the answer to a connection may take.
const GREETING_LIMIT: Duration = Duration::from_secs(2);

/// The broker of one `jetlag up`.
#[derive(Debug)]
pub(crate) struct Broker {
    binary: PathBuf,
    /// Its own directory: store, configuration, ports file.
    directory: PathBuf,
    /// The client port of the first start; 0 for any.
    port: u16,
    file_store_bytes: u64,
    /// Everything is on disk before it is acknowledged.
    sync_always: bool,
    /// A name that no other server has: how the server that answers is known to be our child.
    server_name: String,
}

/// The file that the server writes when it listens: `nats-server_<pid>.ports`.
#[derive(Debug, Deserialize)]
struct Ports {
    nats: Vec<String>,
    monitoring: Vec<String>,
}

impl Broker {
    /// A broker that keeps everything in `directory`.
    pub(crate) fn new(
        binary: PathBuf,
        directory: PathBuf,
        port: u16,
        file_store_bytes: u64,
        sync_always: bool,
    ) -> Self {
        let server_name = format!("jetlag-{}", Uuid::new_v4().simple());
        Self { binary, directory, port, file_store_bytes, sync_always, server_name }
    }

    fn ports_directory(&self) -> PathBuf {
        self.directory.join("ports")
    }

    /// The configuration file. JSON is a form of it, and needs no quoting rules of our own.
    fn configuration(&self, known: &Addresses) -> String {
        let port = |scheme: &str, first: u16| match known.get(scheme).and_then(|url| port_of(url)) {
            Some(port) => i32::from(port),
            None if first == 0 => -1,
            None => i32::from(first),
        };
        let settings = serde_json::json!({
            "server_name": self.server_name,
            "host": "127.0.0.1",
            "port": port("nats", self.port),
            "http": format!("127.0.0.1:{}", port("monitor", 0)),
            "ports_file_dir": self.ports_directory(),
            "jetstream": {
                "store_dir": self.directory.join("store"),
                "max_memory_store": MEMORY_STORE_BYTES,
                "max_file_store": self.file_store_bytes,
                "sync_interval": if self.sync_always { "always" } else { SYNC_INTERVAL },
            },
        });
        let mut text = String::from("# Written by `jetlag up` at every start; changes are lost.\n");
        let _ = writeln!(text, "{settings:#}");
        text
    }

    fn cannot_write(&self, error: std::io::Error) -> Problem {
        Problem::new(
            Exit::CannotCreate,
            format!("the broker's directory `{}` cannot be used", self.directory.display()),
        )
        .because(error)
        .remedy("choose another data directory with --data")
    }

    /// Is the server at `address` our child? A port that was taken would otherwise connect us to somebody else's.
    async fn is_ours(&self, address: SocketAddr) -> Result<(), Problem> {
        let wrong = |why: String| Problem::new(Exit::Unavailable, format!("the server at {address} {why}"));
        match tokio::time::timeout(GREETING_LIMIT, greeting::of(address)).await {
            Ok(Ok(greeting)) if greeting.server_name != self.server_name => {
                Err(wrong(format!("is another one, `{}`", greeting.server_name))
                    .remedy("choose another port with --nats-port, or 0 for any"))
            }
            Ok(Ok(greeting)) if !greeting.jetstream => Err(wrong("runs without JetStream".to_owned())),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(wrong("does not answer as a NATS server".to_owned()).because(error)),
            Err(_) => Err(wrong(format!("does not answer within {} s", GREETING_LIMIT.as_secs()))),
        }
    }
}

impl Service for Broker {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Broker
    }

    fn launch(&self, known: &Addresses) -> Result<Launch, Problem> {
        let ports = self.ports_directory();
        // Ports files of servers that were killed.
        let _ = std::fs::remove_dir_all(&ports);
        let file = self.directory.join("nats.conf");
        std::fs::create_dir_all(&ports)
            .and_then(|()| std::fs::write(&file, self.configuration(known)))
            .map_err(|error| self.cannot_write(error))?;
        let args = vec!["-c".to_owned(), file.display().to_string()];
        Ok(Launch { program: self.binary.clone(), args, ..Launch::default() })
    }

    async fn up(&self, pid: u32, _: &Output, _: &Addresses) -> Result<Addresses, Problem> {
        let file = self.ports_directory();
        let ports = loop {
            if let Some(ports) = read_ports(&file, pid) {
                break ports;
            }
            tokio::time::sleep(POLL).await;
        };
        let unreadable = || Problem::new(Exit::Internal, format!("`{}` names no port", file.display()));
        let nats = ports.nats.first().ok_or_else(unreadable)?;
        let monitor = ports.monitoring.first().ok_or_else(unreadable)?;
        let port = port_of(nats).ok_or_else(unreadable)?;
        self.is_ours(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        Ok(Addresses::from([("nats".to_owned(), nats.clone()), ("monitor".to_owned(), monitor.clone())]))
    }

    fn start_limit(&self) -> Duration {
        START_LIMIT
    }

    fn grace(&self) -> Duration {
        GRACE
    }
}

/// The ports file carries the pid in its name, so that of another process is never read; one that is half written
/// does not parse.
fn read_ports(directory: &Path, pid: u32) -> Option<Ports> {
    let ending = format!("_{pid}.ports");
    let mut files = std::fs::read_dir(directory).ok()?.filter_map(Result::ok);
    let file = files.find(|entry| entry.file_name().to_string_lossy().ends_with(&ending))?;
    serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()
}

fn port_of(url: &str) -> Option<u16> {
    url.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_broker_comes_back_on_the_ports_it_had() {
        let broker = Broker::new("nats-server".into(), "/data \"x\"/broker".into(), 0, 1024, false);
        let first = broker.configuration(&Addresses::new());
        assert!(first.contains("\"port\": -1") && first.contains("127.0.0.1:-1"), "{first}");
        let known = [("nats", "nats://127.0.0.1:4333"), ("monitor", "http://127.0.0.1:8333")];
        let again = broker.configuration(&known.map(|(s, u)| (s.to_owned(), u.to_owned())).into());
        assert!(again.contains("\"port\": 4333") && again.contains("127.0.0.1:8333"), "{again}");
    }

    #[tokio::test]
    async fn a_server_with_another_name_is_not_ours() {
        use tokio::io::AsyncWriteExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"INFO {\"server_name\":\"theirs\",\"jetstream\":true}\r\n").await.unwrap();
        });
        let broker = Broker::new("nats-server".into(), "/data".into(), 0, 1024, false);
        let problem = broker.is_ours(address).await.unwrap_err();
        assert!(problem.to_string().contains("is another one, `theirs`"));
    }
}
