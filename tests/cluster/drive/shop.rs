//! What the scenarios have in common: the shop that they order from, and waiting until it has come to rest.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use jetlag_cli::demo::{self, Rest};

use crate::cluster::Cluster;
use crate::customers::{Answers, Counter, Pace, place};
use crate::market::{Market, Wish, is_declined};
use crate::patience::{so, until};
use crate::report::Report;
use crate::timeline::Timeline;

/// How many requests are under way at a time.
const CONCURRENCY: usize = 64;
/// How long everything that was asked for may take to end, and a function to go to zero after that.
const REST_LIMIT: Duration = Duration::from_secs(240);
const ZERO_LIMIT: Duration = Duration::from_secs(90);

/// The shop in the cluster.
#[derive(Debug)]
pub struct Shop {
    pub cluster: Cluster,
    pub timeline: Timeline,
    pub report: Report,
    pub market: Market,
    pub answers: Mutex<Answers>,
}

impl Shop {
    /// The functions that scale to zero.
    pub fn functions(&self) -> Vec<String> {
        self.cluster.functions.iter().map(|function| function.name.clone()).collect()
    }

    /// Lets the opening stock arrive, and waits until it is booked.
    pub async fn stock(&self) -> Result<(), String> {
        let operator = &self.cluster.operator;
        for delivery in &self.market.opening.deliveries {
            let (id, sku, quantity) = (&delivery.id, &delivery.sku, delivery.quantity);
            let event = format!(
                r#"{{"id":"{id}","type":"stock.received","aggregate_id":"{sku}","data":{{"sku":"{sku}","quantity":{quantity}}},"timestamp":"2026-11-21T14:00:00Z","trace_id":""}}"#
            );
            let published = operator.publish("stock.received", id, event.into()).await;
            published.map_err(|error| format!("stock of {sku}: {error}"))?;
        }
        let deliveries = self.market.opening.deliveries.iter().map(demo::Delivery::subject).collect();
        self.rest(&BTreeSet::new(), deliveries).await
    }

    /// Places the wishes of `range`, `per_second` or as fast as they are answered.
    pub async fn order(&self, range: Range<usize>, per_second: Option<u32>) -> Result<(), String> {
        self.order_at(self.cluster.counter().await?, range, per_second).await
    }

    /// The same at another counter.
    pub async fn order_at(
        &self,
        counter: Counter,
        range: Range<usize>,
        per_second: Option<u32>,
    ) -> Result<(), String> {
        let wishes = self.market.wishes.get(range.clone()).ok_or("the market is too small")?;
        let pace = Pace { concurrency: CONCURRENCY, per_second: per_second.and_then(NonZeroU32::new) };
        let (enough, placed) = (AtomicBool::new(false), AtomicUsize::new(0));
        let new = place(counter, wishes, range.start, &pace, &enough, &placed).await;
        let (count, took, again) = (new.accepted.len(), new.took, new.again.clone());
        add(&mut *self.answers.lock().map_err(|_| "a scenario has panicked")?, new);
        self.report.tell(&format!("{count} orders accepted in {took:.1?}, requests again: {again:?}"));
        Ok(())
    }

    /// Notes that an order was accepted.
    pub fn accept(&self, order_id: &str) -> Result<(), String> {
        let mut answers = self.answers.lock().map_err(|_| "a scenario has panicked")?;
        answers.accepted.insert(order_id.to_owned());
        Ok(())
    }

    /// Where an order stands among the wishes of `range` that is sure to be paid: in stock, and its card is good.
    pub fn sure(&self, range: Range<usize>) -> Result<usize, String> {
        let is_sure = |wish: &Wish| {
            let Wish::Request { order, clashes: false } = wish else { return false };
            let scarce = &self.market.opening.scarce;
            let is_scarce = |sku: &str| scarce.iter().any(|scarce| scarce.sku == sku);
            !is_declined(order) && !order.lines.iter().any(|line| is_scarce(&line.sku))
        };
        let wishes = self.market.wishes.get(range.clone()).ok_or("the market is too small")?;
        wishes
            .iter()
            .position(is_sure)
            .map(|at| range.start + at)
            .ok_or_else(|| "no order is sure".to_owned())
    }

    /// Waits until everything that was accepted has ended, and nothing is left to be handled.
    pub async fn all_ended(&self) -> Result<(), String> {
        let accepted = self.answers.lock().map_err(|_| "a scenario has panicked")?.accepted.clone();
        self.rest(&accepted, BTreeSet::new()).await
    }

    async fn rest(&self, orders: &BTreeSet<String>, deliveries: BTreeSet<String>) -> Result<(), String> {
        let Cluster { operator, topology, .. } = &self.cluster;
        let resting = demo::at_rest(operator, topology, orders, deliveries);
        match tokio::time::timeout(REST_LIMIT, resting).await {
            Ok(Rest::Reached) => Ok(()),
            Ok(Rest::Stalled(seconds)) => Err(format!("not at rest: nothing has moved for {seconds} s")),
            Err(_) => Err(format!("not at rest after {} s", REST_LIMIT.as_secs())),
        }
    }

    /// Waits until no function has a replica.
    pub async fn all_at_zero(&self) -> Result<(), String> {
        let now = self.timeline.mark("waiting for zero replicas");
        until("zero replicas of every function", ZERO_LIMIT, async || {
            let last = self.timeline.last(now)?;
            let up = |name: &String| last.functions.get(name).is_none_or(|look| look.wanted > 0);
            let up: Vec<String> = self.functions().into_iter().filter(up).collect();
            so(up.is_empty(), || format!("{up:?} have replicas"))
        })
        .await
    }
}

/// What other customers know, too.
fn add(all: &mut Answers, new: Answers) {
    all.accepted.extend(new.accepted);
    all.dead.extend(new.dead);
    all.wrong.extend(new.wrong);
    all.repeats += new.repeats;
    for (why, times) in new.again {
        *all.again.entry(why).or_default() += times;
    }
    all.placed += new.placed;
    all.took += new.took;
}
