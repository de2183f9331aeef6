//! What happened to each order, and to the stock: the history, sorted by what it is about.

use std::collections::BTreeMap;

use events::{
    CancelReason, InventoryRejected, InventoryReleased, InventoryReserved, NotificationSent, OrderCancelled,
    OrderConfirmed, OrderPlaced, PaymentDeclined, PaymentProcessed, StockReceived,
};
use jetlag::topology::EVENTS;
use jetlag::{Envelope, Payload};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use super::finding::Finding;
use super::history::{Happening, History};

/// What happens to orders.
const OF_ORDERS: [&str; 9] = [
    OrderPlaced::TYPE,
    InventoryReserved::TYPE,
    InventoryRejected::TYPE,
    InventoryReleased::TYPE,
    PaymentProcessed::TYPE,
    PaymentDeclined::TYPE,
    OrderConfirmed::TYPE,
    OrderCancelled::TYPE,
    NotificationSent::TYPE,
];

/// Everything that is accounted for.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) orders: BTreeMap<String, Account>,
    /// Pieces that arrived, by SKU.
    pub(super) arrived: BTreeMap<String, u64>,
}

/// What happened to one order.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) placed: Vec<(OrderPlaced, Moment)>,
    pub(super) reserved: u64,
    pub(super) rejected: u64,
    pub(super) released: u64,
    pub(super) processed: Vec<PaymentProcessed>,
    pub(super) declined: u64,
    pub(super) confirmed: Vec<(OrderConfirmed, Moment)>,
    pub(super) cancelled: Vec<(CancelReason, Moment)>,
    pub(super) notified: Vec<NotificationSent>,
}

/// When something was committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The sequence in EVENTS; 0 if it is not known any more, and `at` is not it either.
    pub(super) sequence: u64,
    pub(super) at: OffsetDateTime,
}

impl Accounts {
    /// Sorts `history`.
    pub(super) fn of(history: &History, findings: &mut Vec<Finding>) -> Self {
        let mut accounts = Self::default();
        for happening in &history.happenings {
            if let Err(error) = accounts.enter(happening) {
                let why = format!("{}: {error}", happening.envelope.kind);
                findings.push(Finding::Unreadable { stream: EVENTS, sequence: happening.sequence, why });
            }
        }
        accounts
    }

    /// Whether there is an event of this order's being placed.
    pub(super) fn is_placed(&self, order: &str) -> bool {
        self.orders.get(order).is_some_and(|account| !account.placed.is_empty())
    }

    fn enter(&mut self, happening: &Happening) -> Result<(), serde_json::Error> {
        let envelope = &happening.envelope;
        let moment = Moment { sequence: happening.sequence, at: happening.at };
        if envelope.kind == StockReceived::TYPE {
            let StockReceived { sku, quantity } = data(envelope)?;
            *self.arrived.entry(sku).or_default() += u64::from(quantity);
            return Ok(());
        }
        // Checkpoints, receipts, and whatever other functions tell of.
        if !OF_ORDERS.contains(&envelope.kind.as_str()) {
            return Ok(());
        }
        let account = self.orders.entry(envelope.aggregate_id.clone()).or_default();
        match envelope.kind.as_str() {
            OrderPlaced::TYPE => account.placed.push((data(envelope)?, moment)),
            InventoryReserved::TYPE => account.reserved += 1,
            InventoryRejected::TYPE => account.rejected += 1,
            InventoryReleased::TYPE => account.released += 1,
            PaymentProcessed::TYPE => account.processed.push(data(envelope)?),
            PaymentDeclined::TYPE => account.declined += 1,
            OrderConfirmed::TYPE => account.confirmed.push((data(envelope)?, moment)),
            OrderCancelled::TYPE => {
                let cancelled: OrderCancelled = data(envelope)?;
                account.cancelled.push((cancelled.reason, moment));
            }
            NotificationSent::TYPE => account.notified.push(data(envelope)?),
            _ => {}
        }
        Ok(())
    }
}

impl Account {
    /// The reason as a program reads it.
    pub(super) const fn reason(reason: CancelReason) -> &'static str {
        match reason {
            CancelReason::OutOfStock => "out_of_stock",
            CancelReason::PaymentDeclined => "payment_declined",
            CancelReason::Other => "other",
        }
    }

    /// Every end that it came to, in words.
    pub(super) fn endings(&self) -> Vec<String> {
        let confirmed = self.confirmed.iter().map(|_| "confirmed".to_owned());
        let cancelled =
            self.cancelled.iter().map(|(reason, _)| format!("cancelled ({})", Self::reason(*reason)));
        confirmed.chain(cancelled).collect()
    }

    /// Whether it asked for goods.
    pub(super) fn has_lines(&self) -> bool {
        self.placed.iter().any(|(order, _)| order.lines.as_ref().is_some_and(|lines| !lines.is_empty()))
    }
}

fn data<T: DeserializeOwned>(envelope: &Envelope) -> Result<T, serde_json::Error> {
    serde_json::from_str(envelope.data.get())
}
