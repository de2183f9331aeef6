//! `POST /orders`: the function order, unmodified, beside two services which do nothing but publish the same event to the
//! same stream and wait until it is stored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tests::{free_port, until};

use crate::broker::Broker;
use crate::http;
use crate::machine::{Busy, cpu_s, load, memory_mib};
use crate::process::Process;
use crate::run::{children_cpu_s, describe};
use crate::sides::{Built, SERVICES};
use crate::summary::{aligned, spread};
use crate::verdict;

/// Orders that are placed before it counts.
const WARM_UP: usize = 500;

/// So many orders over so many connections, each with one request at a time.
pub struct Requests {
    pub name: &'static str,
    pub about: &'static str,
    pub orders: usize,
    pub connections: usize,
}

/// All scenarios of this kind.
pub const REQUESTS: &[Requests] = &[
    Requests {
        name: "post",
        about: "POST /orders over 64 connections, each with one request at a time",
        orders: 20_000,
        connections: 64,
    },
    Requests {
        name: "post-alone",
        about: "POST /orders over one connection: how long a request takes that meets no other",
        orders: 3_000,
        connections: 1,
    },
];

/// What is told of each side before any figure.
const PROMISES: [&str; 5] = ["written in", "the same twice", "is checked", "trace", "besides"];

/// Who answers.
pub struct Caller {
    pub name: &'static str,
    /// For each of [`PROMISES`]; lines are broken at `|`.
    promises: [&'static str; 5],
    program: fn(&Built) -> PathBuf,
    with_key: bool,
}

fn order(built: &Built) -> PathBuf {
    built.rust.join("order")
}

const ALL_OF_IT: &str = "every field, all faults|at once";
const METRICS: &str = "512 at a time, limits,|Prometheus, logs";

/// All sides, in the order in which they run.
pub const CALLERS: &[Caller] = &[
    Caller {
        name: "net/http",
        promises: ["Go, nats.go", "dropped for 2 min,|by message id", "JSON, id, amount", "none", "nothing"],
        program: |built| built.go.join("bare"),
        with_key: false,
    },
    Caller {
        name: "axum",
        promises: [
            "Rust, async-nats",
            "dropped for 2 min,|by message id",
            "JSON, id, amount",
            "none",
            "nothing",
        ],
        program: |built| built.rust.join("bare"),
        with_key: false,
    },
    Caller {
        name: "order",
        promises: [
            "Rust, Jetlag",
            "the first answer for 24 h;|another body is refused",
            ALL_OF_IT,
            "carried on, or begun",
            METRICS,
        ],
        program: order,
        with_key: false,
    },
    Caller {
        name: "order, key",
        promises: [
            "Rust, Jetlag",
            "the same, by its|Idempotency-Key too",
            ALL_OF_IT,
            "carried on, or begun",
            METRICS,
        ],
        program: order,
        with_key: true,
    },
];

/// What one run has shown.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Answered {
    pub scenario: &'static str,
    pub side: &'static str,
    pub round: usize,
    pub orders: usize,
    /// What is wrong; the figures count only if nothing is.
    pub faults: Vec<String>,
    pub requests_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    /// Processor time for each 1,000 requests.
    pub service_cpu_s: f64,
    pub broker_cpu_s: f64,
    pub caller_cpu_s: f64,
    pub peak_mib: f64,
    /// The load average before, and how busy the machine was with what is none of this, in percent.
    pub load: f64,
    pub others_pct: f64,
}

/// What the load generator says.
#[derive(Deserialize)]
struct Said {
    took_s: f64,
    in_time: bool,
    statuses: BTreeMap<u16, usize>,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
}

