//! One run: a broker with an empty store, one side's processes, one scenario's orders.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jetlag::Description;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tests::{PATIENCE, free_port, until};
use tokio::process::Command;

use crate::broker::Broker;
use crate::http;
use crate::machine::{Busy, cpu_s, load, memory_mib, waits};
use crate::process::Process;
use crate::record::Recording;
use crate::scenarios::{Pace, Scenario, Watched};
use crate::sides::{Built, Program, SERVICES, Service, Side, TYPES};
use crate::verdict;

/// How many inputs a service handles at a time, and how many may be unanswered: the same for all peers.
const CONCURRENCY: usize = 64;
const ACK_PENDING_MAX: usize = 1_000;
/// Orders that are placed before it counts.
const WARM_UP: usize = 500;
/// How long processes are left alone before their memory is read.
const SETTLE: Duration = Duration::from_millis(1_500);
/// How long they are left alone while it is seen what they do then.
const IDLE: Duration = Duration::from_secs(5);
/// How long a new process may take to its first event.
const START_LIMIT: Duration = Duration::from_secs(15);

/// What one run has shown.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    pub scenario: String,
    pub side: String,
    pub round: usize,
    pub orders: usize,
    /// What is wrong; the figures count only if nothing is.
    pub faults: Vec<String>,
    pub orders_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    /// From exec to the first event.
    pub start_ms: Vec<f64>,
    /// Processor time for each 1,000 orders.
    pub functions_cpu_s: f64,
    pub broker_cpu_s: f64,
    pub generator_cpu_s: f64,
    /// The gateway and the receiver.
    pub companions_cpu_s: f64,
    pub cpu_s_by_process: BTreeMap<String, f64>,
    /// How often a thread of a function, and of the broker, waited for something, for each order.
    pub functions_waits: f64,
    pub broker_waits: f64,
    /// How many messages the broker was sent, and has sent, for each order, the generator's own among them.
    pub messages_in: f64,
    pub messages_out: f64,
    /// What the five functions together, and the broker, take of one core while nothing happens, in percent.
    pub idle_cpu_pct: f64,
    pub broker_idle_cpu_pct: f64,
    /// The mean of the five.
    pub idle_mib: f64,
    pub peak_mib: f64,
    pub broker_peak_mib: f64,
    /// The load average before.
    pub load: f64,
    /// How busy the machine was meanwhile, and how much of that was none of this, in percent.
    pub busy_pct: f64,
    pub others_pct: f64,
}

/// What the generator says.
#[derive(Deserialize)]
struct Generated {
    drained_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    confirmed: usize,
    foreign: usize,
    left: u64,
}

/// What stays the same over a run.
struct Setting<'s> {
    side: &'s Side,
    scenario: &'s Scenario,
    built: &'s Built,
    directory: &'s Path,
    broker: Broker,
    companions: Vec<Process>,
    env: BTreeMap<&'s str, String>,
}

/// How a run is made.
#[derive(Clone, Copy)]
pub struct Manner<'m> {
    /// How long its orders may take.
    pub limit: Duration,
    /// Where it is recorded, which costs time.
    pub recorded: Option<&'m Path>,
    /// What the functions on Jetlag are told besides, whatever the scenario says.
    pub variables: &'m [(String, String)],
}

/// How many orders are placed, and how many a second; as fast as they can be, if that is not said.
#[derive(Clone, Copy)]
pub struct Load {
    pub orders: usize,
    pub rate: Option<u32>,
}

