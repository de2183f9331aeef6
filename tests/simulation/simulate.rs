//! Tries seeds until one fails: `simulate --seeds 1000000 [--from 1]`, or replays one: `simulate --seed 7`.

#![allow(
    clippy::float_arithmetic,
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

use campaign::{Campaign, replay};

const USAGE: &str = "simulate --seeds COUNT [--from SEED] | simulate --seed SEED";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = number("--seed") {
        println!("{}", replay(seed));
        return ExitCode::SUCCESS;
    }
    let Some(seeds) = number("--seeds") else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    let report = Campaign { from: number("--from").unwrap_or(1), seeds, time: Duration::MAX }.run();
    println!("{}", report.line());
    match report.failure {
        None => ExitCode::SUCCESS,
        Some((seed, why)) => {
            println!("seed {seed} fails (--seed {seed} replays it): {why}");
            ExitCode::FAILURE
        }
    }
}
