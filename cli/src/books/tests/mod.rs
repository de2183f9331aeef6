//! One small shop whose books add up, and every way to spoil them.

use ::audit::{Entry, Growth};
use events::{
    AuditSealed, CancelReason, Channel, Currency, DeclineReason, InventoryRejected, InventoryReleased,
    InventoryReserved, Line, Missing, NotificationSent, OrderCancelled, OrderConfirmed, OrderPlaced,
    PaymentDeclined, PaymentProcessed, StockReceived,
};
use jetlag::{Envelope, Payload, Subject};
use time::OffsetDateTime;

use super::*;

mod orders;
mod records;

/// What happened, before it is written down.
#[derive(Clone, Default)]
struct Shop {
    happened: Vec<Envelope>,
    stock: BTreeMap<String, (i64, i64, i64)>,
    ledger: Ledger,
    received: Received,
}

fn gbp() -> Currency {
    Currency::new("GBP")
}

impl Shop {
    /// Ten `A` arrive; order 1 takes three and pays, order 2 wants too many, the card of order 3 is declined.
    fn open() -> Self {
        let mut shop = Self::default();
        shop.note(&StockReceived { sku: "A".into(), quantity: 10 });
        shop.place("1", 3);
        shop.reserve("1");
        shop.note(&PaymentProcessed {
            order_id: "1".into(),
            customer_id: "C".into(),
            amount: amount(),
            currency: gbp(),
            payment_id: "pi_1".into(),
        });
        shop.confirm("1");
        shop.tell("1", "orders.confirmed");
        shop.place("2", 11);
        shop.note(&InventoryRejected {
            order_id: "2".into(),
            customer_id: "C".into(),
            amount: amount(),
            currency: gbp(),
            missing: vec![Missing { sku: "A".into(), requested: 11, available: 7 }],
        });
        shop.cancel("2", CancelReason::OutOfStock);
        shop.tell("2", "orders.cancelled");
        shop.place("3", 2);
        shop.reserve("3");
        let reason = DeclineReason::InsufficientFunds;
        shop.note(&PaymentDeclined {
            order_id: "3".into(),
            customer_id: "C".into(),
            amount: amount(),
            currency: gbp(),
            reason,
        });
        shop.release("3");
        shop.cancel("3", CancelReason::PaymentDeclined);
        shop.tell("3", "orders.cancelled");
        shop.stock_is("A", (7, 0, 3));
        shop.ledger.charges = vec![charge("1", 1250)];
        shop.ledger.total = [("gbp".to_owned(), 1250)].into();
        shop.ledger.declines = 1;
        shop.received = Received { total: 3, distinct: 3, duplicates: Vec::new() };
        shop
    }

    fn note<P: Payload>(&mut self, data: &P) {
        let id = format!("e{}", self.happened.len());
        self.happened.push(Envelope {
            id: id.clone(),
            kind: P::TYPE.into(),
            aggregate_id: data.aggregate_id().into(),
            data: serde_json::value::to_raw_value(data).unwrap(),
            timestamp: OffsetDateTime::UNIX_EPOCH,
            trace_id: jetlag::derive(&[&id]).replace('-', ""),
        });
    }

    fn place(&mut self, order: &str, quantity: u32) {
        let lines = Some(vec![Line { sku: "A".into(), quantity }]);
        let (order_id, customer_id) = (order.into(), "C".into());
        self.note(&OrderPlaced { order_id, customer_id, amount: amount(), currency: gbp(), lines });
    }

    fn reserve(&mut self, order: &str) {
        let (order_id, customer_id) = (order.into(), "C".into());
        self.note(&InventoryReserved { order_id, customer_id, amount: amount(), currency: gbp() });
    }

    fn release(&mut self, order: &str) {
        let (order_id, customer_id) = (order.into(), "C".into());
        self.note(&InventoryReleased { order_id, customer_id, amount: amount(), currency: gbp() });
    }

    fn confirm(&mut self, order: &str) {
        let (order_id, customer_id) = (order.into(), "C".into());
        self.note(&OrderConfirmed { order_id, customer_id, amount: amount(), currency: gbp() });
    }

    fn cancel(&mut self, order: &str, reason: CancelReason) {
        let (order_id, customer_id) = (order.into(), "C".into());
        self.note(&OrderCancelled { order_id, customer_id, amount: amount(), currency: gbp(), reason });
    }

