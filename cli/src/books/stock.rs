//! The goods: whatever arrived is available, set aside or sold, and nothing else is.

use std::collections::BTreeMap;

use jetlag::Subject;
use jetlag::jetstream::ReadMessage;
use jetlag::topology::EVENTS;
use serde::{Deserialize, Serialize};

use super::account::Accounts;
use super::finding::Finding;

/// The function that owns the stock, and what it calls it.
const OWNER: &str = "inventory";
const KIND: &str = "stock";

/// Pieces, over all SKUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StockFacts {
    /// How many different things.
    pub skus: u64,
    /// All pieces that ever arrived.
    pub received: u64,
    /// Free to be ordered.
    pub available: i64,
    /// Set aside for orders that have not ended.
    pub reserved: i64,
    /// Gone to customers who paid.
    pub sold: i64,
}

/// The stock of one SKU as it is stored; signed, so that what must not be can be told.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Pieces {
    available: i64,
    reserved: i64,
    sold: i64,
}

/// Checks each SKU's stock against what arrived and what was confirmed.
pub(super) fn check(accounts: &Accounts, state: &[ReadMessage], findings: &mut Vec<Finding>) -> StockFacts {
    let mut stored = read(state, findings);
    let confirmed = confirmed(accounts);
    let mut facts = StockFacts { skus: accounts.arrived.len() as u64, ..StockFacts::default() };
    for (sku, &received) in &accounts.arrived {
        let pieces = stored.remove(Subject::of_state(OWNER, KIND, sku).as_str()).unwrap_or_default();
        let Pieces { available, reserved, sold } = pieces;
        let sku = || sku.clone();
        facts.received += received;
        facts.available += available;
        facts.reserved += reserved;
        facts.sold += sold;
        let all = i128::from(available) + i128::from(reserved) + i128::from(sold);
        if all != i128::from(received) {
            findings.push(Finding::StockDiffers { sku: sku(), received, available, reserved, sold });
        }
        if available < 0 || reserved < 0 || sold < 0 {
            findings.push(Finding::StockNegative { sku: sku(), available, reserved, sold });
        }
        if reserved != 0 {
            findings.push(Finding::StillReserved { sku: sku(), reserved });
        }
        let confirmed = confirmed.get(sku().as_str()).copied().unwrap_or_default();
        if i128::from(sold) != i128::from(confirmed) {
            findings.push(Finding::SoldDiffers { sku: sku(), sold, confirmed });
        }
    }
    findings.extend(stored.into_keys().map(|subject| Finding::StockFromNowhere { subject }));
    facts
}

/// The stock by its subject; reservations, which are state too, are passed over.
fn read(state: &[ReadMessage], findings: &mut Vec<Finding>) -> BTreeMap<String, Pieces> {
    let any = Subject::of_state(OWNER, KIND, "");
    let mut stored = BTreeMap::new();
    for message in state.iter().filter(|message| message.subject.starts_with(any.as_str())) {
        match serde_json::from_slice(&message.payload) {
            Ok(pieces) => {
                stored.insert(message.subject.clone(), pieces);
            }
            Err(error) => findings.push(Finding::Unreadable {
                stream: EVENTS,
                sequence: message.sequence,
                why: format!("{}: {error}", message.subject),
            }),
        }
    }
    stored
}

/// Pieces in confirmed orders, by SKU.
fn confirmed(accounts: &Accounts) -> BTreeMap<&str, u64> {
    let mut pieces: BTreeMap<&str, u64> = BTreeMap::new();
    let confirmed = accounts.orders.values().filter(|account| !account.confirmed.is_empty());
    let orders = confirmed.filter_map(|account| account.placed.first());
    for line in orders.flat_map(|(order, _)| order.lines.iter().flatten()) {
        *pieces.entry(&line.sku).or_default() += u64::from(line.quantity);
    }
    pieces
}
