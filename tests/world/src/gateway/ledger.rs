//! The books: intents, charges and remembered answers, as the executions add up to.
//!
//! A ledger is nothing but the sum of the executions applied to it, so reading the journal back
//! rebuilds it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use serde::Serialize;

use super::execution::Execution;

/// How many payment intents one gateway holds before it refuses new ones.
const MAX_INTENTS: usize = 1_000_000;
/// How many idempotency keys are remembered; past that the oldest is forgotten, as Stripe forgets
/// after a day. A forgotten key charges again, so the limit lies well above what one run sends.
const MAX_REMEMBERED_KEYS: usize = 500_000;

/// The state of the gateway.
#[derive(Debug)]
pub(crate) struct Ledger {
    key_limit: usize,
    /// The last execution of each intent.
    intents: HashMap<String, Arc<Execution>>,
    charges: Vec<Arc<Execution>>,
    total_minor: BTreeMap<String, u64>,
    declines: u64,
    remembered: HashMap<String, Arc<Execution>>,
    /// The keys of `remembered`, oldest first.
    keys_by_age: VecDeque<String>,
}

/// One successful charge, as `GET /ledger` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Charge {
    payment_intent: String,
    idempotency_key: Option<String>,
    order_id: Option<String>,
    amount: u64,
    currency: String,
    created: u64,
}

/// The answer to `GET /ledger`.
#[derive(Debug, Serialize)]
pub(crate) struct Statement {
    charges: Vec<Charge>,
    /// Minor units for each currency.
    total: BTreeMap<String, u64>,
    declines: u64,
    replays: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger::remembering(MAX_REMEMBERED_KEYS)
    }
}

impl Ledger {
    fn remembering(key_limit: usize) -> Self {
        Ledger {
            key_limit,
            intents: HashMap::new(),
            charges: Vec::new(),
            total_minor: BTreeMap::new(),
            declines: 0,
            remembered: HashMap::new(),
            keys_by_age: VecDeque::new(),
        }
    }

    /// Whether another intent would be one too many.
    pub(crate) fn is_full(&self) -> bool {
        self.intents.len() >= MAX_INTENTS
    }

    /// The execution that left an intent as it is now.
    pub(crate) fn last_execution(&self, intent: &str) -> Option<&Arc<Execution>> {
        self.intents.get(intent)
    }

    /// What was carried out under this idempotency key.
    pub(crate) fn remembered(&self, key: &str) -> Option<&Arc<Execution>> {
        self.remembered.get(key)
    }

    /// Adds one execution to the books.
    pub(crate) fn apply(&mut self, execution: Arc<Execution>) {
        if execution.is_charge() {
            *self.total_minor.entry(execution.intent.currency.clone()).or_default() +=
                execution.intent.amount_minor;
            self.charges.push(Arc::clone(&execution));
        }
        if execution.decline.is_some() {
            self.declines += 1;
        }
        if let Some(request) = &execution.request {
            self.remember(request.key.clone(), Arc::clone(&execution));
        }
        self.intents.insert(execution.intent.id.clone(), execution);
    }

    /// The books as they stand. Replays change nothing in them and are counted by the till.
    pub(crate) fn statement(&self, replays: u64) -> Statement {
        Statement {
            charges: self.charges.iter().map(|execution| Charge::of(execution)).collect(),
            total: self.total_minor.clone(),
            declines: self.declines,
            replays,
        }
    }

    fn remember(&mut self, key: String, execution: Arc<Execution>) {
        self.keys_by_age.push_back(key.clone());
        self.remembered.insert(key, execution);
        if self.keys_by_age.len() > self.key_limit
            && let Some(oldest) = self.keys_by_age.pop_front()
        {
            self.remembered.remove(&oldest);
        }
    }
}

impl Charge {
    fn of(execution: &Execution) -> Self {
        let intent = &execution.intent;
        Charge {
            payment_intent: intent.id.clone(),
            idempotency_key: execution.request.as_ref().map(|request| request.key.clone()),
            order_id: intent.metadata.get("order_id").cloned(),
            amount: intent.amount_minor,
            currency: intent.currency.clone(),
            created: execution.at_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{
        decline::DeclineCode,
        execution::{KeyedRequest, PaymentIntent, Status},
    };

    fn execution(number: u64, currency: &str, decline: Option<DeclineCode>) -> Arc<Execution> {
        let status = if decline.is_some() { Status::RequiresPaymentMethod } else { Status::Succeeded };
        Arc::new(Execution {
            at_s: 0,
            intent: PaymentIntent {
                id: format!("pi_{number}"),
                amount_minor: number,
                currency: currency.to_owned(),
                status,
                created_s: 0,
                description: None,
                metadata: BTreeMap::new(),
                payment_method: "pm_card_visa".to_owned(),
                latest_charge: None,
            },
            decline,
            request: Some(KeyedRequest { key: format!("key-{number}"), fingerprint: String::new() }),
        })
    }

    #[test]
    fn totals_are_kept_for_each_currency_and_leave_declines_out() {
        let mut ledger = Ledger::default();
        ledger.apply(execution(100, "gbp", None));
        ledger.apply(execution(23, "gbp", None));
        ledger.apply(execution(7, "eur", None));
        ledger.apply(execution(999, "gbp", Some(DeclineCode::InsufficientFunds)));
        let statement = ledger.statement(0);
        assert_eq!(statement.total, BTreeMap::from([("eur".to_owned(), 7), ("gbp".to_owned(), 123)]));
        assert_eq!((statement.charges.len(), statement.declines), (3, 1));
    }

    #[test]
    fn the_oldest_key_is_forgotten_first() {
        let mut ledger = Ledger::remembering(2);
        for number in 1..=3 {
            ledger.apply(execution(number, "gbp", None));
        }
        assert!(ledger.remembered("key-1").is_none());
        assert!(ledger.remembered("key-2").is_some());
        assert!(ledger.remembered("key-3").is_some());
        assert_eq!(ledger.charges.len(), 3);
    }
}
