//! A server process under test, which dies with its value.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

pub(crate) const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");
pub(crate) const RECEIVER: &str = env!("CARGO_BIN_EXE_receiver");

pub(crate) struct Running {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    /// `127.0.0.1:PORT`, of a receiver.
    pub(crate) smtp: String,
}

impl Running {
    pub(crate) fn gateway(arguments: &[&str]) -> Self {
        Running::start(GATEWAY, arguments, false)
    }

    pub(crate) fn gateway_on(data: &Path) -> Self {
        Running::gateway(&["--data", data.to_str().unwrap()])
    }

    pub(crate) fn receiver(arguments: &[&str]) -> Self {
        Running::start(RECEIVER, arguments, true)
    }

    pub(crate) fn receiver_on(data: &Path) -> Self {
        Running::receiver(&["--data", data.to_str().unwrap()])
    }

    fn start(program: &str, arguments: &[&str], mail: bool) -> Self {
        let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        // A server that fails to start closes its stdout, so this ends either way.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut ready = |scheme: &str| {
            let line = lines.next().expect("the server did not start").unwrap();
            line.strip_prefix(&format!("listening on {scheme}://")).expect(&line).to_owned()
        };
        let url = format!("http://{}", ready("http"));
        let smtp = if mail { ready("smtp") } else { String::new() };
        Running { child, url, smtp }
    }

    /// `kill -9`, which gives the process no chance to write anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name and waits for the end.
    pub(crate) fn end(mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> serde_json::Value {
        client().get(format!("{}{path}", self.url)).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn control(&self, change: serde_json::Value) {
        let request = client().put(format!("{}/control", self.url)).json(&change);
        assert_eq!(request.send().await.unwrap().status(), 200, "{change}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be dead already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP client. Nothing here speaks TLS, but the client insists on a provider of it.
pub(crate) fn client() -> reqwest::Client {
    // A second installation is refused, and the first one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
