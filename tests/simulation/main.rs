//! The production core in a simulated world, seed after seed. `SEED=7` replays one seed with its journal, `SEEDS=100000`
//! tries so many, `SEED_FROM` says where to begin.

#![allow(clippy::float_arithmetic, missing_docs, unreachable_pub, reason = "a test")]

mod campaign;
mod expiry;
mod outage;
mod scenario;
mod shop;
mod verdict;

use std::time::Duration;

use campaign::{Campaign, attempt, cores, replay};

/// How long the seeds are tried in an ordinary run of the tests.
const TIME: Duration = Duration::from_secs(30);

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[test]
fn every_invariant_holds_whatever_goes_wrong() {
    if let Some(seed) = number("SEED") {
        println!("{}", replay(seed));
        attempt(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        return;
    }
    let seeds = number("SEEDS");
    let time = if seeds.is_some() { Duration::MAX } else { TIME };
    let from = number("SEED_FROM").unwrap_or(1);
    let campaign = Campaign { from, seeds: seeds.unwrap_or(u64::MAX), time, jobs: cores(), is_told: false };
    let report = campaign.run();
    println!("{}", report.line());
    if let Some((seed, why)) = report.failure {
        panic!("{}\n\nseed {seed} fails (SEED={seed} replays it): {why}", replay(seed));
    }
}

#[test]
fn the_same_seed_takes_the_same_course() {
    for seed in 1..=20 {
        let (first, second) = (scenario::run(seed, true), scenario::run(seed, true));
        assert_eq!(first.journal, second.journal, "seed {seed}");
        assert!(first.journal.len() > 10, "seed {seed} has a journal");
    }
}
