//! `up --scale` with the real application: from no process to many and back, while a thousand orders are charged by a slow
//! gateway.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use jetlag_cli::books::Books;
use jetlag_cli::demo::{self, Rest};
use jetlag_cli::orders::{self, Order};
use jetlag_cli::scaler::{Change, Options, Text, Told, What};
use jetlag_cli::supervisor::Kind;
use serde_json::{Value, json};
use tests::until;

use crate::shop::Opened;

/// Orders that are published.
const ORDERS: u32 = 1_000;
/// Different goods, one in each order: few orders at a time want the same.
const SKUS: u32 = 500;
/// How many are published at a time.
const CONCURRENCY: usize = 32;
/// Every so many of them cost more than a card may be charged.
const TOO_DEAR_EVERY: u32 = 25;
/// How long the gateway takes for one charge: as in the cluster run.
const GATEWAY_MS: u64 = 2_500;
/// A minute of KEDA's is over in two seconds.
const SPEED: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// The functions of the application.
const FUNCTIONS: [&str; 5] = ["audit", "inventory", "notification", "order", "payment"];

/// Everything that was told.
#[derive(Clone, Default)]
struct Changes(Arc<Mutex<Vec<Change>>>);

impl Changes {
    fn told(&self) -> Told {
        let changes = self.clone();
        Told::new(move |change| changes.0.lock().unwrap().push(change))
    }

    fn of(&self, function: &str) -> Vec<Change> {
        let changes = self.0.lock().unwrap();
        changes.iter().filter(|change| change.function == function).cloned().collect()
    }

    /// Every change of replicas of `function`: from how many to how many, and the lag that was read.
    fn steps(&self, function: &str) -> Vec<(u32, u32, u64)> {
        let step = |change: &Change| match change.what {
            What::Replicas { before, .. } => Some((before, change.replicas, change.lag_known())),
            What::Processes | What::Lag => None,
        };
        self.of(function).iter().filter_map(step).collect()
    }
}

/// A file of orders in the form of the shipped one.
fn orders_file(path: &Path) {
    let mut text =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n".to_owned();
    for number in 0..ORDERS {
        let (sku, quantity) = (85_000 + number % SKUS, if number % TOO_DEAR_EVERY == 0 { 800 } else { 2 });
        writeln!(text, "{},{sku},THING,{quantity},1/12/2010,2.55,17850,United Kingdom", 600_000 + number)
            .unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// The committed ScaledObjects: payment's with a lower threshold, and scaled down at once, so that processes are stopped that are in the middle of their
/// work; of the others at most two processes, for a machine with few cores. Audit has none here, and is scaled by its contract.
fn hasty(directory: &Path) -> PathBuf {
    let committed = |function: &str| {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keda/base");
        std::fs::read_to_string(base.join(format!("{function}.yaml"))).unwrap()
    };
    let replaced = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        text.replace(from, to)
    };
    for function in ["inventory", "notification", "order"] {
        let text = replaced(committed(function), "maxReplicaCount: 10", "maxReplicaCount: 2");
        std::fs::write(directory.join(format!("{function}.yaml")), text).unwrap();
    }
    let text =
        replaced(committed("payment"), "stabilizationWindowSeconds: 120", "stabilizationWindowSeconds: 0");
    let text = replaced(
        text,
        "value: 50\n            periodSeconds: 60",
        "value: 100\n            periodSeconds: 15",
    );
    // However slowly orders arrive, what the gateway holds is enough for several.
    let text = replaced(text, "lagThreshold: \"128\"", "lagThreshold: \"16\"");
    let text = replaced(text, "maxReplicaCount: 10", "maxReplicaCount: 6");
    std::fs::write(directory.join("payment.yaml"), text).unwrap();
    directory.to_owned()
}

/// Each process was asked to stop, and said that it had finished.
fn all_drained(logs: &Path, function: &str) -> usize {
    let mut drains = 0;
    for file in std::fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let number = name.strip_prefix(function).map(|rest| rest.trim_start_matches('-'));
        if number.is_none_or(|number| number.parse::<u32>().is_err() && !number.is_empty()) {
            continue;
        }
        let log = std::fs::read_to_string(&file).unwrap();
        let said = |what: &str| log.matches(&format!("\"msg\":\"{what}\"")).count();
        assert_eq!(said("draining"), said("drained"), "{name}: {log}");
        drains += said("drained");
    }
    drains
}

/// The application with a slow gateway, scaled by `by`, and what it was given.
struct Scene {
    opened: Opened,
    changes: Changes,
    accepted: BTreeSet<String>,
    began_after: u64,
    files: tempfile::TempDir,
}

impl Scene {
    /// Everything at zero, and the stock is there.
    async fn open(by: impl FnOnce(&Path) -> PathBuf, speed: NonZeroU32, sync: Duration) -> Self {
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("orders.csv");
        orders_file(&file);
        let changes = Changes::default();
        let scale = Options { by: vec![by(files.path())], speed, sync, ..Options::new(changes.told()) };
        let opened = Opened::as_told(|options| {
            options.orders = Some(file);
            options.app.scale = Some(scale);
        })
        .await;
        let gateway = format!("{}/control", opened.shop.running().companion("gateway").unwrap());
        let slow = opened.client.put(gateway).json(&json!({"latency_ms": GATEWAY_MS})).send().await.unwrap();
        assert!(slow.status().is_success());
        Self { opened, changes, accepted: BTreeSet::new(), began_after: 0, files }
    }

