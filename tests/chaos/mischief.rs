//! Does what the schedule says: makes something fail, waits, and mends it.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use world::proxy::Weather;

use crate::fault::{Cut, Fault};
use crate::fleet::Fleet;

/// How late a slow network is.
const LATE: Duration = Duration::from_millis(150);
/// Beyond the patience of payment (3 s as it is started here) and of notification (8 s).
const GATEWAY_LATE_MS: u64 = 4_500;
const RECEIVER_LATE_MS: u64 = 12_000;
/// How many sequences before the first unacknowledged input a redelivery storm begins.
const STORM: u64 = 400;

/// Makes `fault` happen, from its beginning to its end; false if there was nothing to do it to.
pub async fn inflict(fleet: &Fleet, fault: &Fault) -> bool {
    match fault {
        Fault::Kill { process } => fleet.signal(process, Signal::KILL).is_some(),
        Fault::KillAll { function } => {
            let processes = fleet.processes_of(function);
            processes.iter().filter(|process| fleet.signal(process, Signal::KILL).is_some()).count() > 0
        }
        Fault::KillBroker => fleet.signal("broker", Signal::KILL).is_some(),
        Fault::KillCompanion { companion } => fleet.signal(companion, Signal::KILL).is_some(),
        Fault::Pause { process, time } => pause(fleet, process, *time).await,
        Fault::PauseBroker { time } => pause(fleet, "broker", *time).await,
        Fault::Partition { process, how, time } => {
            cut(fleet.to_broker(process), *how, *time).await;
            true
        }
        Fault::PartitionOutside { process, how, time } => {
            cut(fleet.to_outside(process), *how, *time).await;
            true
        }
        Fault::GatewayOutage { time } => {
            switch(fleet, "gateway", "outage", json!(true), json!(false), *time).await
        }
        Fault::GatewayErrors { count } => {
            fleet.control("gateway", json!({"fail_next": count})).await;
            true
        }
        Fault::GatewayLate { time } => {
            switch(fleet, "gateway", "latency_ms", json!(GATEWAY_LATE_MS), json!(0), *time).await
        }
        Fault::AnswersLost { time } => {
            let processes = ["payment", "notification"].map(|function| fleet.processes_of(function)).concat();
            processes.iter().for_each(|process| fleet.to_outside(process).set(Weather::LosesAnswers));
            tokio::time::sleep(*time).await;
            processes.iter().for_each(|process| fleet.to_outside(process).set(Weather::Clear));
            true
        }
        Fault::ReceiverOutage { time } => {
            switch(fleet, "receiver", "outage", json!(true), json!(false), *time).await
        }
        Fault::ReceiverLate { time } => {
            switch(fleet, "receiver", "latency_ms", json!(RECEIVER_LATE_MS), json!(0), *time).await
        }
        Fault::NoDeadLetters { time } => {
            fleet.dead_letters_are_taken(false).await;
            tokio::time::sleep(*time).await;
            fleet.dead_letters_are_taken(true).await;
            true
        }
        Fault::Storm { function } => storm(fleet, function).await,
        Fault::Drain { function } => {
            for process in fleet.processes_of(function) {
                let old = fleet.signal(&process, Signal::TERM);
                fleet.up(&process, old).await;
            }
            true
        }
    }
}

async fn pause(fleet: &Fleet, process: &str, time: Duration) -> bool {
    let Some(pid) = fleet.signal(process, Signal::STOP) else { return false };
    tokio::time::sleep(time).await;
    fleet.resume(process, pid);
    true
}

async fn cut(network: &world::proxy::Proxy, how: Cut, time: Duration) {
    network.set(match how {
        Cut::Closed => Weather::Cut,
        Cut::Silent => Weather::Still,
        Cut::Deaf => Weather::Deaf,
        Cut::Mute => Weather::Mute,
        Cut::Slow => Weather::Slow(LATE),
    });
    tokio::time::sleep(time).await;
    network.set(Weather::Clear);
}

async fn switch(
    fleet: &Fleet,
    companion: &str,
    name: &str,
    on: serde_json::Value,
    off: serde_json::Value,
    time: Duration,
) -> bool {
    fleet.control(companion, json!({ name: on })).await;
    tokio::time::sleep(time).await;
    // A companion that was killed meanwhile has its switches off already.
    fleet.control(companion, json!({ name: off })).await;
    true
}

/// Resets the consumer to before what it has acknowledged: never beyond, or the broker would forget inputs.
async fn storm(fleet: &Fleet, function: &str) -> bool {
    let stream = if function == "audit" { "AUDIT" } else { "EVENTS" };
    let info = fleet.ask(&format!("CONSUMER.INFO.{stream}.{function}"), &json!({})).await;
    let floor = info.pointer("/ack_floor/stream_seq").and_then(serde_json::Value::as_u64).unwrap_or_default();
    let from = floor.saturating_sub(STORM).max(1);
    fleet.ask(&format!("CONSUMER.RESET.{stream}.{function}"), &json!({ "seq": from })).await;
    true
}
