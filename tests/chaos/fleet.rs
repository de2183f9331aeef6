//! The application with several processes of each function, and a network between them that can fail.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jetlag::jetstream::{Connection, Operator};
use jetlag_cli::app::{self, App, Build, Running, process_name};
use jetlag_cli::console::Console;
use jetlag_cli::supervisor::{Entry, Phase, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{built, until};
use world::proxy::{Proxy, Weather};

use crate::customers::Counter;
use crate::fault::{FUNCTIONS, replicas_of};

/// How long a charge may take before payment gives up; short, so that late answers need not be very late.
const PAYMENT_TIMEOUT_MS: u64 = 3_000;
/// How often it is looked at.
pub const GLANCE: Duration = Duration::from_millis(25);
/// How long an answer of the broker or of a companion may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How an application is started for a test.
#[derive(Debug, Clone)]
pub struct Setup {
    pub data: PathBuf,
    pub replicas: u16,
    pub sync_always: bool,
    pub console: Console,
}

/// An application that runs.
pub struct Fleet {
    pub running: Running,
    pub operator: Operator,
    pub replicas: u16,
    pub http: reqwest::Client,
    nats: async_nats::Client,
    /// Between each process and the broker.
    to_broker: BTreeMap<String, Proxy>,
    /// Between each process of payment and the gateway, of notification and the receiver.
    to_outside: BTreeMap<String, Proxy>,
}

impl Fleet {
    pub async fn start(setup: Setup) -> Self {
        let mut options = app::Options::new(&setup.data);
        options.port_base = 0;
        options.nats_port = Some(0);
        options.console = setup.console;
        built();
        options.build = Build::Beside;
        options.replicas = setup.replicas;
        for function in FUNCTIONS {
            options.replicas_of.insert(function.to_owned(), replicas_of(function, setup.replicas));
        }
        options.sync_always = setup.sync_always;
        let (mut to_broker, mut to_outside) = (BTreeMap::new(), BTreeMap::new());
        for (function, replica) in
            FUNCTIONS.iter().flat_map(|name| (1..=replicas_of(name, setup.replicas)).map(move |n| (name, n)))
        {
            let name = process_name(function, replica);
            let proxy = Proxy::open().await.unwrap();
            let mut env = BTreeMap::from([("NATS_URL".to_owned(), format!("nats://{}", proxy.address()))]);
            to_broker.insert(name.clone(), proxy);
            if let Some((variable, path)) = outside(function) {
                let proxy = Proxy::open().await.unwrap();
                env.insert(variable.to_owned(), format!("http://{}{path}", proxy.address()));
                to_outside.insert(name.clone(), proxy);
            }
            if *function == "payment" {
                env.insert("PAYMENT_GATEWAY_TIMEOUT_MS".to_owned(), PAYMENT_TIMEOUT_MS.to_string());
            }
            options.env_of.insert(name, env);
        }
        // The functions are started last, and by then it is known where broker and companions are.
        let running = tokio::select! {
            running = App::start(options) => running.unwrap_or_else(|problem| panic!("{}", problem.render())),
            never = lead(&setup.data, &to_broker, &to_outside) => never,
        };
        let url = running.broker_url().unwrap();
        let operator = Operator::connect(&Connection::to(url.clone())).await.unwrap();
        let nats =
            async_nats::ConnectOptions::new().request_timeout(Some(ANSWER_LIMIT)).connect(url).await.unwrap();
        // A client without TLS roots: everything is on this machine.
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { running, operator, replicas: setup.replicas, http, nats, to_broker, to_outside }
    }

    /// The names of the processes of `function`.
    pub fn processes_of(&self, function: &str) -> Vec<String> {
        (1..=replicas_of(function, self.replicas)).map(|replica| process_name(function, replica)).collect()
    }

    /// The network between `process` and the broker.
    pub fn to_broker(&self, process: &str) -> &Proxy {
        &self.to_broker[process]
    }

    /// The network between `process` and the gateway or the receiver.
    pub fn to_outside(&self, process: &str) -> &Proxy {
        &self.to_outside[process]
    }

    /// How many answers of gateway and receiver were lost on their way.
    pub fn answers_lost(&self) -> u64 {
        self.to_outside.values().map(Proxy::lost).sum()
    }

    /// Where orders are taken.
    pub fn counter(&self) -> Counter {
        let doors = self.processes_of("order").iter().filter_map(|name| self.running.url(name)).collect();
        Counter { http: self.http.clone(), operator: self.operator.clone(), doors }
    }

    /// Sends `signal` to a process and returns its pid; `None` if it does not run just now.
    pub fn signal(&self, process: &str, signal: Signal) -> Option<u32> {
        let pid = self.running.pid(process)?;
        send(pid, signal);
        Some(pid)
    }

    /// Lets a stopped process go on, if it is still the same.
    pub fn resume(&self, process: &str, pid: u32) {
        if self.running.pid(process) == Some(pid) {
            send(pid, Signal::CONT);
        }
    }

    /// Turns the switches of the gateway or the receiver, again and again until they are turned.
    pub async fn control(&self, companion: &str, switches: Value) {
        until(&format!("control over {companion}"), async || {
            let url = format!("{}/control", self.running.companion(companion)?);
            let answer = self.http.put(url).json(&switches).timeout(ANSWER_LIMIT).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Asks the broker's JetStream API, again and again until it answers.
    pub async fn ask(&self, subject: &str, request: &Value) -> Value {
        until(&format!("answer to {subject}"), async || {
            let answer =
                self.nats.request(format!("$JS.API.{subject}"), request.to_string().into()).await.ok()?;
            let answer: Value = serde_json::from_slice(&answer.payload).ok()?;
            answer.get("error").is_none().then_some(answer)
        })
        .await
    }

    /// Gives the stream of dead letters other subjects than those that are published to, or its own again.
    pub async fn dead_letters_are_taken(&self, taken: bool) {
        let mut config = self.ask("STREAM.INFO.DLQ", &json!({})).await["config"].take();
        config["subjects"] = json!([if taken { "dlq.*.*" } else { "nowhere.dlq" }]);
        self.ask("STREAM.UPDATE.DLQ", &config).await;
    }

    /// Makes everything work that was made to fail, and waits until every process does.
    pub async fn heal(&self) {
        for proxy in self.to_broker.values().chain(self.to_outside.values()) {
            proxy.set(Weather::Clear);
        }
        for entry in self.running.status().processes {
            if let Some(pid) = entry.pid {
                send(pid, Signal::CONT);
            }
        }
        self.control("gateway", json!({"outage": false, "latency_ms": 0, "fail_next": 0, "hang": false}))
            .await;
        self.control("receiver", json!({"outage": false, "latency_ms": 0})).await;
        self.dead_letters_are_taken(true).await;
        for process in self.running.status().processes {
            self.up(&process.name, None).await;
        }
    }

    /// Waits until a process is up, and is another one than `old`.
    pub async fn up(&self, process: &str, old: Option<u32>) -> Entry {
        until(&format!("{process} that is up"), async || {
            let entry = self.running.entry(process)?;
            (entry.phase == Phase::Up && entry.pid != old).then_some(entry)
        })
        .await
    }

    /// How often processes were started again.
    pub fn restarts(&self) -> u32 {
        self.running.status().processes.iter().map(|entry| entry.restarts).sum()
    }
}

/// What a function needs besides the broker: the variable, and the path that belongs to it.
fn outside(function: &str) -> Option<(&'static str, &'static str)> {
    match function {
        "payment" => Some(("PAYMENT_GATEWAY_URL", "")),
        "notification" => Some(("NOTIFY_URL", "/notify")),
        _ => None,
    }
}

/// Leads every proxy to where it should, as soon as that is known, and goes on doing so.
async fn lead<T>(
    data: &Path,
    to_broker: &BTreeMap<String, Proxy>,
    to_outside: &BTreeMap<String, Proxy>,
) -> T {
    loop {
        let status = app::status(data).filter(Status::is_current);
        if let Some(status) = status {
            let companion =
                |name: &str| status.processes.iter().find(|entry| entry.name == name)?.url.clone();
            let broker = address(status.broker_url.clone());
            to_broker.values().for_each(|proxy| broker.into_iter().for_each(|at| proxy.leads_to(at)));
            for (process, proxy) in to_outside {
                let name = if process.starts_with("payment") { "gateway" } else { "receiver" };
                address(companion(name)).into_iter().for_each(|at| proxy.leads_to(at));
            }
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn address(url: Option<String>) -> Option<SocketAddr> {
    url?.split_once("://")?.1.parse().ok()
}

pub fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    // It may have ended meanwhile.
    let _ = kill_process(pid, signal);
}
