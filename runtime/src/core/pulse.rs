//! Signals to the broker that an input is being worked on, so that it is not delivered a second time meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::core::broker::Broker;

/// How often a sign of work is given in the time in which one must come.
const BEATS: u32 = 3;

/// The inputs that this process holds.
#[derive(Debug)]
pub(crate) struct Pulse<R> {
    held: Arc<Mutex<Holdings<R>>>,
}

#[derive(Debug)]
struct Holdings<R> {
    next: u64,
    since: BTreeMap<u64, (Instant, R)>,
}

/// An input is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held<R> {
    held: Arc<Mutex<Holdings<R>>>,
    number: u64,
}

impl<R: Clone> Pulse<R> {
    pub(crate) fn new() -> Self {
        Self { held: Arc::new(Mutex::new(Holdings { next: 0, since: BTreeMap::new() })) }
    }

    /// Holds the input of `receipt` from now on.
    pub(crate) fn hold(&self, receipt: R) -> Held<R> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let number = held.next;
        held.next += 1;
        held.since.insert(number, (Instant::now(), receipt));
        Held { held: Arc::clone(&self.held), number }
    }

    /// How many are held.
    pub(crate) fn holds(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).since.len()
    }

    /// Signals three times within the broker's patience for each input that has been held for so long. Never ends.
    pub(crate) async fn beat<B: Broker<Receipt = R>>(&self, broker: &B) {
        loop {
            let interval = broker.ack_wait() / BEATS;
            tokio::time::sleep(interval).await;
            let before = Instant::now() - interval;
            let due: Vec<R> = {
                let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.since.values().filter(|(since, _)| *since <= before).map(|(_, r)| r.clone()).collect()
            };
            for receipt in due {
                broker.in_progress(&receipt).await;
            }
        }
    }
}

impl<R> Drop for Held<R> {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).since.remove(&self.number);
    }
}