/// Runs `scenario` with so many orders on `side`; its logs and streams are in `directory`.
pub async fn run(
    side: &Side,
    scenario: &Scenario,
    built: &Built,
    directory: &Path,
    Load { orders, rate }: Load,
    Manner { limit, recorded, variables }: Manner<'_>,
) -> Measured {
    let load = load();
    let mut setting = Setting::make(side, scenario, built, directory).await;
    if side.is_jetlag() {
        setting.env.extend(variables.iter().map(|(name, value)| (name.as_str(), value.clone())));
    }
    let mut processes = setting.start_all();
    let mut measured = Measured {
        scenario: scenario.name.to_owned(),
        side: side.name.to_owned(),
        orders,
        load,
        ..Measured::default()
    };
    setting.broker.wait_for_consumers(side).await;
    if scenario.aggregates > 0 {
        setting.broker.fill(side, scenario.aggregates * orders).await;
        let is_read = setting.broker.wait_until_nothing_is_left(side.streams(), limit).await;
        assert!(is_read, "the events of old orders are not read within {limit:?}");
    }
    tokio::time::sleep(SETTLE).await;
    let each = |of: fn(u32) -> f64, processes: &[Process]| -> Vec<f64> {
        processes.iter().map(|process| of(process.pid)).collect()
    };
    let idle = each(|pid| memory_mib(pid, "VmRSS"), &processes);
    measured.idle_mib = idle.iter().sum::<f64>() / idle.len() as f64;
    if scenario.watched == Watched::Start {
        let spent = |processes: &[Process]| each(cpu_s, processes).into_iter().sum::<f64>();
        let (functions, broker) = (spent(&processes), cpu_s(setting.broker.process.pid));
        tokio::time::sleep(IDLE).await;
        let percent = 100.0 / IDLE.as_secs_f64();
        measured.idle_cpu_pct = (spent(&processes) - functions) * percent;
        measured.broker_idle_cpu_pct = (cpu_s(setting.broker.process.pid) - broker) * percent;
    }
    if side.program == Program::Functions {
        setting.broker.fill_stock(side, scenario).await;
    }
    if scenario.watched == Watched::Start {
        setting.starts(&mut processes, &mut measured).await;
    } else {
        setting.generate("w", WARM_UP.min(orders), None, limit).await;
        let is_before = scenario.pace == Pace::Before;
        if is_before {
            stop(std::mem::take(&mut processes)).await;
            setting.place_all("m", orders, limit).await;
        }
        let begun = Instant::now();
        if is_before {
            processes = setting.start_all();
        }
        let pids: Vec<(String, u32)> = processes
            .iter()
            .chain(&setting.companions)
            .chain([&setting.broker.process])
            .map(|process| (process.name.clone(), process.pid))
            .collect();
        let before: Vec<(f64, f64)> = pids.iter().map(|(_, pid)| (cpu_s(*pid), waits(*pid))).collect();
        let messages = setting.broker.messages().await;
        let recording = recorded.map(|into| {
            let name = format!("{}-{}", scenario.name, side.name.replace(' ', "-"));
            let functions: Vec<u32> = processes.iter().map(|process| process.pid).collect();
            Recording::begin(into, &name, &setting.broker.profiler, &functions)
        });
        let machine = Busy::now();
        let (generated, generator_s) = match is_before {
            true => (setting.work_off(begun, orders, limit).await, 0.0),
            false => setting.generate("m", orders, rate, limit).await,
        };
        let now = Busy::now();
        let sent = setting.broker.messages().await;
        if let Some(recording) = recording {
            recording.end().await;
        }
        measured.messages_in = (sent.in_msgs - messages.in_msgs) as f64 / orders as f64;
        measured.messages_out = (sent.out_msgs - messages.out_msgs) as f64 / orders as f64;
        let thousands = orders as f64 / 1000.0;
        let mut all_s = generator_s;
        for (at, ((name, pid), (cpu, waited))) in pids.iter().zip(before).enumerate() {
            let (spent, waited) = (cpu_s(*pid) - cpu, waits(*pid) - waited);
            all_s += spent;
            measured.cpu_s_by_process.insert(name.clone(), spent / thousands);
            if at < processes.len() {
                measured.functions_cpu_s += spent / thousands;
                measured.functions_waits += waited / orders as f64;
            } else if *pid == setting.broker.process.pid {
                measured.broker_cpu_s = spent / thousands;
                measured.broker_waits = waited / orders as f64;
            } else {
                measured.companions_cpu_s += spent / thousands;
            }
        }
        let (busy, total) = (now.busy_s - machine.busy_s, now.total_s - machine.total_s);
        measured.generator_cpu_s = generator_s / thousands;
        measured.busy_pct = 100.0 * busy / total;
        measured.others_pct = (100.0 * (busy - all_s) / total).max(0.0);
        measured.orders_per_s = orders as f64 / generated.drained_s;
        (measured.p50_ms, measured.p99_ms, measured.p999_ms) =
            (generated.p50_ms, generated.p99_ms, generated.p999_ms);
        let mut fault = |is: bool, what: String| {
            if is {
                measured.faults.push(what);
            }
        };
        fault(generated.left > 0, format!("{} inputs unanswered", generated.left));
        let wanted = orders - scenario.lost(orders);
        fault(generated.confirmed != wanted, format!("{} of {wanted} seen confirmed", generated.confirmed));
        fault(generated.foreign > 0, format!("{} confirmed that were not placed", generated.foreign));
        let letters = scenario.lost(orders) + scenario.lost(WARM_UP.min(orders));
        let steps = TYPES.len();
        measured.faults.extend(
            verdict::faults(&setting.broker, "m", orders, steps, |order| scenario.is_lost(order), letters)
                .await,
        );
    }
    let peaks = each(|pid| memory_mib(pid, "VmHWM"), &processes);
    measured.peak_mib = peaks.into_iter().fold(0.0, f64::max);
    measured.broker_peak_mib = memory_mib(setting.broker.process.pid, "VmHWM");
    for process in processes.iter_mut().chain(&mut setting.companions) {
        if let Some(status) = process.ended() {
            measured.faults.push(format!("{} has ended: {status}: {}", process.name, process.last_words()));
        }
    }
    stop(processes).await;
    stop(setting.companions).await;
    setting.broker.process.stop().await;
    measured
}

