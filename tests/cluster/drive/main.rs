//! The real functions in a real Kubernetes, scaled by the real KEDA and the real Knative: tests/cluster/README.md. Started by
//! tests/cluster/run, in the network of the cluster's node.

#![allow(
    clippy::float_arithmetic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod api;
mod applied;
mod breaker;
mod broker_filter;
mod brokered;
mod chain;
mod cluster;
#[path = "../../chaos/customers.rs"]
mod customers;
mod decided;
mod front;
#[path = "../../chaos/market.rs"]
mod market;
mod marks;
mod outage;
mod patience;
#[path = "../../chaos/proof.rs"]
mod proof;
mod ready;
mod report;
mod requests;
mod retry;
mod rights;
mod shop;
mod timeline;
mod trouble;
mod validated;
mod verdict;
mod watcher;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use cluster::{Cluster, Place};
use customers::Answers;
use market::Market;
use report::Report;
use shop::Shop;
use timeline::Timeline;

/// The wishes of each scenario: from where, and how many.
mod wishes {
    use std::ops::Range;

    pub const CHAIN: Range<usize> = 0..1_040;
    pub const CLOSING: Range<usize> = 1_040..1_050;
    pub const RETRY: Range<usize> = 1_050..1_060;
    pub const TROUBLE: Range<usize> = 1_060..3_140;
    pub const OUTAGE: Range<usize> = 3_140..3_460;
    pub const RIGHTS: Range<usize> = 3_460..3_480;
    pub const COLD: Range<usize> = 3_480..3_490;
    pub const BURST: Range<usize> = 3_490..3_790;
    pub const COLD_AGAIN: Range<usize> = 3_790..3_800;
    pub const FILTERED: Range<usize> = 3_800..3_810;
    pub const BROKERED: Range<usize> = 3_810..3_820;
    pub const RETRIED: Range<usize> = 3_820..3_830;
    pub const ALL: usize = 3_830;
}

/// The seed of the market: the same orders in every run.
const SEED: u64 = 5;
/// How much of the timeline is told when a scenario fails.
const LAST_LOOKS: Duration = Duration::from_secs(60);
/// How long the whole run may take.
const RUN_LIMIT: Duration = Duration::from_secs(30 * 60);

const USAGE: &str =
    "cluster [--timeline FILE] [SCENARIO 1..9]...   (all of them if none is named; 1 is always run)";

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut file, mut only) = (PathBuf::from("cluster-timeline.json"), Vec::new());
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), argument.parse::<u8>()) {
            ("--timeline", _) => file = arguments.next().map(PathBuf::from).unwrap_or(file),
            (_, Ok(scenario @ 1..=9)) => only.push(scenario),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(64);
            }
        }
    }
    // Clients take the provider of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let report = Report::new();
    let place = match Place::from_env() {
        Ok(place) => place,
        Err(why) => return failed(&why),
    };
    let shop = match open(place.clone(), report).await {
        Ok(shop) => shop,
        Err(why) => return failed_in(&place, "", &why).await,
    };
    let wanted = |scenario: u8| only.is_empty() || only.contains(&scenario);
    let outcome = tokio::time::timeout(RUN_LIMIT, scenarios(&shop, &wanted)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(format!("not done after {} s", RUN_LIMIT.as_secs())));
    let looks = if outcome.is_err() { shop.timeline.changes(LAST_LOOKS) } else { String::new() };
    if let Err(why) = shop.timeline.write(&shop.cluster, &file).await {
        eprintln!("the timeline is not written: {why}");
    }
    match decided::changes(&file) {
        Ok((explained, open)) => {
            shop.report.saw(2, "changes of replicas that keda::decision decides too", explained);
            for change in open {
                shop.report.tell(&format!("not decided: {change}"));
            }
        }
        Err(why) => eprintln!("the timeline is not held against the decision: {why}"),
    }
    println!("\n{}", shop.report.table());
    println!("timeline: {}", file.display());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed_in(&place, &looks, &why).await,
    }
}

/// Validates and applies the manifests, and connects to what they make.
async fn open(place: Place, report: Report) -> Result<Shop, String> {
    validated::validate(&place, &report).await?;
    applied::apply(&place, &report).await?;
    let cluster = Cluster::connect(place).await?;
    let timeline = Timeline::record(cluster.clone());
    let market = Market::of(SEED, wishes::ALL);
    Ok(Shop { cluster, timeline, report, market, answers: Mutex::new(Answers::default()) })
}

async fn scenarios(shop: &Shop, wanted: &impl Fn(u8) -> bool) -> Result<(), String> {
    applied::is_sound(shop).await?;
    shop.stock().await?;
    shop.report.tell("the opening stock is booked");
    if wanted(2) {
        chain::run(shop).await?;
    }
    if wanted(3) {
        retry::run(shop).await?;
    }
    if wanted(4) {
        trouble::run(shop).await?;
    }
    if wanted(5) {
        outage::run(shop).await?;
    }
    if wanted(6) {
        rights::run(shop).await?;
    }
    if wanted(7) {
        ready::run(shop).await?;
    }
    // The last: what served requests until now is taken away for them.
    if wanted(8) {
        requests::run(shop).await?;
    }
    if wanted(9) {
        brokered::run(shop).await?;
    }
    verdict::run(shop).await
}

fn failed(why: &str) -> ExitCode {
    eprintln!("FAILED: {why}");
    ExitCode::FAILURE
}

/// Tells what the cluster looks like besides, and last what was seen of the functions until then.
async fn failed_in(place: &Place, looks: &str, why: &str) -> ExitCode {
    for arguments in [
        &["get", "pods,scaledobjects,hpa", "-A", "-o", "wide"][..],
        &["get", "ksvc,brokers,triggers,sinkbindings", "-A"],
        &["get", "events", "-n", cluster::NAMESPACE, "--sort-by=.lastTimestamp"],
    ] {
        match cluster::kubectl(place, arguments).await {
            Ok(printed) => eprintln!("{}{}", printed.out, printed.err),
            Err(error) => eprintln!("{error}"),
        }
    }
    eprint!("{looks}");
    failed(why)
}
