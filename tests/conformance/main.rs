//! The same properties against the simulated broker and the real one, so that the simulation stays honest; docs/conformance.md
//! has the list. `PROPERTY=name` runs one.

mod server;

use std::time::{Duration, Instant};

use futures::StreamExt;
use jetlag::testing::conformance::{Property, against_real, against_simulated, properties};
use server::Servers;

/// How many properties are held against a real broker at a time: most of their time is waiting.
const AT_A_TIME: usize = 12;

fn chosen() -> Vec<Property> {
    let only = std::env::var("PROPERTY").ok();
    let all = properties();
    let chosen: Vec<Property> =
        all.into_iter().filter(|property| only.as_deref().is_none_or(|only| only == property.name)).collect();
    assert!(!chosen.is_empty(), "no property {only:?}");
    chosen
}

fn report(failures: &[(&'static str, String)]) {
    let lines: Vec<String> = failures.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert!(failures.is_empty(), "{} do not hold:\n{}", failures.len(), lines.join("\n"));
}

#[test]
fn every_property_holds_of_the_simulated_broker() {
    let simulated = chosen().into_iter().filter(|property| property.real_only.is_none());
    let failures: Vec<_> = simulated
        .filter_map(|property| against_simulated(property.name).err().map(|why| (property.name, why)))
        .collect();
    report(&failures);
}

#[tokio::test]
async fn every_property_holds_of_the_real_broker() {
    hold(1).await;
}

#[tokio::test]
#[ignore = "three servers: cargo test -p tests --test conformance -- --ignored"]
async fn every_property_holds_of_a_cluster() {
    hold(3).await;
}

async fn hold(servers: u8) {
    let properties = chosen();
    let servers = Servers::start(servers, &properties).await;
    let began = Instant::now();
    let real = &servers.real;
    let results: Vec<_> = futures::stream::iter(properties)
        .map(async |property| {
            let began = Instant::now();
            let result = against_real(real, property.name).await;
            (property.name, result, began.elapsed())
        })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let slowest = results.iter().max_by_key(|(_, _, took)| *took).unwrap();
    let sum: Duration = results.iter().map(|(_, _, took)| *took).sum();
    println!(
        "{} properties in {:.1?}, {sum:.1?} one after another; the slowest is {} with {:.1?}",
        results.len(),
        began.elapsed(),
        slowest.0,
        slowest.2
    );
    let failures: Vec<_> =
        results.into_iter().filter_map(|(name, result, _)| result.err().map(|why| (name, why))).collect();
    report(&failures);
}
