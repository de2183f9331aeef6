//! Waits until what was begun has come to its end, for as long as anything moves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use events::{NotificationSent, OrderCancelled, OrderConfirmed, StockReceived};
use indicatif::ProgressBar;
use jetlag::jetstream::{Operator, OperatorError, ReadMessage};
use jetlag::topology::{AUDIT, EVENTS, INTAKE, RETRY, Topology};
use jetlag::{Payload, Subject};
use serde::Serialize;

use super::evidence::{ALL_COPIES, ALL_EVENTS, lags};
use crate::streams::Origin;

/// How often the streams are looked at.
const POLL: Duration = Duration::from_millis(200);
/// How long nothing may move: longer than the longest wait between two attempts of any function (60 s and jitter) and
/// than a breaker stays open.
const STALL_LIMIT: Duration = Duration::from_secs(120);
/// How long to go on looking when everything is handled and something is still missing.
const QUIET_LIMIT: Duration = Duration::from_secs(5);
/// The longest wait, however much moves.
const WAIT_LIMIT: Duration = Duration::from_secs(60 * 60);

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// Everything that was waited for has happened, and nothing is left to be handled.
    Reached,
    /// Nothing moved any more for so many seconds, and something is missing.
    Stalled(u64),
}

/// What is waited for.
#[derive(Debug)]
pub(super) struct Awaited {
    missing: BTreeSet<String>,
}

/// The streams, read as they grow.
struct Watch<'a> {
    operator: &'a Operator,
    topology: &'a Topology,
    next_event: u64,
    next_entry: u64,
    /// The last event that was read in EVENTS, and the last one that was found copied to AUDIT.
    last_event: u64,
    last_copied: u64,
    read: u64,
}

/// What one look found.
struct Look {
    is_quiet: bool,
    /// Inputs that are still to be handled.
    left: u64,
}

impl Awaited {
    /// That these deliveries are let in.
    pub(super) fn deliveries(subjects: impl IntoIterator<Item = String>) -> Self {
        Self { missing: subjects.into_iter().collect() }
    }

    /// That these orders end, and their customers are told.
    pub(super) fn orders<'a>(ids: impl IntoIterator<Item = &'a String>) -> Self {
        Self { missing: ids.into_iter().flat_map(|id| [ended(id), told(id)]).collect() }
    }

    fn has_happened(&mut self, event: &ReadMessage) {
        let Some(parts) = Subject::from_broker(&event.subject).parse_event() else { return };
        match parts.kind.as_str() {
            StockReceived::TYPE => self.missing.remove(&event.subject),
            OrderConfirmed::TYPE | OrderCancelled::TYPE => self.missing.remove(&ended(&parts.aggregate_id)),
            NotificationSent::TYPE => self.missing.remove(&told(&parts.aggregate_id)),
            _ => false,
        };
    }
}

fn ended(order: &str) -> String {
    format!("{order} ended")
}

fn told(order: &str) -> String {
    format!("{order} told")
}

/// Waits until the `orders` and the `deliveries` (their subjects in EVENTS) have come to their end, and nothing is left
/// to be handled: for as long as anything moves.
pub async fn at_rest(
    operator: &Operator,
    topology: &Topology,
    orders: &BTreeSet<String>,
    deliveries: BTreeSet<String>,
) -> Rest {
    let mut awaited = Awaited::orders(orders);
    awaited.missing.extend(deliveries);
    reached(operator, topology, awaited, &ProgressBar::hidden()).await
}

/// Waits until everything `awaited` has happened and all is handled. A broker that does not answer for a while is
/// waited for like everything else.
pub(super) async fn reached(
    operator: &Operator,
    topology: &Topology,
    mut awaited: Awaited,
    bar: &ProgressBar,
) -> Rest {
    let mut watch =
        Watch { operator, topology, next_event: 1, next_entry: 1, last_event: 0, last_copied: 0, read: 0 };
    let total = awaited.missing.len() as u64;
    let started = Instant::now();
    let (mut moved, mut quiet_since, mut least_left) = (Instant::now(), None, u64::MAX);
    loop {
        let before = watch.read;
        let look = watch.look(&mut awaited).await;
        bar.set_position(total - awaited.missing.len() as u64);
        let is_quiet = look.as_ref().is_ok_and(|look| look.is_quiet);
        if is_quiet && awaited.missing.is_empty() {
            return Rest::Reached;
        }
        let left = look.map_or(u64::MAX, |look| look.left);
        if watch.read > before || left < least_left {
            moved = Instant::now();
        }
        least_left = least_left.min(left);
        quiet_since = if is_quiet { quiet_since.or_else(|| Some(Instant::now())) } else { None };
        let is_over = moved.elapsed() > STALL_LIMIT
            || quiet_since.is_some_and(|since| since.elapsed() > QUIET_LIMIT)
            || started.elapsed() > WAIT_LIMIT;
        if is_over {
            return Rest::Stalled(moved.elapsed().as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

impl Watch<'_> {
    /// Reads what is new, and what is left. Nothing is, only if no stream grew meanwhile: an input that is handled
    /// between two questions may have led to another.
    async fn look(&mut self, awaited: &mut Awaited) -> Result<Look, OperatorError> {
        let before = self.sequences().await?;
        for event in self.operator.read(EVENTS, ALL_EVENTS, self.next_event).await? {
            awaited.has_happened(&event);
            (self.next_event, self.last_event) = (event.sequence + 1, event.sequence);
            self.read += 1;
        }
        for entry in self.operator.read(AUDIT, ALL_COPIES, self.next_entry).await? {
            (self.next_entry, self.last_copied) = (entry.sequence + 1, Origin::of(&entry).sequence);
            self.read += 1;
        }
        let lags = lags(self.operator, self.topology).await?;
        let lag: u64 = lags.iter().map(|lag| lag.waiting + lag.unanswered).sum();
        // A retry that waits for its time is no consumer's lag.
        let retries = self.operator.stream_state(RETRY).await?.messages;
        let left = lag + retries;
        let is_quiet = left == 0 && self.last_copied >= self.last_event && self.sequences().await? == before;
        Ok(Look { is_quiet, left })
    }

    async fn sequences(&self) -> Result<Vec<u64>, OperatorError> {
        let mut sequences = Vec::new();
        for stream in &self.topology.streams {
            if [EVENTS, AUDIT, RETRY, INTAKE].contains(&stream.name) {
                sequences.push(self.operator.stream_state(stream.name).await?.last_sequence);
            }
        }
        Ok(sequences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(subject: &str) -> ReadMessage {
        ReadMessage {
            subject: subject.to_owned(),
            sequence: 1,
            stored_at: time::OffsetDateTime::UNIX_EPOCH,
            headers: Vec::new(),
            payload: bytes::Bytes::new(),
        }
    }

    #[test]
    fn an_order_is_waited_for_until_it_has_ended_and_its_customer_is_told() {
        let mut awaited = Awaited::orders(&["a.b".to_owned()]);
        for subject in
            ["orders.placed.a%2Eb.1", "orders.confirmed.other.2", "done.order.a%2Eb.3", "state.inventory.x"]
        {
            awaited.has_happened(&event(subject));
        }
        assert_eq!(awaited.missing.len(), 2);
        awaited.has_happened(&event("orders.cancelled.a%2Eb.4"));
        assert_eq!(awaited.missing.iter().collect::<Vec<_>>(), ["a.b told"]);
        awaited.has_happened(&event("notifications.sent.a%2Eb.5"));
        assert!(awaited.missing.is_empty());
    }
}
