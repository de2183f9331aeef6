//! Orders while things go wrong, as many as are asked for: see docs/chaos.md.

#![allow(
    clippy::float_arithmetic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod campaign;
mod customers;
mod disk;
mod fault;
mod fleet;
mod market;
mod mischief;
mod proof;
mod rolling;
mod verdict;

use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use campaign::{Options, Trouble, run};
use disk::Disk;

const USAGE: &str = "\
chaos [--orders 10000] [--seed 1] [--replicas 2] [--tick-ms 2000] [--faults 24] [--rate PER-SECOND]
      [--concurrency 64] [--limit-s 7200] [--data DIR] [--sync-always]
      [--rolling N]        drains of all processes in turn instead of the schedule of faults
      [--broker-kills N]   kills of the broker instead of the schedule of faults
      [--power-cuts N]     power cuts of the broker's disk instead (root)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let orders = argument(&arguments, "--orders").unwrap_or(10_000);
    let times = ["--rolling", "--broker-kills", "--power-cuts"].map(|name| argument(&arguments, name));
    let trouble = match times {
        [Some(times), ..] => Trouble::Drains { times },
        [_, Some(times), _] => Trouble::BrokerKills { times },
        [.., Some(times)] => Trouble::PowerCuts { times },
        [None, None, None] => {
            Trouble::Schedule { faults_min: argument(&arguments, "--faults").unwrap_or(24) }
        }
    };
    let kept: Option<std::path::PathBuf> = argument(&arguments, "--data");
    let temporary = tempfile::tempdir().unwrap();
    let data = kept.unwrap_or_else(|| temporary.path().to_owned());
    let is_on_disk = matches!(trouble, Trouble::PowerCuts { .. });
    let place = temporary.path().join("disk");
    std::fs::create_dir_all(&place).unwrap();
    let options = Options {
        disk: is_on_disk.then(|| Arc::new(Disk::make(&place).unwrap())),
        replicas: argument(&arguments, "--replicas").unwrap_or(2),
        tick: Duration::from_millis(argument(&arguments, "--tick-ms").unwrap_or(2_000)),
        sync_always: arguments.iter().any(|argument| argument == "--sync-always"),
        concurrency: argument(&arguments, "--concurrency").unwrap_or(64),
        per_second: argument(&arguments, "--rate"),
        limit: Duration::from_secs(argument(&arguments, "--limit-s").unwrap_or(7_200)),
        told: true,
        ..Options::of(argument(&arguments, "--seed").unwrap_or(1), orders, trouble, data)
    };
    let outcome = tokio::runtime::Runtime::new().unwrap().block_on(run(&options));
    println!("{}", outcome.summary());
    for fault in outcome.verdict.faults.iter().chain(&outcome.rolled.forced).chain(&outcome.rolled.left) {
        println!("  {fault}");
    }
    let is_good = outcome.verdict.faults.is_empty()
        && outcome.rolled.forced.is_empty()
        && outcome.rolled.left.is_empty();
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn argument<T: FromStr>(arguments: &[String], name: &str) -> Option<T> {
    let at = arguments.iter().position(|argument| argument == name)?;
    let text = arguments.get(at + 1).unwrap_or_else(|| panic!("{name} needs a value\n{USAGE}"));
    Some(text.parse().unwrap_or_else(|_| panic!("{name} {text} is not understood\n{USAGE}")))
}
