//! A payment gateway that forgets nothing that it has decided, and does not always say it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jetlag::testing::Dice;
use tokio::time::Instant;

/// How long a charge takes at most, and how long a client waits for one that is not answered.
const TAKES_MAX: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_secs(3);
/// When an outage begins, and how long it lasts, at most.
const OUTAGE_FROM_MAX: Duration = Duration::from_secs(40);
const OUTAGE_MAX: Duration = Duration::from_secs(20);

/// The gateway and its ledger.
#[derive(Debug)]
pub struct Gateway {
    dice: Dice,
    ledger: Mutex<BTreeMap<String, Entry>>,
    declines: u32,
    no_answers: u32,
    outage: Option<(Instant, Instant)>,
    is_calm: AtomicBool,
    /// Whether it answers nobody.
    pub(crate) is_away: AtomicBool,
}

/// What was decided under one idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub order_id: String,
    pub is_approved: bool,
}

/// The gateway does not answer, or answers that it cannot.
#[derive(Debug, thiserror::Error)]
#[error("the gateway does not answer")]
pub struct Outage;

impl Gateway {
    pub fn new(dice: Dice) -> Self {
        let outage = dice.chance(400).then(|| {
            let from = Instant::now() + dice.up_to(OUTAGE_FROM_MAX);
            (from, from + dice.up_to(OUTAGE_MAX))
        });
        let (declines, no_answers) = (dice.one_of(&[0, 100, 400]), dice.one_of(&[0, 50, 300]));
        let (is_calm, is_away) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { dice, ledger: Mutex::default(), declines, no_answers, outage, is_calm, is_away }
    }

    /// From now on it answers.
    pub fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    /// Charges once for each `key`, or declines once: whether, is thrown when the first run comes that gets so far.
    pub async fn charge(&self, key: &str, order_id: &str) -> Result<bool, Outage> {
        tokio::time::sleep(self.dice.up_to(TAKES_MAX)).await;
        let now = Instant::now();
        let is_calm = self.is_calm.load(Ordering::Relaxed);
        if !is_calm && self.is_away.load(Ordering::Relaxed) {
            return Err(Outage);
        }
        if !is_calm && self.outage.is_some_and(|(from, to)| now >= from && now < to) {
            return Err(Outage);
        }
        let is_silent = !is_calm && self.dice.chance(self.no_answers);
        if is_silent && self.dice.chance(500) {
            tokio::time::sleep(TIMEOUT).await;
            return Err(Outage);
        }
        let is_approved = {
            let mut ledger = self.ledger.lock().unwrap();
            let entry = ledger.entry(key.to_owned()).or_insert_with(|| Entry {
                order_id: order_id.to_owned(),
                is_approved: !self.dice.chance(self.declines),
            });
            entry.is_approved
        };
        if is_silent {
            // Decided, and nobody hears of it.
            tokio::time::sleep(TIMEOUT).await;
            return Err(Outage);
        }
        Ok(is_approved)
    }

    /// Everything that was decided.
    pub fn ledger(&self) -> Vec<Entry> {
        self.ledger.lock().unwrap().values().cloned().collect()
    }
}
