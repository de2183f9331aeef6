//! `cargo bench-peers`: the order pipeline on Jetlag and on its peers, in turn, under the same load. See
//! docs/benchmark.md.

mod broker;
mod build;
mod http;
mod machine;
mod plot;
mod process;
mod record;
mod requests;
mod run;
mod scenarios;
mod sides;
mod summary;
mod verdict;

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use futures::FutureExt;
use requests::{Answered, CALLERS, Caller, REQUESTS, Requests};
use run::{Load, Manner, Measured};
use scenarios::{Pace, SCENARIOS, Scenario, Watched};
use serde_json::json;
use sides::{Built, SIDES, Side};
use summary::{summarise, table};
use tokio::signal::unix::{SignalKind, signal};

const ROUNDS_MAX: u64 = 20;
const ORDERS_MAX: u64 = 10_000_000;
/// How long orders are placed at half of what a burst had.
const HALF_S: f64 = 10.0;
/// How much longer than its orders a run may take: start, stock, drain, verdict.
const AROUND: Duration = Duration::from_secs(180);

/// Runs the order pipeline on Jetlag and on its peers, in turn and under the same load, and compares them.
#[derive(Parser)]
#[command(name = "cargo bench-peers", after_help = AFTER_HELP)]
struct Options {
    /// How often each side runs each scenario; the sides take turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=ROUNDS_MAX))]
    rounds: u64,
    /// How many orders a run has, instead of what the scenario says
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=ORDERS_MAX))]
    orders: Option<u64>,
    /// The scenarios, separated by commas; all but those that take long if left out
    #[arg(long = "scenario", value_delimiter = ',')]
    scenarios: Vec<String>,
    /// The sides, separated by commas; all if left out
    #[arg(long = "side", value_delimiter = ',')]
    sides: Vec<String>,
    /// How long the orders of one run may take, in seconds
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=7200))]
    limit_s: u64,
    /// Build Jetlag and the floors for this target, such as x86_64-unknown-linux-musl, which images have
    #[arg(long)]
    target: Option<String>,
    /// The Cargo profile of Jetlag and the floors; `dist` is that of releases
    #[arg(long, default_value = "dist")]
    profile: String,
    /// Write a plot of the medians and spreads to this file
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Record where the time goes into this directory: the broker by its own profiler (`go tool pprof -top FILE`), the
    /// functions by perf, where it is installed. The figures of such a run are not to be compared
    #[arg(long)]
    record: Option<PathBuf>,
    /// A variable of the functions on Jetlag, `NAME=VALUE`, whatever the scenario says; may be given several times
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// How results are written to standard output
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
    /// Build everything, and run nothing
    #[arg(long)]
    build_only: bool,
    /// Run what an earlier build has left
    #[arg(long, conflicts_with = "build_only")]
    no_build: bool,
}

const AFTER_HELP: &str = "\
Examples:
  cargo bench-peers                                           everything, 5 rounds
  cargo bench-peers --scenario burst,steady --rounds 1        a first look
  cargo bench-peers --side jetlag,floor --scenario burst -o json
  cargo bench-peers --side jetlag --scenario burst --rounds 1 --record profiles
  cargo bench-peers --scenario traced --rounds 3              what traces cost
  cargo bench-peers --scenario burst,backlog,aggregates --side jetlag,floor --rounds 1 --limit-s 1800

Exit codes: 0 all runs were good; 1 an order was lost or doubled, or a side did not run; 2 the command line is not
understood; 75 another one is running; 130 interrupted.";