    fn tell(&mut self, order: &str, about: &str) {
        let message_id = format!("m{}", self.happened.len());
        let (order_id, about) = (order.into(), about.into());
        self.note(&NotificationSent { order_id, channel: Channel::Webhook, message_id, about });
    }

    fn stock_is(&mut self, sku: &str, pieces: (i64, i64, i64)) {
        self.stock.insert(sku.into(), pieces);
    }

    /// Takes back every event of type `P` about `aggregate`.
    fn forget<P: Payload>(&mut self, aggregate: &str) {
        let before = self.happened.len();
        self.happened.retain(|event| event.kind != P::TYPE || event.aggregate_id != aggregate);
        assert!(self.happened.len() < before);
    }

    /// Writes it down as the broker would, with one checkpoint at the end.
    fn evidence(&self) -> Evidence {
        let mut happened = self.happened.clone();
        let bodies: Vec<Vec<u8>> = happened.iter().map(|event| event.write().unwrap()).collect();
        let entries =
            (1..).zip(&bodies).map(|(sequence, bytes)| Entry { sequence, bytes, is_checkpoint: false });
        let Growth::Sealed { chain, from } = Chain::default().grow(entries).unwrap() else { panic!() };
        let mut sealed = Self::default();
        sealed.note(&AuditSealed {
            checkpoint: chain.checkpoint.to_string(),
            from,
            to: chain.to,
            entries: chain.to,
            hash: chain.hash.to_string(),
            previous: Chain::default().hash.to_string(),
        });
        happened.append(&mut sealed.happened);
        let events: Vec<ReadMessage> =
            (1..).zip(&happened).map(|(sequence, event)| stored(sequence, event)).collect();
        Evidence {
            accepted: ["1", "2", "3"].map(str::to_owned).into(),
            trail: events.iter().map(copied).collect(),
            events,
            head: Some(chain),
            state: self.stock.iter().map(|(sku, pieces)| state(sku, *pieces)).collect(),
            ledger: self.ledger.clone(),
            received: self.received.clone(),
            ..Evidence::default()
        }
    }
}

fn amount() -> events::Amount {
    "12.50".parse().unwrap()
}

fn charge(order: &str, amount: u64) -> Charge {
    let payment_intent = format!("pi_{order}");
    Charge { payment_intent, order_id: Some(order.into()), amount, currency: "gbp".into() }
}

fn message(subject: &str, sequence: u64, payload: Vec<u8>) -> ReadMessage {
    let stored_at =
        OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(i64::try_from(sequence).unwrap() * 10);
    ReadMessage { subject: subject.into(), sequence, stored_at, headers: Vec::new(), payload: payload.into() }
}

fn stored(sequence: u64, event: &Envelope) -> ReadMessage {
    message(event.subject().as_str(), sequence, event.write().unwrap())
}

fn copied(event: &ReadMessage) -> ReadMessage {
    let source = format!("EVENTS {} *.*.*.* audit.{{{{partition(8,3)}}}} {}", event.sequence, event.subject);
    let headers = vec![("Nats-Stream-Source".to_owned(), source)];
    ReadMessage { subject: "audit.0".into(), headers, ..event.clone() }
}

fn state(sku: &str, (available, reserved, sold): (i64, i64, i64)) -> ReadMessage {
    let json = serde_json::json!({"available": available, "reserved": reserved, "sold": sold});
    message(Subject::of_state("inventory", "stock", sku).as_str(), 1, json.to_string().into_bytes())
}

/// What is found after `spoil` had its way with the shop.
fn found(spoil: impl FnOnce(&mut Shop)) -> Vec<Finding> {
    let mut shop = Shop::open();
    spoil(&mut shop);
    Books::balance(&shop.evidence()).findings
}

/// What is found after `spoil` had its way with what was read.
fn read(spoil: impl FnOnce(&mut Evidence)) -> Vec<Finding> {
    let mut evidence = Shop::open().evidence();
    spoil(&mut evidence);
    Books::balance(&evidence).findings
}

fn contradiction(order: &str, ending: &str, event: &'static str, (expected, found): (u64, u64)) -> Finding {
    Finding::Contradiction { order: order.into(), ending: ending.into(), event, expected, found }
}
