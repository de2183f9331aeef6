//! Tries seeds until one fails, `simulate --seeds 1000000 [--from 1] [--jobs 2] [--seconds 600]`, or replays one:
//! `simulate --seed 7`.

#![allow(
    clippy::float_arithmetic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod campaign;
mod scenario;
mod shop;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use campaign::{Campaign, cores, replay};

const USAGE: &str =
    "simulate --seeds COUNT [--from SEED] [--jobs THREADS] [--seconds LIMIT] | simulate --seed SEED";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(options) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(seed) = options.seed {
        println!("{}", replay(seed));
        return ExitCode::SUCCESS;
    }
    let report = options.campaign.run();
    println!("{}", report.line());
    match report.failure {
        None => ExitCode::SUCCESS,
        Some((seed, why)) => {
            println!("seed {seed} fails (--seed {seed} replays it): {why}");
            println!("cargo simulate --seed {seed}");
            ExitCode::FAILURE
        }
    }
}

/// What is asked for.
struct Options {
    seed: Option<u64>,
    campaign: Campaign,
}

/// Reads the arguments; nothing if one is not understood, or if they do not say what to do.
fn read(arguments: &[String]) -> Option<Options> {
    let mut seed = None;
    let mut campaign = Campaign { from: 1, seeds: 0, time: Duration::MAX, jobs: cores(), is_told: true };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        let number: u64 = value.parse().ok()?;
        match name.as_str() {
            "--seed" => seed = Some(number),
            "--seeds" => campaign.seeds = number,
            "--from" => campaign.from = number,
            "--jobs" => campaign.jobs = usize::try_from(number).ok().filter(|jobs| *jobs > 0)?,
            "--seconds" => campaign.time = Duration::from_secs(number),
            _ => return None,
        }
    }
    (seed.is_some() || campaign.seeds > 0).then_some(Options { seed, campaign })
}