/// Places so many orders with `caller`; its logs and streams are in `directory`.
pub async fn run(
    requests: &Requests,
    caller: &Caller,
    built: &Built,
    directory: &Path,
    orders: usize,
    limit: Duration,
) -> Answered {
    let mut answered =
        Answered { scenario: requests.name, side: caller.name, orders, load: load(), ..Answered::default() };
    let broker = Broker::start(&built.broker, directory, false).await;
    let step = SERVICES.iter().find(|service| service.name == "order").expect("the function order");
    broker.provision(&[describe(&order(built), step)]).await;
    let at = format!("127.0.0.1:{}", free_port());
    let env = BTreeMap::from([
        ("NATS_URL", broker.url.clone()),
        ("PORT", at.rsplit_once(':').expect("an address").1.to_owned()),
        ("JETLAG_PROVISION", "false".to_owned()),
        // As Knative runs it: what is pulled from the stream is another process's.
        ("JETLAG_TRIGGER", "http".to_owned()),
    ]);
    let mut service = Process::start("service", &(caller.program)(built), &[], &env, directory);
    until("service that is ready", async || (http::status(&at, "/ready").await == Some(200)).then_some(()))
        .await;

    let call = async |prefix: &str, orders: usize| -> Said {
        let key = if caller.with_key { "key" } else { "none" };
        let mut command = tokio::process::Command::from(Command::new(built.rust.join("caller")));
        command.args([&at, prefix, &orders.to_string(), &requests.connections.to_string()]);
        command.args([&*limit.as_secs().to_string(), key]);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the caller");
        let complained = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("the caller: {error}: {complained}"))
    };
    call("w", WARM_UP.min(orders)).await;
    let spent = || (cpu_s(service.pid), cpu_s(broker.process.pid), children_cpu_s());
    let (before, machine) = (spent(), Busy::now());
    let said = call("m", orders).await;
    let (now, after) = (Busy::now(), spent());

    let thousands = orders as f64 / 1000.0;
    let (service_s, broker_s, caller_s) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    let (busy, total) = (now.busy_s - machine.busy_s, now.total_s - machine.total_s);
    answered.others_pct = (100.0 * (busy - service_s - broker_s - caller_s) / total).max(0.0);
    answered.service_cpu_s = service_s / thousands;
    answered.broker_cpu_s = broker_s / thousands;
    answered.caller_cpu_s = caller_s / thousands;
    answered.requests_per_s = orders as f64 / said.took_s;
    (answered.p50_ms, answered.p99_ms, answered.p999_ms) = (said.p50_ms, said.p99_ms, said.p999_ms);
    answered.peak_mib = memory_mib(service.pid, "VmHWM");
    if !said.in_time {
        answered.faults.push(format!("not all were answered within {limit:?}"));
    }
    if said.statuses != BTreeMap::from([(202, orders)]) {
        answered.faults.push(format!("answers, by status: {:?}, of {orders}", said.statuses));
    }
    if let Some(status) = service.ended() {
        answered.faults.push(format!("the service has ended: {status}: {}", service.last_words()));
    }
    // An order that is placed, and no more: nobody handles it here.
    answered.faults.extend(verdict::faults(&broker, "m", orders, 1, |_| false, 0).await);
    service.stop().await;
    broker.process.stop().await;
    answered
}

/// A table: what each side promises, then what its good runs have shown, as the median and in brackets the least and the
/// most.
pub fn table(requests: &Requests, runs: &[Answered]) -> String {
    let sides: Vec<(&Caller, Vec<&Answered>)> = CALLERS
        .iter()
        .map(|caller| {
            let own = |run: &&Answered| run.scenario == requests.name && run.side == caller.name;
            (caller, runs.iter().filter(own).collect())
        })
        .filter(|(_, runs): &(_, Vec<_>)| !runs.is_empty())
        .collect();
    let row = |title: &str, cell: &dyn Fn(&Caller, &[&Answered]) -> String| -> Vec<String> {
        [title.to_owned()].into_iter().chain(sides.iter().map(|(caller, runs)| cell(caller, runs))).collect()
    };
    let mut rows = vec![row("", &|caller, _| caller.name.to_owned())];
    for (at, promise) in PROMISES.iter().enumerate() {
        for line in 0..2 {
            let part = |caller: &Caller, _: &[&Answered]| {
                caller.promises[at].split('|').nth(line).unwrap_or_default().to_owned()
            };
            let cells = row(if line == 0 { promise } else { "" }, &part);
            if cells.iter().any(|cell| !cell.is_empty()) {
                rows.push(cells);
            }
        }
    }
    rows.push(Vec::new());
    type Figure = (&'static str, usize, fn(&Answered) -> f64);
    let figures: [Figure; 10] = [
        ("requests/s", 0, |run| run.requests_per_s),
        ("p50 ms", 2, |run| run.p50_ms),
        ("p99 ms", 2, |run| run.p99_ms),
        ("p99.9 ms", 2, |run| run.p999_ms),
        ("CPU s/1000: service", 3, |run| run.service_cpu_s),
        ("CPU s/1000: broker", 3, |run| run.broker_cpu_s),
        ("CPU s/1000: caller", 3, |run| run.caller_cpu_s),
        ("MiB, peak", 1, |run| run.peak_mib),
        ("load before", 1, |run| run.load),
        ("others' share %", 0, |run| run.others_pct),
    ];
    for (title, digits, of) in figures {
        rows.push(row(title, &|_, runs| {
            let good = runs.iter().filter(|run| run.faults.is_empty()).map(|run| of(run)).collect();
            match spread(good) {
                None => "-".to_owned(),
                Some(all) if all.min == all.max => format!("{:.digits$}", all.median),
                Some(all) => format!("{:.digits$} ({:.digits$}-{:.digits$})", all.median, all.min, all.max),
            }
        }));
    }
    rows.push(row("runs", &|_, runs| match runs.iter().filter(|run| !run.faults.is_empty()).count() {
        0 => format!("{}, all orders once", runs.len()),
        bad => format!("{}, and {bad} WRONG", runs.len() - bad),
    }));
    aligned(&rows)
}
