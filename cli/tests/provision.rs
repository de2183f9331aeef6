//! `jetlag provision` with a real broker, and the contracts that are committed for the cluster.

#![cfg(test)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use async_nats::Client;
use jetlag_cli::broker::{Places, find};
use jetlag_cli::console::Console;
use serde_json::{Value, json};

/// The longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// A nats-server with JetStream, or the port where one will be.
struct Server {
    binary: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    async fn not_yet() -> Self {
        let binary = find(&Places::from_env(None), &Console::silent()).await.unwrap().path;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { binary, directory: tempfile::tempdir().unwrap(), port, child: None }
    }

    async fn start() -> Self {
        let mut server = Self::not_yet().await;
        server.run();
        server.client().await;
        server
    }

    fn run(&mut self) {
        let mut command = Command::new(&self.binary);
        command
            .args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"])
            .arg(self.directory.path());
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    async fn client(&self) -> Client {
        let deadline = Instant::now() + LIMIT;
        loop {
            match async_nats::connect(self.url()).await {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn provision(&self, contracts: &Path, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
        command
            .args(["provision", "-o", "json", "--url", &self.url(), "--contracts"])
            .arg(contracts)
            .args(more);
        command.output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The file that the Job is given.
fn contracts(directory: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("keda/base/provision.yaml")).unwrap();
    let objects: Vec<Value> = serde_yaml::from_multiple(&page).unwrap();
    let map = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    let path = directory.join("contracts.json");
    std::fs::write(&path, map["data"]["contracts.json"].as_str().unwrap()).unwrap();
    path
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn ask(client: &Client, subject: String, body: &Value) -> Value {
    let answer = client.request(subject, body.to_string().into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

#[tokio::test]
async fn what_is_missing_is_made_once() {
    let server = Server::start().await;
    let contracts = contracts(server.directory.path());

    let check = server.provision(&contracts, &["--check"]);
    assert_eq!(check.status.code(), Some(1), "{}", said(&check));
    assert!(said(&check).contains("consumer payment on RETRY is missing"), "{}", said(&check));

    let first = server.provision(&contracts, &[]);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    let made: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert!(made["created"].as_array().unwrap().contains(&json!("consumer payment on RETRY")), "{made}");

    assert_eq!(server.provision(&contracts, &["--check"]).status.code(), Some(0));
    let again: Value = serde_json::from_slice(&server.provision(&contracts, &[]).stdout).unwrap();
    assert_eq!((&again["created"], &again["extended"]), (&json!([]), &json!([])));
    assert_eq!(again["unchanged"].as_array().unwrap().len(), made["created"].as_array().unwrap().len());
}

#[tokio::test]
async fn what_is_incompatible_is_refused_with_the_difference_and_nothing_is_changed() {
    let server = Server::start().await;
    let contracts = contracts(server.directory.path());
    assert!(server.provision(&contracts, &[]).status.success());
    let client = server.client().await;
    let mut config = ask(&client, "$JS.API.STREAM.INFO.EVENTS".into(), &json!({})).await["config"].clone();
    config["discard"] = json!("old");
    let updated = ask(&client, "$JS.API.STREAM.UPDATE.EVENTS".into(), &config).await;
    assert!(updated["error"].is_null(), "{updated}");
    // Missing too, and in front of nothing that differs: it would be made, were anything made.
    ask(&client, "$JS.API.CONSUMER.DELETE.EVENTS.order".into(), &json!({})).await;

    let refused = server.provision(&contracts, &[]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    let line = "stream EVENTS: discard: there is \"old\", needed is \"new\"";
    assert!(said(&refused).contains(line), "{}", said(&refused));
    let order = ask(&client, "$JS.API.CONSUMER.INFO.EVENTS.order".into(), &json!({})).await;
    assert_eq!(order["error"]["err_code"], json!(10014), "{order}");
}

#[tokio::test]
async fn types_of_new_contracts_are_added_to_the_streams_that_are_there() {
    let server = Server::start().await;
    let path = contracts(server.directory.path());
    let mut before: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    before["functions"].as_array_mut().unwrap().retain(|function| function["name"] == "inventory");
    let few = server.directory.path().join("few.json");
    std::fs::write(&few, before.to_string()).unwrap();
    assert!(server.provision(&few, &[]).status.success());

    let output = server.provision(&path, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["extended"], json!(["stream EVENTS", "stream INTAKE"]));
}

#[tokio::test]
async fn a_broker_that_starts_later_is_waited_for_and_not_for_ever() {
    let mut server = Server::not_yet().await;
    let contracts = contracts(server.directory.path());
    let alone = server.provision(&contracts, &["--wait", "1s"]);
    assert_eq!(alone.status.code(), Some(69), "{}", said(&alone));

    let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
    command.args(["provision", "--wait", "60s", "--url", &server.url(), "--contracts"]).arg(&contracts);
    let mut waiting = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // It says that it waits, or it would not be known whether it came too late to wait.
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(waiting.stderr.take().unwrap()), &mut first)
        .unwrap();
    assert!(first.contains("not there yet"), "{first}");
    server.run();
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_file_that_is_none_is_told_before_anything_is_asked() {
    let server = Server::not_yet().await;
    let file = server.directory.path().join("contracts.json");
    assert_eq!(server.provision(&file, &[]).status.code(), Some(66));
    std::fs::write(&file, r#"{"functions": []}"#).unwrap();
    let wrong = server.provision(&file, &[]);
    assert_eq!(wrong.status.code(), Some(78));
    assert!(said(&wrong).contains("missing field `streams`"), "{}", said(&wrong));
}
