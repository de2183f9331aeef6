//! Whether every order ended, and nothing happened twice: by what is stored, on every side.

use async_nats::jetstream::{self, consumer::pull};
use futures::StreamExt;
use serde_json::json;

use crate::broker::Broker;
use crate::sides::TYPES;

/// How many digits an order's number has in its id.
const DIGITS: usize = 8;

/// How many of [`TYPES`] an order that cannot be charged has.
const TYPES_OF_LOST: usize = 2;

/// What is wrong with the run whose orders begin with `prefix`, each a sentence; empty if nothing is. So many dead letters
/// there must be. An order goes through the first `steps` of [`TYPES`].
pub async fn faults(
    broker: &Broker,
    prefix: &str,
    orders: usize,
    steps: usize,
    is_lost: impl Fn(usize) -> bool,
    letters: usize,
) -> Vec<String> {
    let mut seen = vec![[0_u32; TYPES.len()]; orders];
    let mut foreign = 0;
    let mark = format!("ord-{prefix}-");
    let stream = jetstream::new(broker.client.clone()).get_stream("EVENTS").await.expect("the stream");
    let consumer = stream.create_consumer(pull::OrderedConfig::default()).await.expect("a reader");
    let mut messages = consumer.messages().await.expect("a reader");
    loop {
        let message = messages.next().await.expect("a message").expect("a message");
        // State and receipts have other subjects.
        let kind = TYPES.iter().position(|kind| {
            let rest = message.subject.strip_prefix(kind);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let body = std::str::from_utf8(&message.payload).unwrap_or_default();
        let number = body.find(&mark).and_then(|at| {
            let begin = at + mark.len();
            body.get(begin..begin + DIGITS)?.parse::<usize>().ok()
        });
        if let (Some(kind), Some(number)) = (kind, number) {
            match seen.get_mut(number) {
                Some(order) => order[kind] += 1,
                None => foreign += 1,
            }
        }
        if message.info().expect("a message of a stream").pending == 0 {
            break;
        }
    }
    let mut faults = Vec::new();
    let mut fault = |count: usize, what: String| {
        if count > 0 {
            faults.push(format!("{count} {what}"));
        }
    };
    for (at, kind) in TYPES.iter().enumerate().take(steps) {
        let wanted = |number: usize| u32::from(at < TYPES_OF_LOST || !is_lost(number));
        let count = |is: fn(u32, u32) -> bool| {
            seen.iter().enumerate().filter(|(number, order)| is(order[at], wanted(*number))).count()
        };
        fault(count(|seen, wanted| seen < wanted), format!("orders without {kind}"));
        fault(count(|seen, wanted| seen > wanted), format!("orders with {kind} too often"));
    }
    fault(foreign, "events of orders that were not placed".to_owned());
    match broker.ask("STREAM.INFO.DLQ", &json!({})).await {
        Ok(info) => {
            let found = info["state"]["messages"].as_u64().unwrap_or(u64::MAX) as usize;
            fault(
                found.abs_diff(letters),
                format!("dead letters too many or too few: {found}, not {letters}"),
            )
        }
        Err(error) => faults.push(error),
    }
    faults
}
