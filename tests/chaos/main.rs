//! The real application in real processes while things go wrong: docs/chaos.md.

#![allow(clippy::float_arithmetic, clippy::print_stdout, missing_docs, unreachable_pub, reason = "a test")]

mod campaign;
mod customers;
mod disk;
mod ending;
mod fault;
mod fleet;
mod market;
mod mischief;
mod proof;
mod rolling;
mod verdict;

use std::path::Path;
use std::sync::Arc;

use campaign::{Options, Outcome, Trouble, run};
use disk::Disk;
use tokio::sync::Semaphore;

/// Two tests of this file at a time: each has a dozen processes, and waits most of the time.
static TURN: Semaphore = Semaphore::const_new(2);

fn assert_all_adds_up(outcome: &Outcome) {
    println!("{}", outcome.summary());
    let faults = &outcome.verdict.faults;
    let first: Vec<_> = faults.iter().take(40).collect();
    assert!(faults.is_empty(), "{} faults: {first:#?}", faults.len());
}

/// A disk whose power can be cut; `None`, and said aloud, where that needs more than this machine gives. Where
/// `JETLAG_SKIP_NOTHING` is set, as in CI, that is a failure.
fn disk_or_skip(directory: &Path) -> Option<Disk> {
    match Disk::make(directory) {
        Ok(disk) => Some(disk),
        Err(why) if std::env::var_os("JETLAG_SKIP_NOTHING").is_some() => panic!("{why}"),
        Err(why) => {
            println!("SKIPPED: no power can be cut here (it needs root, loop devices and python3): {why}");
            None
        }
    }
}

fn seed() -> u64 {
    std::env::var("SEED").map_or(1, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_neither_lost_nor_doubled_whatever_goes_wrong() {
    let _turn = TURN.acquire().await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let trouble = Trouble::Schedule { faults_min: 24 };
    let options = Options {
        per_second: std::num::NonZeroU32::new(60),
        told: true,
        ..Options::of(seed(), 1_500, trouble, data.path().to_owned())
    };
    let outcome = run(&options).await;
    assert_all_adds_up(&outcome);
    assert!(outcome.answers.accepted.len() > 1_300);
    assert!(outcome.faults.values().all(|times| *times > 0), "every fault happened: {:?}", outcome.faults);
    assert_eq!(outcome.faults.len(), 17);
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restarts_lose_nothing_and_leave_nothing() {
    // Alone: what is left is told by how long nothing is answered.
    let _turn = TURN.acquire_many(2).await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let options = Options {
        replicas: 1,
        per_second: std::num::NonZeroU32::new(40),
        ..Options::of(seed(), 5_000, Trouble::Drains { times: 12 }, data.path().to_owned())
    };
    let outcome = run(&options).await;
    assert_all_adds_up(&outcome);
    assert_eq!(outcome.rolled.drains, 12);
    assert_eq!(outcome.rolled.forced, Vec::<String>::new());
    // That nothing is left is shown exactly by tests/faults; here it is told by the clock, which a busy machine may hold up.
    assert!(outcome.rolled.left.len() <= 1, "{:?}", outcome.rolled);
}

/// kill -9 does not lose what the kernel has, so this shows that the broker acknowledges nothing that it has not written;
/// what a loss of power loses is shown by the test of that name.
#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_order_survives_kills_of_a_broker_that_syncs_always() {
    let _turn = TURN.acquire().await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let options = Options {
        sync_always: true,
        replicas: 1,
        per_second: std::num::NonZeroU32::new(60),
        ..Options::of(seed(), 300, Trouble::BrokerKills { times: 3 }, data.path().to_owned())
    };
    let outcome = run(&options).await;
    assert_all_adds_up(&outcome);
    assert_eq!(outcome.faults["kill broker"], 3);
}

/// The broker's file system is shut down without being synced. What the broker acknowledged must be there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_order_survives_power_cuts_of_a_broker_that_syncs_always() {
    let _turn = TURN.acquire().await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = disk_or_skip(place.path()) else { return };
    let options = Options {
        sync_always: true,
        replicas: 1,
        per_second: std::num::NonZeroU32::new(60),
        disk: Some(Arc::new(disk)),
        ..Options::of(seed(), 250, Trouble::PowerCuts { times: 2 }, data.path().to_owned())
    };
    let outcome = run(&options).await;
    assert_all_adds_up(&outcome);
    assert_eq!(outcome.faults["power cut"], 2);
}