impl<'s> Setting<'s> {
    async fn make(side: &'s Side, scenario: &'s Scenario, built: &'s Built, directory: &'s Path) -> Self {
        let broker = Broker::start(&built.broker, directory, scenario.sync_always).await;
        let mut env = BTreeMap::from([
            ("NATS_URL", broker.url.clone()),
            ("GATEWAY_MS", scenario.gateway_ms.to_string()),
            ("CONCURRENCY", CONCURRENCY.to_string()),
            ("MAX_ACK_PENDING", ACK_PENDING_MAX.to_string()),
            ("FAILING_PERCENT", scenario.failing_percent.to_string()),
            ("LOST_PERCENT", scenario.lost_percent.to_string()),
            // Any port for Jetlag's HTTP.
            ("PORT", "0".to_owned()),
        ]);
        if side.is_jetlag() {
            if scenario.sync_always {
                env.insert("JETLAG_DURABILITY", "always".to_owned());
            }
            // As deployed: a Job has made streams and consumers before.
            env.insert("JETLAG_PROVISION", "false".to_owned());
            let contracts: Vec<Description> =
                SERVICES.iter().map(|service| describe(&side.path(service.name, built), service)).collect();
            broker.provision(&contracts).await;
        } else {
            broker.make_streams().await;
        }
        let mut companions = Vec::new();
        if side.program == Program::Functions {
            let (gateway, at) = companion("gateway", built, directory).await;
            let latency = json!({"latency_ms": scenario.gateway_ms}).to_string();
            http::ask(&at, "PUT", "/control", &latency).await;
            env.insert("PAYMENT_GATEWAY_URL", format!("http://{at}"));
            env.insert("PAYMENT_GATEWAY_KEY", "sk_test_bench".to_owned());
            let (receiver, at) = companion("receiver", built, directory).await;
            env.insert("NOTIFY_URL", format!("http://{at}/notify"));
            companions.extend([gateway, receiver]);
        }
        if let Some(share) = side.sampled {
            let (collector, at) = collector(built, directory).await;
            env.insert("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{at}"));
            env.insert("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned());
            env.insert("OTEL_TRACES_SAMPLER_ARG", share.to_owned());
            companions.push(collector);
        }
        Self { side, scenario, built, directory, broker, companions, env }
    }

    fn start(&self, service: &Service) -> Process {
        self.start_as(service, service.name)
    }

