//! A nats-server with accounts and users, and what it writes down of violations.

use std::path::{Path, PathBuf};

use jetlag_cli::broker::{Places, find};
use jetlag_cli::console::Console;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{free_port, logged, until};

/// A server with JetStream; it is killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    log: PathBuf,
    child: Child,
}

/// A user of the server, in the form of its `CONNECT`.
pub type Login = String;

impl Server {
    /// A server that keeps everything in `directory`, with `accounts` in its configuration and `env` in its environment.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(directory: &Path, accounts: &str, env: &[(String, String)]) -> Self {
        Self::start_at(free_port(), directory, accounts, env).await
    }

    /// The same, on a port that is known before.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_at(port: u16, directory: &Path, accounts: &str, env: &[(String, String)]) -> Self {
        let binary = find(&Places::from_env(None), &Console::silent()).await.unwrap().path;
        let log = directory.join("nats.log");
        let store = directory.join("store");
        let configuration = directory.join("nats.conf");
        let text = format!(
            "host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: {store:?}, max_file_store: 1TB }}\n{accounts}\n"
        );
        std::fs::write(&configuration, text).unwrap();
        let mut command = Command::new(binary);
        let child = logged(command.arg("-c").arg(configuration).envs(env.iter().cloned()), &log);
        let server = Self { port, log, child };
        until(&format!("nats-server that talks: {}", server.log()), async || {
            server.log().contains("Server is ready").then_some(())
        })
        .await;
        server
    }

    /// The number of its process.
    ///
    /// # Panics
    /// It has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Kills it, and waits until it is gone: another one can then be started in its place.
    ///
    /// # Panics
    /// It cannot be killed.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
        let _ = std::fs::remove_file(&self.log);
    }

    /// What it has written down.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The lines of its log that tell of something that `account` was denied.
    pub fn violations(&self, account: &str) -> Vec<String> {
        let of_account = format!("\"{account}/");
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains("Violation") && line.contains(&of_account));
        lines.map(str::to_owned).collect()
    }

    /// Sends `commands` of the protocol as `login`, and gives what the server has said when it is through with them.
    ///
    /// # Panics
    /// It hangs up, or says nothing.
    pub async fn say(&self, login: &str, commands: &[&[u8]]) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let connect = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,{login}}}\r\n"
        );
        socket.write_all(connect.as_bytes()).await.unwrap();
        for command in commands {
            socket.write_all(command).await.unwrap();
        }
        socket.write_all(b"PING\r\n").await.unwrap();
        let mut said = Vec::new();
        until("end of what the server says", async || {
            let mut some = [0; 4096];
            let count = socket.read(&mut some).await.unwrap();
            said.extend_from_slice(&some[..count]);
            said.windows(6).any(|window| window == b"PONG\r\n").then_some(())
        })
        .await;
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// The login of a user with a password.
pub fn with_password(user: &str, password: &str) -> Login {
    format!("\"user\":{user:?},\"pass\":{password:?}")
}

/// A publish as the protocol has it, with these bytes as headers.
pub fn publish(subject: &str, headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let head = if headers.is_empty() {
        format!("PUB {subject} {}\r\n", payload.len())
    } else {
        format!("HPUB {subject} {} {}\r\n", headers.len(), headers.len() + payload.len())
    };
    [head.as_bytes(), headers, payload, b"\r\n"].concat()
}
