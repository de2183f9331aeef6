//! One more process of a function that runs already.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tests::until;

use crate::shop::Opened;

/// A process beside the one that the shop has started. Dropping it kills it.
pub struct Replica {
    child: Child,
    url: String,
}

impl Replica {
    /// Starts another process like the one of `function`, and waits until it is ready.
    pub async fn start(opened: &Opened, function: &str) -> Self {
        let pid = opened.shop.running().pid(function).unwrap();
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        let env = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let env = String::from_utf8(env).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .env_clear()
            .envs(env.split('\0').filter_map(|variable| variable.split_once('=')))
            .env("PORT", port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let replica = Self { child, url: format!("http://127.0.0.1:{port}") };
        until("ready replica", async || {
            let answer = opened.client.get(format!("{}/ready", replica.url)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        replica
    }

    /// Where it answers HTTP.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
