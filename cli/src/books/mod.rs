//! The books of the shop: whether everything that was recorded adds up.
//!
//! [`Books::balance`] is pure. It is given what was read (messages, the gateway's ledger, what the receiver counted) and
//! returns the facts and every [`Finding`]; reading is done by [`crate::demo`], printing by [`crate::commands`].
//!
//! Nothing is assumed of the functions but their events, so the books hold whoever wrote them, and however often a
//! process was killed in between.

mod account;
mod audit;
mod finding;
mod history;
mod life;
mod money;
mod notices;
mod pace;
mod rest;
mod stock;
#[cfg(test)]
mod tests;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use ::audit::Chain;
use jetlag::jetstream::ReadMessage;
use serde::Serialize;

pub use audit::AuditFacts;
pub use finding::Finding;
pub use money::MoneyFacts;
pub use notices::NoticeFacts;
pub use pace::Pace;
pub use rest::Lag;
pub use stock::StockFacts;
pub use world::{Charge, Ledger, Received};

use account::{Account, Accounts};
use history::History;

/// What the books are balanced from.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The ids of the orders that the shop said it accepted.
    pub accepted: BTreeSet<String>,
    /// Everything in EVENTS but state, in the order of the stream.
    pub events: Vec<ReadMessage>,
    /// Everything in AUDIT, in the order of the stream.
    pub trail: Vec<ReadMessage>,
    /// How far the audit function says that it has sealed; read before `trail`.
    pub head: Option<Chain>,
    /// The stock of every SKU: `state.inventory.*`.
    pub state: Vec<ReadMessage>,
    /// Everything in DLQ.
    pub dead_letters: Vec<ReadMessage>,
    /// What every consumer has left to do.
    pub lags: Vec<Lag>,
    /// How many failed attempts wait to be made again.
    pub retries: u64,
    /// What the payment gateway charged.
    pub ledger: Ledger,
    /// What the receiver of notifications counted.
    pub received: Received,
    /// The last sequence of EVENTS before this run began: the pace is that of the orders behind it.
    pub began_after: u64,
}

/// The facts, and everything that does not add up.
#[derive(Debug, Clone, Serialize)]
pub struct Books {
    /// What became of the orders.
    pub orders: OrderFacts,
    /// Charges against confirmed orders, for each currency.
    pub money: Vec<MoneyFacts>,
    /// Cards that were declined.
    pub declined: u64,
    /// Messages to customers.
    pub notifications: NoticeFacts,
    /// Pieces, over all SKUs.
    pub stock: StockFacts,
    /// The audit trail.
    pub audit: AuditFacts,
    /// Inputs that were given up.
    pub dead_letters: u64,
    /// How fast it went; `None` if no order has ended.
    pub pace: Option<Pace>,
    /// Everything that does not add up; empty if all does.
    pub findings: Vec<Finding>,
}

/// What became of the orders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrderFacts {
    /// All that were placed, ever.
    pub placed: u64,
    /// Those that were paid for.
    pub confirmed: u64,
    /// Those that came to nothing, by reason.
    pub cancelled: BTreeMap<&'static str, u64>,
    /// Those that have not ended.
    pub open: u64,
}

impl Books {
    /// Balances the books.
    pub fn balance(evidence: &Evidence) -> Self {
        let mut findings = Vec::new();
        let history = History::of(&evidence.events, &evidence.trail, &mut findings);
        let accounts = Accounts::of(&history, &mut findings);
        for id in evidence.accepted.iter().filter(|id| !accounts.is_placed(id)) {
            findings.push(Finding::NotPlaced { order: id.clone() });
        }
        for (id, account) in &accounts.orders {
            life::check(id, account, &mut findings);
        }
        let money = money::check(&accounts, &evidence.ledger, &mut findings);
        let notifications = notices::check(&accounts, &evidence.received, &mut findings);
        let stock = stock::check(&accounts, &evidence.state, &mut findings);
        let audit = audit::check(evidence, &history, &mut findings);
        rest::check(evidence, &mut findings);
        Self {
            orders: OrderFacts::of(&accounts),
            money,
            declined: accounts.orders.values().map(|account| account.declined).sum(),
            notifications,
            stock,
            audit,
            dead_letters: evidence.dead_letters.len() as u64,
            pace: Pace::of(accounts.orders.values(), evidence.began_after),
            findings,
        }
    }
}

impl OrderFacts {
    fn of(accounts: &Accounts) -> Self {
        let mut facts = Self::default();
        for account in accounts.orders.values().filter(|account| !account.placed.is_empty()) {
            facts.placed += 1;
            if account.confirmed.is_empty() && account.cancelled.is_empty() {
                facts.open += 1;
            } else if account.cancelled.is_empty() {
                facts.confirmed += 1;
            }
            if let Some((reason, _)) = account.cancelled.first() {
                *facts.cancelled.entry(Account::reason(*reason)).or_default() += 1;
            }
        }
        facts
    }

    /// All that came to nothing.
    pub fn cancelled(&self) -> u64 {
        self.cancelled.values().sum()
    }
}
