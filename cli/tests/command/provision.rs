//! `jetlag provision` with a real broker, and the contracts that are committed for the cluster.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use async_nats::Client;
use jetlag::Description;
use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::{Sizing, Topology};
use serde_json::{Value, json};
use tests::{Server, free_port};

/// A directory, and the port where a nats-server is or will be.
struct Place {
    directory: tempfile::TempDir,
    port: u16,
    server: Option<Server>,
}

impl Place {
    fn without_server() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), port: free_port(), server: None }
    }

    async fn with_server() -> Self {
        let mut place = Self::without_server();
        place.start().await;
        place
    }

    async fn start(&mut self) {
        self.server = Some(Server::start_at(self.port, self.directory.path(), "", &[]).await);
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
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
    let place = Place::with_server().await;
    let contracts = contracts(place.directory.path());

    let check = place.provision(&contracts, &["--check"]);
    assert_eq!(check.status.code(), Some(1), "{}", said(&check));
    assert!(said(&check).contains("consumer payment on RETRY is missing"), "{}", said(&check));

    let first = place.provision(&contracts, &[]);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    let made: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert!(made["created"].as_array().unwrap().contains(&json!("consumer payment on RETRY")), "{made}");

    assert_eq!(place.provision(&contracts, &["--check"]).status.code(), Some(0));
    let again: Value = serde_json::from_slice(&place.provision(&contracts, &[]).stdout).unwrap();
    assert_eq!((&again["created"], &again["extended"]), (&json!([]), &json!([])));
    assert_eq!(again["unchanged"].as_array().unwrap().len(), made["created"].as_array().unwrap().len());
}

#[tokio::test]
async fn what_is_incompatible_is_refused_with_the_difference_and_nothing_is_changed() {
    let place = Place::with_server().await;
    let contracts = contracts(place.directory.path());
    assert!(place.provision(&contracts, &[]).status.success());
    let client = async_nats::connect(place.url()).await.unwrap();
    let mut config = ask(&client, "$JS.API.STREAM.INFO.EVENTS".into(), &json!({})).await["config"].clone();
    config["discard"] = json!("old");
    let updated = ask(&client, "$JS.API.STREAM.UPDATE.EVENTS".into(), &config).await;
    assert!(updated["error"].is_null(), "{updated}");
    // Missing too, and in front of nothing that differs: it would be made, were anything made.
    ask(&client, "$JS.API.CONSUMER.DELETE.EVENTS.order".into(), &json!({})).await;

    let refused = place.provision(&contracts, &[]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    let line = "stream EVENTS: discard: there is \"old\", needed is \"new\"";
    assert!(said(&refused).contains(line), "{}", said(&refused));
    let order = ask(&client, "$JS.API.CONSUMER.INFO.EVENTS.order".into(), &json!({})).await;
    assert_eq!(order["error"]["err_code"], json!(10014), "{order}");
}

#[tokio::test]
async fn types_of_new_contracts_are_added_to_the_streams_that_are_there() {
    let place = Place::with_server().await;
    let path = contracts(place.directory.path());
    let mut before: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    before["functions"].as_array_mut().unwrap().retain(|function| function["name"] == "inventory");
    let few = place.directory.path().join("few.json");
    std::fs::write(&few, before.to_string()).unwrap();
    assert!(place.provision(&few, &[]).status.success());

    let output = place.provision(&path, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["extended"], json!(["stream EVENTS", "stream INTAKE"]));
}

#[tokio::test]
async fn functions_that_start_in_the_same_moment_take_no_types_from_each_other() {
    const FUNCTIONS: usize = 12;
    let place = Place::with_server().await;
    let path = contracts(place.directory.path());
    let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let inventory = file["functions"].as_array().unwrap().iter().find(|one| one["name"] == "inventory");
    let starting = (0..FUNCTIONS).map(|number| {
        let mut one = inventory.unwrap().clone();
        one["name"] = json!(format!("maker-{number}"));
        one["admits"] = json!([]);
        one["emits"][0]["type"] = json!(format!("made.by-{number}"));
        let function: Description = serde_json::from_value(one).unwrap();
        let url = place.url();
        async move {
            let operator = Operator::connect(&Connection::to(url)).await.unwrap();
            operator.provision(&Topology::of(&[function], &Sizing::default())).await.unwrap();
        }
    });
    futures::future::join_all(starting).await;
    let client = async_nats::connect(place.url()).await.unwrap();
    let found = ask(&client, "$JS.API.STREAM.INFO.EVENTS".into(), &json!({})).await;
    let subjects = found["config"]["subjects"].as_array().unwrap();
    let lost = (0..FUNCTIONS).find(|number| !subjects.contains(&json!(format!("made.by-{number}.*.*"))));
    assert_eq!(lost, None, "{subjects:?}");
}

#[tokio::test]
async fn the_size_of_what_is_there_is_left_and_told() {
    let place = Place::with_server().await;
    let path = contracts(place.directory.path());
    assert!(place.provision(&path, &[]).status.success());
    let longer =
        std::fs::read_to_string(&path).unwrap().replace("\"horizon\": \"1d\"", "\"horizon\": \"2d\"");
    std::fs::write(&path, longer).unwrap();

    let output = place.provision(&path, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    let field = "  max_age: there is 86400000000000, needed is 172800000000000";
    assert_eq!(done["kept"], json!([{"what": "stream EVENTS", "fields": [field]}]));
    assert_eq!(done["created"], json!([]));
}

#[tokio::test]
async fn a_broker_that_starts_later_is_waited_for_and_not_for_ever() {
    let mut place = Place::without_server();
    let contracts = contracts(place.directory.path());
    let alone = place.provision(&contracts, &["--wait", "1s"]);
    assert_eq!(alone.status.code(), Some(69), "{}", said(&alone));

    let mut command = Command::new(env!("CARGO_BIN_EXE_jetlag"));
    command.args(["provision", "--wait", "60s", "--url", &place.url(), "--contracts"]).arg(&contracts);
    let mut waiting = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // It says that it waits, or it would not be known whether it came too late to wait.
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(waiting.stderr.take().unwrap()), &mut first)
        .unwrap();
    assert!(first.contains("not there yet"), "{first}");
    place.start().await;
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_file_that_is_none_is_told_before_anything_is_asked() {
    let place = Place::without_server();
    let file = place.directory.path().join("contracts.json");
    assert_eq!(place.provision(&file, &[]).status.code(), Some(66));
    std::fs::write(&file, r#"{"functions": []}"#).unwrap();
    let wrong = place.provision(&file, &[]);
    assert_eq!(wrong.status.code(), Some(78));
    assert!(said(&wrong).contains("missing field `streams`"), "{}", said(&wrong));
}
