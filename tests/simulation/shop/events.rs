//! What happens in the shop.

use jetlag::{Payload, one_of};
use serde::{Deserialize, Serialize};

/// So many of one article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub sku: String,
    pub quantity: u32,
}

/// The value of stock that a decision was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub sku: String,
    pub moves: Vec<String>,
}

macro_rules! event {
    ($(#[$meta:meta])* $name:ident, $kind:literal, $aggregate:literal, $id:ident, $once:literal
     { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { pub $id: String, $(pub $field: $type),* }

        impl Payload for $name {
            const TYPE: &'static str = $kind;
            const AGGREGATE: &'static str = $aggregate;
            const ONCE_PER_AGGREGATE: bool = $once;
            fn aggregate_id(&self) -> &str { &self.$id }
            fn example() -> Self { Self { $id: "X-1".into(), $($field: Default::default()),* } }
        }
    };
}

event!(OrderPlaced, "orders.placed", "order", order_id, true { customer: String, lines: Vec<Line> });
event!(OrderConfirmed, "orders.confirmed", "order", order_id, true {});
event!(OrderCancelled, "orders.cancelled", "order", order_id, false {});
event!(
    /// What was seen, also of an article that is only looked at, and when the handler began.
    Reserved, "inventory.reserved", "order", order_id, false
    { lines: Vec<Line>, seen: Vec<Seen>, beside: Vec<Seen>, asked_ms: u64 }
);
event!(
    /// What was seen, and when the handler began that saw it.
    Rejected, "inventory.rejected", "order", order_id, false { lines: Vec<Line>, seen: Vec<Seen>, asked_ms: u64 }
);
event!(Released, "inventory.released", "order", order_id, false {});
event!(Charged, "payments.processed", "order", order_id, false { lines: Vec<Line> });
event!(Declined, "payments.declined", "order", order_id, false { lines: Vec<Line> });
event!(LabelPrinted, "labels.printed", "order", order_id, false {});
event!(Passed, "screening.passed", "order", order_id, false { throw: u64 });
event!(
    /// The `number`th time that something about a customer was odd.
    Flagged, "screening.flagged", "customer", customer, false { order_id: String, number: u64 }
);

one_of! {
    /// What the desk waits for.
    pub enum Settled { Rejected(Rejected), Charged(Charged), Declined(Declined) }
}
one_of! {
    /// How an order ends.
    pub enum Ended { Confirmed(OrderConfirmed), Cancelled(OrderCancelled) }
}
one_of! {
    /// What moves stock.
    pub enum Moves { Placed(OrderPlaced), Charged(Charged), Declined(Declined) }
}
one_of! {
    /// What became of stock.
    pub enum Moved { Reserved(Reserved), Rejected(Rejected), Released(Released) }
}
one_of! {
    /// What the gateway said.
    pub enum Payment { Charged(Charged), Declined(Declined) }
}
one_of! {
    /// What the oracle said.
    pub enum Omen { Passed(Passed), Flagged(Flagged) }
}
