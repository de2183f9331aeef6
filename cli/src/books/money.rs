//! The gateway's ledger against the confirmed orders, to the penny.

use std::collections::{BTreeMap, BTreeSet};

use events::Currency;
use serde::Serialize;

use super::account::Accounts;
use super::finding::Finding;
use super::world::{Charge, Ledger};

/// The money of one currency, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MoneyFacts {
    /// ISO 4217.
    pub currency: String,
    /// How many charges.
    pub charges: u64,
    /// What was charged, by the gateway's ledger.
    pub charged_minor: u64,
    /// What confirmed orders cost.
    pub confirmed_minor: u64,
}

impl MoneyFacts {
    /// `minor` in units of the currency, such as `12.50 GBP`.
    pub fn in_units(&self, minor: u64) -> String {
        in_units(&self.currency, minor)
    }
}

/// Checks that every confirmed order was charged once and exactly, and nothing else was.
pub(super) fn check(accounts: &Accounts, ledger: &Ledger, findings: &mut Vec<Finding>) -> Vec<MoneyFacts> {
    let mut charges: BTreeMap<&str, Vec<&Charge>> = BTreeMap::new();
    for charge in &ledger.charges {
        charges.entry(charge.order_id.as_deref().unwrap_or_default()).or_default().push(charge);
    }
    let mut confirmed_minor: BTreeMap<String, u64> = BTreeMap::new();
    for (id, account) in &accounts.orders {
        let own = charges.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let Some((order, _)) = account.confirmed.first() else { continue };
        let currency = order.currency.code().to_owned();
        // An amount that is no money was refused at the door.
        let expected = order.currency.minor_units(order.amount).unwrap_or_default();
        *confirmed_minor.entry(currency.clone()).or_default() += expected;
        match own {
            [] => findings.push(Finding::NotCharged { order: id.clone() }),
            [charge] if (charge.amount, charge.currency.to_uppercase()) == (expected, currency.clone()) => {}
            [charge] => findings.push(Finding::ChargeDiffers {
                order: id.clone(),
                charged: in_units(&charge.currency, charge.amount),
                expected: in_units(&currency, expected),
            }),
            several => findings.push(Finding::ChargedTwice { order: id.clone(), times: several.len() }),
        }
    }
    for (id, own) in charges {
        let is_confirmed = accounts.orders.get(id).is_some_and(|account| !account.confirmed.is_empty());
        for charge in own.into_iter().filter(|_| !is_confirmed) {
            findings.push(Finding::ChargedForNothing {
                order: charge.order_id.clone(),
                payment: charge.payment_intent.clone(),
                charged: in_units(&charge.currency, charge.amount),
            });
        }
    }
    let declined = accounts.orders.values().map(|account| account.declined).sum();
    if declined != ledger.declines {
        findings.push(Finding::DeclinesDiffer { gateway: ledger.declines, events: declined });
    }
    totals(ledger, &confirmed_minor, findings)
}

fn totals(
    ledger: &Ledger,
    confirmed: &BTreeMap<String, u64>,
    findings: &mut Vec<Finding>,
) -> Vec<MoneyFacts> {
    let charged: BTreeMap<String, u64> =
        ledger.total.iter().map(|(currency, minor)| (currency.to_uppercase(), *minor)).collect();
    let currencies: BTreeSet<&String> = charged.keys().chain(confirmed.keys()).collect();
    let facts = |currency: &String| MoneyFacts {
        currency: currency.clone(),
        charges: ledger.charges.iter().filter(|charge| charge.currency.to_uppercase() == *currency).count()
            as u64,
        charged_minor: charged.get(currency).copied().unwrap_or_default(),
        confirmed_minor: confirmed.get(currency).copied().unwrap_or_default(),
    };
    let facts: Vec<MoneyFacts> = currencies.into_iter().map(facts).collect();
    for MoneyFacts { currency, charged_minor, confirmed_minor, .. } in facts.clone() {
        if charged_minor != confirmed_minor {
            findings.push(Finding::TotalDiffers { currency, charged_minor, confirmed_minor });
        }
    }
    facts
}

fn in_units(currency: &str, minor: u64) -> String {
    let currency = Currency::new(currency.to_uppercase());
    match currency.amount_of(minor) {
        Ok(amount) => format!("{amount} {currency}"),
        Err(_) => format!("{minor} minor units of {currency}"),
    }
}
