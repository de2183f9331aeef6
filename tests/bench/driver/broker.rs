//! A nats-server for one run, and what is asked of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::PublishAckFuture;
use jetlag::Description;
use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::{Sizing, Topology};
use serde::Deserialize;
use serde_json::{Value, json};
use tests::{PATIENCE, free_port, until};

use crate::http;
use crate::process::Process;
use crate::scenarios::Scenario;
use crate::sides::{Side, TYPES};

/// How long the broker remembers the peers' message ids: its own default.
const WINDOW: Duration = Duration::from_secs(120);

/// How often it is looked whether anything is left.
const GLANCE: Duration = Duration::from_millis(10);
/// How many events of old orders are on their way at a time.
const FILL_WINDOW: usize = 1_000;

/// How long an answer of the broker may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

pub struct Broker {
    pub process: Process,
    pub url: String,
    pub client: Client,
    /// Where its figures are.
    monitor: String,
    /// Where its profiler is.
    pub profiler: String,
}

/// How many messages it was sent and has sent, in all.
#[derive(Clone, Copy, Deserialize)]
pub struct Messages {
    pub in_msgs: u64,
    pub out_msgs: u64,
}

impl Broker {
    /// A server with an empty store in `directory`; `sync_interval` is the default of two minutes, or `always`.
    pub async fn start(binary: &Path, directory: &Path, sync_always: bool) -> Self {
        let (port, name) = (free_port(), format!("bench-{}", std::process::id()));
        let mut store = json!({"store_dir": directory.join("store")});
        if sync_always {
            store["sync_interval"] = "always".into();
        }
        let (monitor, profiler) = (format!("127.0.0.1:{}", free_port()), free_port());
        let settings = json!({
            "server_name": name, "host": "127.0.0.1", "port": port, "http": monitor, "prof_port": profiler, "jetstream": store,
        });
        let file = directory.join("nats.conf");
        std::fs::write(&file, settings.to_string()).expect("the broker's configuration");
        let arguments = ["-c".to_owned(), file.display().to_string()];
        let process = Process::start("broker", binary, &arguments, &BTreeMap::new(), directory);
        let url = format!("nats://127.0.0.1:{port}");
        let client = until("broker that answers", async || {
            let options = async_nats::ConnectOptions::new().request_timeout(Some(ANSWER_LIMIT));
            options.connect(&url).await.ok()
        })
        .await;
        assert_eq!(client.server_info().server_name, name, "port {port} was taken by another server");
        Self { process, url, client, monitor, profiler: format!("127.0.0.1:{profiler}") }
    }

    /// Asks the broker's JetStream API.
    pub async fn ask(&self, subject: &str, request: &Value) -> Result<Value, String> {
        let answer = self.client.request(format!("$JS.API.{subject}"), request.to_string().into()).await;
        let answer = answer.map_err(|error| format!("{subject}: {error}"))?;
        let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
        match answer.get("error") {
            None => Ok(answer),
            Some(error) => Err(format!("{subject}: {error}")),
        }
    }

    /// How many messages it has had and sent so far.
    pub async fn messages(&self) -> Messages {
        serde_json::from_slice(&http::ask(&self.monitor, "GET", "/varz", "").await).expect("figures")
    }

    /// Makes the peers' streams.
    pub async fn make_streams(&self) {
        let make = async |name: &str, subjects: Vec<&str>| {
            let config = json!({
                "name": name, "subjects": subjects, "storage": "file", "retention": "limits", "num_replicas": 1,
                "duplicate_window": WINDOW.as_nanos() as u64,
            });
            self.ask(&format!("STREAM.CREATE.{name}"), &config).await.expect("a stream");
        };
        make("EVENTS", TYPES.to_vec()).await;
        make("DLQ", vec!["dlq.>"]).await;
    }

    /// Makes Jetlag's streams and consumers.
    pub async fn provision(&self, contracts: &[Description]) {
        let operator = Operator::connect(&Connection::to(self.url.clone())).await.expect("a broker");
        let topology = Topology::of(contracts, &Sizing::default());
        operator.provision(&topology).await.expect("streams and consumers");
    }

    /// The consumers of a stream; none if there is no stream.
    pub async fn consumers(&self, stream: &str) -> Vec<Value> {
        let list = self.ask(&format!("CONSUMER.LIST.{stream}"), &json!({})).await;
        list.ok().and_then(|list| list["consumers"].as_array().cloned()).unwrap_or_default()
    }