    /// The processes of functions that there are.
    fn functions(&self) -> Vec<(String, Option<u32>)> {
        let processes = self.opened.shop.running().status().processes.into_iter();
        processes.filter(|entry| entry.kind == Kind::Function).map(|entry| (entry.name, entry.pid)).collect()
    }

    /// Publishes the orders on INTAKE, and one more as a request.
    async fn order(&mut self) {
        let stocked = self.opened.shop.stock().await.unwrap();
        self.began_after = stocked.last_sequence;
        let request = r#"{"order_id":"REQUEST","customer_id":"C","amount":10,"currency":"GBP"}"#;
        assert_eq!(self.opened.post("/orders", request).await.0, 202, "whatever runs, requests are taken");
        let sheet = orders::read(&self.files.path().join("orders.csv")).unwrap();
        self.accepted = sheet.orders.iter().map(|order| order.order_id.clone()).collect();
        assert_eq!(self.accepted.len(), ORDERS as usize);
        self.accepted.insert("REQUEST".to_owned());
        let publish = async |order: Order| {
            let event = json!({
                "id": format!("event-{}", order.order_id), "type": "orders.placed", "aggregate_id": order.order_id,
                "data": order, "timestamp": "2026-11-22T00:00:00Z", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            });
            let (id, event) = (order.order_id, event.to_string());
            self.opened.operator.publish("orders.placed", &id, event.into()).await.unwrap();
        };
        futures::stream::iter(sheet.orders.into_iter().map(publish))
            .buffer_unordered(CONCURRENCY)
            .collect::<()>()
            .await;
    }

    /// Waits until all orders have ended and all functions are at zero.
    async fn all_ended(&self) {
        let topology = self.opened.shop.running().topology();
        let rest = demo::at_rest(&self.opened.operator, topology, &self.accepted, BTreeSet::new()).await;
        assert_eq!(rest, Rest::Reached);
        for function in FUNCTIONS {
            until(&format!("{function} at zero"), async || {
                self.changes.of(function).last().is_some_and(|last| last.processes() == 0).then_some(())
            })
            .await;
        }
    }

    async fn books(&self) -> Books {
        let Opened { shop, operator, client, .. } = &self.opened;
        let evidence =
            demo::gather(operator, shop.running(), client, self.accepted.clone(), self.began_after).await;
        Books::balance(&evidence.unwrap())
    }
}

#[tokio::test]
async fn a_thousand_orders_take_every_function_from_zero_to_several_and_back_and_none_is_lost_or_doubled() {
    let mut scene = Scene::open(hasty, SPEED, Options::new(Changes::default().told()).sync).await;
    let door = scene.functions();
    assert_eq!(door.len(), 1, "no function runs until there is lag: {door:?}");
    assert_eq!(door[0].0, "order-http");
    scene.order().await;
    scene.all_ended().await;
    let changes = &scene.changes;
    for function in FUNCTIONS {
        let steps = changes.steps(function);
        let first = steps.first().map(|(before, after, _)| (*before, *after));
        assert_eq!(first, Some((0, 1)), "{function}: KEDA starts one: {steps:?}");
        assert_eq!(steps.last().unwrap().2, 0, "{function}: the last goes when there is no lag: {steps:?}");
        let stopped: usize =
            steps.iter().map(|(before, after, _)| before.saturating_sub(*after) as usize).sum();
        assert_eq!(
            all_drained(&scene.opened.data().join("logs"), function),
            stopped,
            "{function}: {steps:?}"
        );
    }
    assert_eq!(scene.functions(), door, "and who takes requests is there all the time");
    let steps = changes.steps("payment");
    assert!(changes.of("payment").iter().any(|change| change.ready >= 3), "several at a time: {steps:?}");
    // With how much left to do depends on the machine; drains under load are the chaos runs' matter.
    let is_fewer = |(before, after, _): &(u32, u32, u64)| *after < *before && *after > 0;
    assert!(steps.iter().any(is_fewer), "some are stopped while others stay: {steps:?}");

    let books = scene.books().await;
    assert!(books.findings.is_empty(), "{:?}", books.findings);
    assert_eq!((books.orders.placed, books.orders.open), (u64::from(ORDERS) + 1, 0));
    assert!(books.declined > 0 && books.orders.confirmed > 700, "{:?}", books.orders);
    scene.opened.shop.close().await;
}

/// Its timeline stands beside that of the cluster run in docs/scaling.md.
#[tokio::test]
#[ignore = "takes a minute, and tells how long things took; .ci/run runs it"]
async fn the_load_of_the_cluster_run_by_the_objects_of_the_cluster_run() {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keda/recordings/thousand-orders.json");
    let recording: Value = serde_json::from_slice(&std::fs::read(recording).unwrap()).unwrap();
    let objects = |directory: &Path| {
        let object = |(name, spec): (&String, &Value)| json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name}, "spec": spec});
        let objects: Vec<Value> =
            recording["scaled_objects"].as_object().unwrap().iter().map(object).collect();
        let path = directory.join("objects.yaml");
        std::fs::write(&path, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string())
            .unwrap();
        path
    };
    let mut scene = Scene::open(objects, NonZeroU32::MIN, Duration::from_secs(5)).await;
    scene.order().await;
    scene.all_ended().await;
    let mut text = Text::default();
    for change in scene.changes.0.lock().unwrap().iter() {
        if change.what == What::Processes {
            println!("{:>7} ms  {} ready {}", change.at_ms, change.function, change.ready);
        }
        if let Some(line) = text.line(change) {
            println!("{line}");
        }
    }
    assert!(scene.books().await.findings.is_empty());
    scene.opened.shop.close().await;
}
