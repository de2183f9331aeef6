//! Whether everything adds up: the streams, the gateway's ledger and the receiver's log against each other, and against
//! what the customers were told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jetlag::Subject;
use jetlag::headers;
use jetlag::jetstream::ReadMessage;
use jetlag_cli::books::{Books, Evidence, Finding};
use serde_json::Value;

use crate::customers::Answers;
use crate::market::{Market, is_declined};

/// The files that the world outside keeps of what it did.
#[derive(Debug)]
pub struct Records {
    /// The gateway's.
    pub ledger: PathBuf,
    /// The receiver's.
    pub received: PathBuf,
}

/// Everything that does not add up; empty if all does.
pub fn faults(
    market: &Market,
    answers: &Answers,
    evidence: &Evidence,
    books: &Books,
    records: &Records,
) -> Vec<String> {
    let mut faults: Vec<String> = answers.wrong.clone();
    faults
        .extend(books.findings.iter().filter(|finding| !is_looked_at_here(finding)).map(ToString::to_string));
    check_ends(market, answers, evidence, &mut faults);
    check_dead_letters(answers, &evidence.dead_letters, &mut faults);
    check_ledger(&records.ledger, evidence, &mut faults);
    check_received(&records.received, evidence, &mut faults);
    faults
}

/// A message may be sent again under its id, and that is counted; dead letters are explained below, one by one.
fn is_looked_at_here(finding: &Finding) -> bool {
    matches!(finding, Finding::ReceivedTwice { .. } | Finding::DeadLetter { .. })
}

/// The aggregates of the events of one type, each as often as it has one.
fn about(events: &[ReadMessage], kind: &str) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for event in events {
        if let Some(parts) = Subject::from_broker(&event.subject).parse_event()
            && parts.kind == kind
        {
            *count.entry(parts.aggregate_id).or_default() += 1;
        }
    }
    count
}

/// What was accepted was placed, and nothing else; each ended once, and as the card said.
fn check_ends(market: &Market, answers: &Answers, evidence: &Evidence, faults: &mut Vec<String>) {
    let placed = about(&evidence.events, "orders.placed");
    let confirmed = about(&evidence.events, "orders.confirmed");
    let cancelled = about(&evidence.events, "orders.cancelled");
    let declined = about(&evidence.events, "payments.declined");
    let wished: BTreeMap<&str, bool> = market
        .wishes
        .iter()
        .filter_map(|wish| wish.order())
        .map(|order| (order.order_id.as_str(), is_declined(order)))
        .collect();
    for id in placed.keys() {
        if !wished.contains_key(id.as_str()) {
            faults.push(format!("{id} was placed, and nobody asked for it"));
        }
    }
    for id in &answers.accepted {
        let times = placed.get(id).copied().unwrap_or_default();
        if times != 1 {
            faults.push(format!("{id} was accepted and is there {times} times"));
        }
        let ends = [&confirmed, &cancelled].map(|of| of.get(id).copied().unwrap_or_default());
        if ends.iter().sum::<usize>() != 1 {
            faults.push(format!("{id} was accepted, and confirmed and cancelled {ends:?} times"));
        }
        let is_bad = wished.get(id.as_str()).copied().unwrap_or_default();
        if is_bad && confirmed.contains_key(id) {
            faults.push(format!("{id} is confirmed, and its card cannot have been charged"));
        }
        if !is_bad && declined.contains_key(id) {
            faults.push(format!("{id} was declined, and its card is good"));
        }
    }
}

/// Every dead letter has its cause among the bad events that were published, and every one of these has its dead letter.
fn check_dead_letters(answers: &Answers, letters: &[ReadMessage], faults: &mut Vec<String>) {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in letters {
        let header = |name| letter.header(name).unwrap_or("?");
        let (function, reason, error) =
            (header(headers::FUNCTION), header(headers::REASON), header(headers::ERROR));
        let payload = std::str::from_utf8(&letter.payload).unwrap_or_default();
        match answers.dead.get_key_value(payload) {
            Some((payload, (_, expected))) if *expected == reason && function == "order" => {
                *found.entry(payload).or_default() += 1;
            }
            _ => faults
                .push(format!("a dead letter without a cause: {function}: {reason}: {error}: {payload}")),
        }
    }
    for (payload, (published, reason)) in &answers.dead {
        let letters = found.get(payload.as_str()).copied().unwrap_or_default();
        // An event whose acknowledgement was lost is published again, and may be two inputs then.
        if letters == 0 || letters > *published {
            faults
                .push(format!("{letters} dead letters ({reason}) of {payload}, published {published} times"));
        }
    }
}

/// The gateway's own file: one charge of each confirmed order, none of any other, none under a second key.
fn check_ledger(file: &Path, evidence: &Evidence, faults: &mut Vec<String>) {
    let mut charges: BTreeMap<String, usize> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for line in lines(file) {
        let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
        if !keys.insert(text("/request/key")) {
            faults.push(format!("the gateway carried out {} twice", text("/request/key")));
        }
        if text("/intent/status") == "succeeded" {
            *charges.entry(text("/intent/metadata/order_id")).or_default() += 1;
        }
    }
    let confirmed = about(&evidence.events, "orders.confirmed");
    if charges != confirmed {
        let different: Vec<_> = charges
            .keys()
            .chain(confirmed.keys())
            .filter(|id| charges.get(*id) != confirmed.get(*id))
            .take(10)
            .collect();
        faults.push(format!("the gateway's file and the confirmed orders differ: {different:?} …"));
    }
}

/// The receiver's own file: the messages that arrived are those that were sent, each under one id.
fn check_received(file: &Path, evidence: &Evidence, faults: &mut Vec<String>) {
    let received: BTreeSet<String> =
        lines(file).filter_map(|line| Some(line.get("id")?.as_str()?.to_owned())).collect();
    let mut sent = BTreeMap::new();
    for event in evidence.events.iter().filter(|event| event.subject.starts_with("notifications.sent.")) {
        let body: Value = serde_json::from_slice(&event.payload).unwrap();
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
        if let Some(other) = sent.insert(text("/data/message_id"), text("/aggregate_id")) {
            faults.push(format!("{other} and {} have one message", text("/aggregate_id")));
        }
    }
    let different: Vec<_> = received
        .iter()
        .filter(|id| !sent.contains_key(*id))
        .chain(sent.keys().filter(|id| !received.contains(*id)))
        .take(10)
        .collect();
    if !different.is_empty() {
        faults.push(format!("the receiver's file and the notifications differ: {different:?} …"));
    }
}

fn lines(file: &Path) -> impl Iterator<Item = Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>().into_iter()
}