    /// Waits until somebody takes what every consumer of a side has.
    pub async fn wait_for_consumers(&self, side: &Side) {
        until("consumer of each service", async || {
            for (stream, count) in side.streams {
                let consumers = self.consumers(stream).await;
                let is_taken = |one: &&Value| {
                    one["push_bound"] == true || one["num_waiting"].as_u64().is_some_and(|asking| asking > 0)
                };
                if consumers.iter().filter(is_taken).count() < *count {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Waits until no consumer of these streams has anything left, twice in a row: an event may move from one that was not
    /// looked at yet to one that was. Gives whether that was so within `limit`.
    pub async fn wait_until_nothing_is_left(
        &self,
        streams: impl Iterator<Item = &str>,
        limit: Duration,
    ) -> bool {
        let streams: Vec<&str> = streams.collect();
        let waiting = async {
            let mut nothings = 0;
            while nothings < 2 {
                tokio::time::sleep(GLANCE).await;
                let mut left = 0;
                for stream in &streams {
                    left += self.left(stream).await.unwrap_or(1);
                }
                nothings = if left == 0 { nothings + 1 } else { 0 };
            }
        };
        tokio::time::timeout(limit, waiting).await.is_ok()
    }

    /// What is left in a stream: not delivered, not answered for, not copied from another stream yet.
    async fn left(&self, stream: &str) -> Option<u64> {
        let mut left = 0;
        for consumer in self.consumers(stream).await {
            left += consumer["num_pending"].as_u64()? + consumer["num_ack_pending"].as_u64()?;
        }
        let info = self.ask(&format!("STREAM.INFO.{stream}"), &json!({})).await.ok()?;
        for source in info["sources"].as_array().into_iter().flatten() {
            left += source["lag"].as_u64()?;
        }
        Some(left)
    }

    /// Stores an event of so many other aggregates, whose orders ended long ago. Nobody but an audit listens to them.
    pub async fn fill(&self, side: &Side, aggregates: usize) {
        let context = async_nats::jetstream::new(self.client.clone());
        let mut answers = std::collections::VecDeque::with_capacity(FILL_WINDOW);
        for number in 0..aggregates {
            if answers.len() == FILL_WINDOW
                && let Some(oldest) = answers.pop_front()
            {
                stored(oldest).await;
            }
            let (order, event) = (format!("old-{number:08}"), format!("old-{number:08}-sent"));
            let body = json!({
                "id": event, "type": "notifications.sent", "aggregate_id": order,
                "data": {"order_id": order, "customer_id": "customer-1", "amount": 10, "lines": []},
                "timestamp": "2026-01-01T00:00:00Z", "trace_id": "4bf92f3577b34da6a3ce000000000000",
            });
            let subject = match side.is_jetlag() {
                true => format!("notifications.sent.{order}.{event}"),
                false => "notifications.sent".to_owned(),
            };
            let sent = context.publish(subject, body.to_string().into()).await.expect("a connection");
            answers.push_back(sent);
        }
        for answer in answers {
            stored(answer).await;
        }
    }

    /// Waits until the broker has noticed that the process of a service is gone.
    pub async fn wait_until_nobody_asks(&self, service: &str) {
        until("end of its requests", async || {
            let consumers = self.consumers("EVENTS").await;
            let own = |one: &&Value| one["name"].as_str().is_some_and(|name| name.starts_with(service));
            consumers.iter().filter(own).all(|one| one["num_waiting"] == 0).then_some(())
        })
        .await;
    }

    /// Fills the shop's stock, so that nothing runs out.
    pub async fn fill_stock(&self, side: &Side, scenario: &Scenario) {
        let context = async_nats::jetstream::new(self.client.clone());
        for sku in 0..scenario.skus {
            let sku = format!("SKU-{sku:05}");
            let event = json!({
                "id": format!("stock-{sku}"), "type": "stock.received", "aggregate_id": sku,
                "data": {"sku": sku, "quantity": 1_000_000}, "timestamp": "2026-01-01T00:00:00Z",
                "trace_id": "4bf92f3577b34da6a3ce000000000000",
            });
            let stored = context.publish("stock.received", event.to_string().into()).await;
            stored.expect("a connection").await.expect("a delivery of stock is stored");
        }
        let is_filled = self.wait_until_nothing_is_left(side.streams(), PATIENCE).await;
        assert!(is_filled, "no end of the deliveries of stock within {PATIENCE:?}");
    }
}

async fn stored(answer: PublishAckFuture) {
    answer.await.expect("an event of an old order is stored");
}