    /// One process of `service`, by a name of its own.
    fn start_as(&self, service: &Service, name: &str) -> Process {
        let mut env = self.env.clone();
        env.insert("SERVICE", service.name.to_owned());
        env.insert("IN_SUBJECT", service.input.to_owned());
        env.insert("OUT_SUBJECT", service.output.to_owned());
        Process::start(name, &self.side.path(service.name, self.built), &[], &env, self.directory)
    }

    fn start_all(&self) -> Vec<Process> {
        let replicas = |service: &Service| match self.side.program {
            // It reads the trail, in order.
            Program::Functions if service.name == "audit" => 1,
            _ => self.scenario.replicas,
        };
        let others = SERVICES.iter().flat_map(|service| {
            (2..=replicas(service))
                .map(move |number| self.start_as(service, &format!("{}-{number}", service.name)))
        });
        SERVICES.iter().map(|service| self.start(service)).chain(others).collect()
    }

    /// The generator of so many orders.
    fn generator(&self, prefix: &str, orders: usize, limit: Duration) -> Command {
        let streams: Vec<&str> = self.side.streams().collect();
        let mut generator = Command::new(self.built.generator());
        generator
            .args(["-url", &self.broker.url, "-prefix", prefix])
            .args(["-subject", self.side.placed, "-final", self.side.confirmed])
            .args(["-streams", &streams.join(","), "-orders", &orders.to_string()])
            .args(["-skus", &self.scenario.skus.to_string(), "-lines", &self.scenario.lines.to_string()])
            .args(["-lost", &self.scenario.lost_percent.to_string()])
            .args(["-limit", &format!("{}s", limit.as_secs())]);
        if self.side.program == Program::Go("watermill") {
            generator.arg("-watermill");
        }
        generator.stdin(Stdio::null()).kill_on_drop(true);
        generator
    }

    /// Places orders that nobody handles yet.
    async fn place_all(&self, prefix: &str, orders: usize, limit: Duration) {
        let placed = self.generator(prefix, orders, limit).arg("-before").status().await;
        assert!(placed.expect("the generator").success(), "the generator has failed");
    }

    /// Waits until the orders that were placed before are worked off, and nothing is left.
    async fn work_off(&self, begun: Instant, orders: usize, limit: Duration) -> Generated {
        let is_done = self.broker.wait_until_nothing_is_left(self.side.streams(), limit).await;
        // Nobody has watched them being confirmed: the verdict counts what is stored.
        let (confirmed, left) = (orders - self.scenario.lost(orders), u64::from(!is_done));
        let drained_s = begun.elapsed().as_secs_f64();
        Generated { drained_s, p50_ms: -1.0, p99_ms: -1.0, p999_ms: -1.0, confirmed, foreign: 0, left }
    }

    /// Runs the generator; gives what it says, and its processor time.
    async fn generate(
        &self,
        prefix: &str,
        orders: usize,
        rate: Option<u32>,
        limit: Duration,
    ) -> (Generated, f64) {
        let before = children_cpu_s();
        let mut generator = self.generator(prefix, orders, limit);
        generator.args(["-rate", &rate.unwrap_or(0).to_string()]);
        let output = generator.output().await.expect("the generator");
        let spent = children_cpu_s() - before;
        let (said, complained) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
        let generated = serde_json::from_slice(said);
        (generated.unwrap_or_else(|error| panic!("the generator: {error}: {complained}")), spent)
    }