fn variable(said: &str) -> Result<(String, String), String> {
    let (name, value) = said.split_once('=').ok_or("it must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table for each scenario
    Text,
    /// Every run, and the medians, spreads and ratios
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let mut terminated = signal(SignalKind::terminate()).expect("a handler");
    // Whatever was started is killed when it is dropped.
    tokio::select! {
        code = compare(&options) => code,
        _ = tokio::signal::ctrl_c() => ExitCode::from(130),
        _ = terminated.recv() => ExitCode::from(130),
    }
}

async fn compare(options: &Options) -> ExitCode {
    let names = |names: [Vec<&'static str>; 2]| names.concat();
    let scenario_names = names([
        SCENARIOS.iter().map(|one| one.name).collect(),
        REQUESTS.iter().map(|one| one.name).collect(),
    ]);
    let side_names =
        names([SIDES.iter().map(|one| one.name).collect(), CALLERS.iter().map(|one| one.name).collect()]);
    if !(are_known(&scenario_names, &options.scenarios, "scenario")
        && are_known(&side_names, &options.sides, "side"))
    {
        return ExitCode::from(2);
    }
    let mut scenarios = chosen(SCENARIOS, &options.scenarios, |scenario| scenario.name);
    let sides = chosen(SIDES, &options.sides, |side| side.name);
    let requests = chosen(REQUESTS, &options.scenarios, |requests| requests.name);
    let callers = chosen(CALLERS, &options.sides, |caller| caller.name);
    if options.scenarios.is_empty() {
        scenarios.retain(|scenario| !scenario.on_demand);
    }
    if scenarios.iter().any(|scenario| scenario.pace == Pace::Half) && scenarios[0].name != SCENARIOS[0].name
    {
        eprintln!("half of a burst needs one: add the scenario {}", SCENARIOS[0].name);
        return ExitCode::from(2);
    }
    let is_traced = scenarios.iter().any(|scenario| scenario.traced);
    let built = build::build(&options.profile, options.target.as_deref(), !options.no_build, is_traced).await;
    if options.build_only {
        return ExitCode::SUCCESS;
    }
    // Two at once would measure each other.
    let lock = File::create(built.go.join("lock")).expect("a lock");
    if lock.try_lock().is_err() {
        eprintln!("another `cargo bench-peers` is running: wait for its end");
        return ExitCode::from(75);
    }
    let mut versions = build::versions(&built);
    versions.push(format!("profile {}", options.profile));
    versions.extend(options.target.clone());
    let machine = machine::describe();
    eprintln!("{machine}\n{}", versions.join("\n"));
    let mut runs = Vec::new();
    for scenario in &scenarios {
        for round in 1..=options.rounds {
            for side in sides.iter().filter(|side| side.belongs_to(scenario)) {
                let load = load_of(options, scenario, side, &runs);
                runs.push(once(options, scenario, side, &built, round as usize, load).await);
            }
        }
    }
    let mut answered = Vec::new();
    for requests in &requests {
        for round in 1..=options.rounds {
            for caller in &callers {
                answered.push(asked(options, requests, caller, &built, round as usize).await);
            }
        }
    }
    let summaries: Vec<(&Scenario, Vec<_>)> =
        scenarios.into_iter().map(|scenario| (scenario, summarise(scenario, &runs))).collect();
    if let Some(file) = &options.plot {
        let caption = format!("{machine}; {}", versions.join(", "));
        std::fs::write(file, plot::svg(&summaries, &caption)).expect("the plot's file");
    }
    match options.output {
        Form::Json => {
            let summaries: Vec<_> = summaries.iter().flat_map(|(_, summaries)| summaries).collect();
            let all = json!({"machine": machine, "versions": versions, "rounds": options.rounds,
                             "summaries": summaries, "runs": runs, "requests": answered});
            println!("{all:#}");
        }
        Form::Text => {
            for (scenario, summaries) in &summaries {
                println!("\n{}: {}\n", scenario.name, scenario.about);
                print!("{}", table(scenario, summaries));
            }
            for requests in &requests {
                println!("\n{}: {}\n", requests.name, requests.about);
                print!("{}", requests::table(requests, &answered));
            }
        }
    }
    let mut faults = runs.iter().map(|run| &run.faults).chain(answered.iter().map(|run| &run.faults));
    if faults.all(Vec::is_empty) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run of requests, told on standard error.
async fn asked(
    options: &Options,
    requests: &Requests,
    caller: &Caller,
    built: &Built,
    round: usize,
) -> Answered {
    let directory = tempfile::Builder::new().prefix("jetlag-bench-").tempdir().expect("a directory");
    let orders = options.orders.map_or(requests.orders, |orders| orders as usize);
    let limit = Duration::from_secs(options.limit_s);
    let running = AssertUnwindSafe(requests::run(requests, caller, built, directory.path(), orders, limit));
    let answered = within(limit, running.catch_unwind()).await.unwrap_or_else(|fault| Answered {
        scenario: requests.name,
        side: caller.name,
        orders,
        faults: vec![fault],
        ..Answered::default()
    });
    let answered = Answered { round, ..answered };
    let Answered { scenario, side, load, requests_per_s, p50_ms, p99_ms, others_pct, .. } = &answered;
    eprintln!(
        "{scenario} round {round} {side:<12} load {load:.1}; {requests_per_s:.0} requests/s, p50 {p50_ms:.2} ms, p99 \
         {p99_ms:.2} ms; others {others_pct:.0} %"
    );
    for fault in &answered.faults {
        eprintln!("  WRONG: {fault} (logs and streams: {})", directory.path().display());
    }
    if !answered.faults.is_empty() {
        // For whoever wants to know why.
        let _ = directory.keep();
    }
    answered
}

/// What a run has shown, or why it has not come to its end.
async fn within<T>(
    limit: Duration,
    running: impl Future<Output = std::thread::Result<T>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit + AROUND, running).await {
        Ok(Ok(measured)) => Ok(measured),
        Ok(Err(panic)) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            Err(said.or_else(|| panic.downcast_ref().copied()).unwrap_or("it panicked").to_owned())
        }
        Err(_) => Err(format!("not over after {:?}", limit + AROUND)),
    }
}

/// One run, told on standard error; one that cannot be made is a fault of its own.
async fn once(
    options: &Options,
    scenario: &Scenario,
    side: &Side,
    built: &Built,
    round: usize,
    load: Load,
) -> Measured {
    let directory = tempfile::Builder::new().prefix("jetlag-bench-").tempdir().expect("a directory");
    let limit = Duration::from_secs(options.limit_s);
    let manner =
        Manner { limit, recorded: options.record.as_deref(), variables: options.variables.as_slice() };
    let running = AssertUnwindSafe(run::run(side, scenario, built, directory.path(), load, manner));
    let failed = |fault: String| Measured { faults: vec![fault], ..Measured::default() };
    let measured = within(limit, running.catch_unwind()).await.unwrap_or_else(failed);
    let measured = Measured {
        scenario: scenario.name.into(),
        side: side.name.into(),
        round,
        orders: load.orders,
        ..measured
    };
    tell(scenario, &measured, directory.path());
    if !measured.faults.is_empty() {
        // For whoever wants to know why.
        let _ = directory.keep();
    }
    measured
}

fn tell(scenario: &Scenario, run: &Measured, directory: &Path) {
    let Measured { scenario: name, round, side, load, others_pct, .. } = run;
    let costs = format!(
        "CPU s/1000: functions {:.3}, broker {:.3}; others {others_pct:.0} %",
        run.functions_cpu_s, run.broker_cpu_s
    );
    let shown = match scenario.watched {
        Watched::Throughput => format!("{:.0} orders/s; {costs}", run.orders_per_s),
        Watched::Latency => format!("p50 {:.1} ms, p99 {:.1} ms; {costs}", run.p50_ms, run.p99_ms),
        Watched::Start => format!("{:.1?} ms", run.start_ms),
    };
    eprintln!("{name} round {round} {side:<12} load {load:.1}; {shown}");
    for fault in &run.faults {
        eprintln!("  WRONG: {fault} (logs and streams: {})", directory.display());
    }
}

/// How many orders a run has, and how fast. `runs` are those before it.
fn load_of(options: &Options, scenario: &Scenario, side: &Side, runs: &[Measured]) -> Load {
    let orders = match (options.orders, scenario.watched) {
        (Some(orders), Watched::Throughput | Watched::Latency) => orders as usize,
        _ => scenario.orders,
    };
    match scenario.pace {
        Pace::Burst | Pace::Before => Load { orders, rate: None },
        Pace::PerSecond(rate) => Load { orders, rate: Some(rate) },
        Pace::Half => {
            let own = runs.iter().filter(|run| {
                run.side == side.name && run.scenario == SCENARIOS[0].name && run.faults.is_empty()
            });
            let (sum, count) =
                own.fold((0.0, 0.0), |(sum, count), run| (sum + run.orders_per_s, count + 1.0));
            let rate = (sum / f64::max(count, 1.0) / 2.0).max(1.0);
            Load { orders: (rate * HALF_S) as usize, rate: Some(rate as u32) }
        }
    }
}

/// Whether all `names` are among `known`; if not, that is told on standard error.
fn are_known(known: &[&str], names: &[String], what: &str) -> bool {
    let unknown = names.iter().find(|one| !known.contains(&one.as_str()));
    if let Some(unknown) = unknown {
        eprintln!("there is no {what} {unknown:?}; there are {}", known.join(", "));
    }
    unknown.is_none()
}

/// The ones of `all` that were named, or all.
fn chosen<'a, T>(all: &'a [T], names: &[String], name: fn(&T) -> &str) -> Vec<&'a T> {
    let is_named = |one: &&T| names.is_empty() || names.iter().any(|wanted| wanted == name(one));
    all.iter().filter(is_named).collect()
}
