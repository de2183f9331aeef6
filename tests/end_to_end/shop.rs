//! A shop of a test's own, and how to wait for what happens in it.

use std::path::Path;
use std::time::Duration;

use jetlag::jetstream::{Connection, Operator, ReadMessage};
use jetlag::topology::EVENTS;
use jetlag_cli::app::Build;
use jetlag_cli::console::Console;
use jetlag_cli::demo::{Options, Shop};
use jetlag_cli::status::{Look, Snapshot};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::{built, until};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Two tests of this file at a time: each has nine processes, and waits most of the time.
static TURN: Semaphore = Semaphore::const_new(2);

/// A shop in a directory of its own, and a look into its broker.
pub struct Opened {
    pub shop: Shop,
    pub operator: Operator,
    pub client: reqwest::Client,
    data: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Opened {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A shop whose functions have these variables in their environment.
    pub async fn with(env: &[(&str, &str)]) -> Self {
        Self::open(env, jetlag::topology::Sizing::default().horizon).await
    }

    /// One that keeps events for `horizon`.
    pub async fn keeping(horizon: Duration, env: &[(&str, &str)]) -> Self {
        Self::open(env, horizon).await
    }

    async fn open(env: &[(&str, &str)], horizon: Duration) -> Self {
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self::as_told(|options| {
            options.app.horizon = horizon;
            options.app.env = env;
        })
        .await
    }

    /// One that is started otherwise.
    pub async fn as_told(tell: impl FnOnce(&mut Options)) -> Self {
        let turn = TURN.acquire().await.unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut options = Options::new(data.path());
        options.app.port_base = 0;
        options.app.nats_port = Some(0);
        options.app.console = Console::silent();
        built();
        options.app.build = Build::Beside;
        tell(&mut options);
        let shop = Shop::open(options).await.unwrap_or_else(|problem| panic!("{problem:?}"));
        let operator =
            Operator::connect(&Connection::to(shop.running().broker_url().unwrap())).await.unwrap();
        // A client without TLS roots: everything is on this machine.
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { shop, operator, client, data, _turn: turn }
    }

    /// Where it keeps everything.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Posts `body` to a function, as JSON.
    pub async fn post(&self, path: &str, body: impl Into<String>) -> (u16, serde_json::Value) {
        self.post_with(path, body, &[]).await
    }

    pub async fn post_with(
        &self,
        path: &str,
        body: impl Into<String>,
        headers: &[(&str, &str)],
    ) -> (u16, serde_json::Value) {
        let url = format!("{}{path}", self.shop.running().url("order").unwrap());
        let mut request = self.client.post(url).header("content-type", "application/json").body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// What `GET /orders/{id}` tells of the order; `id` as a path has it.
    pub async fn order(&self, id: &str) -> (u16, serde_json::Value) {
        let url = format!("{}/orders/{id}", self.shop.running().url("order").unwrap());
        let answer = self.client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// What `jetlag status` tells.
    pub async fn status(&self) -> Snapshot {
        let data = Some(self.data.path().to_owned());
        Look::at(self.operator.clone(), String::new(), data, String::new()).snapshot().await.unwrap()
    }

    pub async fn events(&self, filter: &str) -> Vec<ReadMessage> {
        self.operator.read(EVENTS, filter, 1).await.unwrap()
    }

    /// Waits until an event is there whose subject matches `filter`.
    pub async fn event(&self, filter: &str) -> ReadMessage {
        until(&format!("an event on {filter}"), async || self.events(filter).await.into_iter().next()).await
    }

    /// Sends `signal` to the process `name`.
    pub fn signal(&self, name: &str, signal: Signal) {
        let pid = self.shop.running().pid(name).unwrap_or_else(|| panic!("{name} does not run"));
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }
}