    /// Starts inventory again and again, with one order that waits for it.
    async fn starts(&self, processes: &mut Vec<Process>, measured: &mut Measured) {
        let inventory = &SERVICES[0];
        let made = if self.side.is_jetlag() { "inventory.reserved.>" } else { "inventory.reserved" };
        let mut events = self.broker.client.subscribe(made).await.expect("a connection");
        for number in 0..measured.orders {
            processes.remove(0).stop().await;
            // Or the broker gives the order to whoever asked last, and is not there any more.
            self.broker.wait_until_nobody_asks(inventory.name).await;
            self.place(number).await;
            // Where orders are admitted first, until this one is.
            self.rest(self.side.streams().filter(|stream| *stream == "INTAKE")).await;
            let begun = Instant::now();
            processes.insert(0, self.start(inventory));
            // Watermill's consumer goes with its process, and the next one begins with what was handled before.
            let own = format!("ord-s-{number:08}");
            let made = events.by_ref().filter(|event| {
                let is_own = event.payload.windows(own.len()).any(|part| part == own.as_bytes());
                std::future::ready(is_own)
            });
            match tokio::time::timeout(START_LIMIT, std::pin::pin!(made).next()).await {
                Ok(Some(_)) => measured.start_ms.push(begun.elapsed().as_secs_f64() * 1e3),
                _ => measured.faults.push(format!("nothing within {START_LIMIT:?} of a start")),
            }
            self.rest(self.side.streams()).await;
        }
        let (orders, steps) = (measured.orders, TYPES.len());
        measured.faults.extend(verdict::faults(&self.broker, "s", orders, steps, |_| false, 0).await);
    }

    async fn rest(&self, streams: impl Iterator<Item = &str>) {
        let is_at_rest = self.broker.wait_until_nothing_is_left(streams, PATIENCE).await;
        assert!(is_at_rest, "no end of the work within {PATIENCE:?}");
    }

    /// Places one order, as the generator does.
    async fn place(&self, number: usize) {
        let order = format!("ord-s-{number:08}");
        let event = format!("{order}-placed");
        let body = json!({
            "id": event, "type": "orders.placed", "aggregate_id": order,
            "data": {"order_id": order, "customer_id": "cust-1", "amount": 20.5,
                     "lines": [{"sku": "SKU-00000", "quantity": 1, "price": 20.5}]},
            "timestamp": "2026-01-01T00:00:00Z", "trace_id": "4bf92f3577b34da6a3ce000000000000",
        });
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", event.as_str());
        headers.insert("_watermill_message_uuid", event.as_str());
        let subject = self.side.placed.replace("{order}", &order).replace("{event}", &event);
        let context = async_nats::jetstream::new(self.broker.client.clone());
        let stored = context.publish_with_headers(subject, headers, body.to_string().into()).await;
        stored.expect("a connection").await.expect("an order is stored");
    }
}

async fn stop(processes: Vec<Process>) {
    futures::future::join_all(processes.into_iter().map(Process::stop)).await;
}

/// What a function says of itself.
pub fn describe(program: &Path, service: &Service) -> Description {
    let output = std::process::Command::new(program).arg("--describe").env("SERVICE", service.name).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    serde_json::from_slice(&output.stdout).expect("a description")
}

/// Starts the gateway or the receiver; gives its address.
async fn companion(name: &str, built: &Built, directory: &Path) -> (Process, String) {
    let at = format!("127.0.0.1:{}", free_port());
    let arguments = ["--listen".to_owned(), at.clone()];
    let process = Process::start(name, &built.rust.join(name), &arguments, &BTreeMap::new(), directory);
    until(name, async || tokio::net::TcpStream::connect(&at).await.ok()).await;
    (process, at)
}

/// Starts a collector that reads every span and keeps none; gives its address.
async fn collector(built: &Built, directory: &Path) -> (Process, String) {
    let at = format!("127.0.0.1:{}", free_port());
    let configuration = json!({
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": at}}}},
        "exporters": {"nop": {}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["nop"]}},
        },
    });
    // JSON is YAML.
    let file = directory.join("collector.yaml");
    std::fs::write(&file, configuration.to_string()).expect("a directory");
    let arguments = ["--config".to_owned(), format!("file:{}", file.display())];
    let process = Process::start("collector", &built.collector(), &arguments, &BTreeMap::new(), directory);
    until("collector", async || tokio::net::TcpStream::connect(&at).await.ok()).await;
    (process, at)
}

/// The processor time of children that have ended: nobody but the generator ends during a run.
pub fn children_cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |at: usize| rest.split_whitespace().nth(at).and_then(|word| word.parse::<f64>().ok());
    (ticks(13).unwrap_or_default() + ticks(14).unwrap_or_default()) / 100.0
}
