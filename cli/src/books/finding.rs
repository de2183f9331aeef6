//! What does not add up: one value for each way.

use std::fmt;

use serde::Serialize;

/// Something that does not add up. It names what to look at: `jetlag trail ORDER` shows the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields say what they are, and `Display` says it in a sentence")]
pub enum Finding {
    /// Something that should be an event, or state, is none.
    Unreadable { stream: &'static str, sequence: u64, why: String },
    /// Orders were refused or not answered.
    NotAccepted { orders: u64, why: String },
    /// The shop accepted an order and has no event of it.
    NotPlaced { order: String },
    /// One order id was placed more than once.
    PlacedTwice { order: String, times: usize },
    /// Something happened to an order that nobody placed.
    NobodysOrder { order: String },
    /// An order is neither confirmed nor cancelled.
    NotEnded { order: String },
    /// An order ended more than once.
    EndedTwice { order: String, endings: Vec<String> },
    /// What happened to an order does not lead to its end.
    Contradiction { order: String, ending: String, event: &'static str, expected: u64, found: u64 },
    /// An event tells of another amount than was ordered.
    AmountDiffers { order: String, event: &'static str, placed: String, found: String },
    /// A confirmed order was not charged.
    NotCharged { order: String },
    /// An order was charged more than once.
    ChargedTwice { order: String, times: usize },
    /// A charge is of another amount than the order.
    ChargeDiffers { order: String, charged: String, expected: String },
    /// A charge belongs to an order that is not confirmed, or to none.
    ChargedForNothing { order: Option<String>, payment: String, charged: String },
    /// The gateway's total is another than that of the confirmed orders.
    TotalDiffers { currency: String, charged_minor: u64, confirmed_minor: u64 },
    /// The gateway declined more, or fewer, cards than there are events of.
    DeclinesDiffer { gateway: u64, events: u64 },
    /// A customer was not told how the order ended.
    NotNotified { order: String },
    /// A customer was told more than once, or something else than what happened.
    Misinformed { order: String, ending: String, told: Vec<String> },
    /// The receiver counted others than were sent.
    NoticesDiffer { sent: u64, received: u64 },
    /// Messages arrived more than once.
    ReceivedTwice { deliveries: u64, messages: u64, ids: Vec<String> },
    /// The pieces of a SKU are not those that arrived.
    StockDiffers { sku: String, received: u64, available: i64, reserved: i64, sold: i64 },
    /// There are less than none of a SKU.
    StockNegative { sku: String, available: i64, reserved: i64, sold: i64 },
    /// Pieces are still set aside though every order has ended.
    StillReserved { sku: String, reserved: i64 },
    /// Other pieces were sold than were confirmed.
    SoldDiffers { sku: String, sold: i64, confirmed: u64 },
    /// There is stock of what never arrived.
    StockFromNowhere { subject: String },
    /// An event is not in the audit trail.
    NotInTrail { subject: String },
    /// An event is in the audit trail more than once.
    TwiceInTrail { subject: String },
    /// The audit trail is not what was sealed.
    TrailBroken { why: String },
    /// The trail has entries that nobody sealed, more than the last checkpoint's own.
    NotSealed { entries: u64 },
    /// An input was given up.
    DeadLetter { function: String, input: String, reason: String, error: String },
    /// A consumer has not handled everything.
    Unhandled { stream: String, consumer: String, waiting: u64, unanswered: u64 },
    /// Failed attempts wait to be made again.
    RetriesWaiting { messages: u64 },
    /// Something grew by more, or less, in this run than it had reason to.
    GrewOtherwise { what: &'static str, before: u64, after: u64, expected: u64 },
    /// The wait for the end was given up.
    Stalled { seconds: u64 },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { stream, sequence, why } => {
                write!(f, "message {sequence} of {stream} cannot be read: {why}")
            }
            Self::NotAccepted { orders, why } => write!(f, "{orders} orders were not accepted: {why}"),
            Self::DeadLetter { function, input, reason, error } => {
                write!(f, "{function} gave up {input}: {reason}: {error}")
            }
            Self::Unhandled { stream, consumer, waiting, unanswered } => {
                write!(f, "{consumer} has {waiting} inputs of {stream} to handle, and {unanswered} under way")
            }
            Self::RetriesWaiting { messages } => {
                write!(f, "{messages} failed attempts wait to be made again")
            }
            Self::GrewOtherwise { what, before, after, expected } => {
                write!(f, "{what} went from {before} to {after} in this run, and should be {expected}")
            }
            Self::Stalled { seconds } => write!(f, "nothing moved any more for {seconds} s"),
            _ => self.of_order(f),
        }
    }
}

impl Finding {
    fn of_order(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPlaced { order } => write!(f, "order {order} was accepted, and there is no event of it"),
            Self::PlacedTwice { order, times } => write!(f, "order {order} was placed {times} times"),
            Self::NobodysOrder { order } => write!(f, "order {order} was never placed, and has events"),
            Self::NotEnded { order } => write!(f, "order {order} is neither confirmed nor cancelled"),
            Self::EndedTwice { order, endings } => {
                write!(f, "order {order} ended {} times: {}", endings.len(), endings.join(", "))
            }
            Self::Contradiction { order, ending, event, expected, found } => {
                write!(f, "order {order} is {ending}, and has {event} {found} times instead of {expected}")
            }
            Self::AmountDiffers { order, event, placed, found } => {
                write!(f, "order {order} was placed for {placed}, and its {event} says {found}")
            }
            _ => self.of_money(f),
        }
    }

    fn of_money(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCharged { order } => write!(f, "order {order} is confirmed, and was not charged"),
            Self::ChargedTwice { order, times } => write!(f, "order {order} was charged {times} times"),
            Self::ChargeDiffers { order, charged, expected } => {
                write!(f, "order {order} was charged {charged} instead of {expected}")
            }
            Self::ChargedForNothing { order, payment, charged } => {
                let order = order.as_deref().unwrap_or("no order at all");
                write!(f, "{payment} charged {charged} for {order}, which is not confirmed")
            }
            Self::TotalDiffers { currency, charged_minor, confirmed_minor } => {
                write!(
                    f,
                    "{currency}: {charged_minor} were charged, {confirmed_minor} are confirmed (minor units)"
                )
            }
            Self::DeclinesDiffer { gateway, events } => {
                write!(f, "the gateway declined {gateway} times, and there are {events} payments.declined")
            }
            Self::NotNotified { order } => write!(f, "nobody was told how order {order} ended"),
            Self::Misinformed { order, ending, told } => {
                write!(f, "order {order} is {ending}, and its customer was told: {}", told.join(", "))
            }
            Self::NoticesDiffer { sent, received } => {
                write!(f, "{sent} notifications were sent, and {received} different ones arrived")
            }
            Self::ReceivedTwice { deliveries, messages, ids } => {
                write!(
                    f,
                    "{deliveries} notifications arrived, of {messages} different ones: {}",
                    ids.join(", ")
                )
            }
            _ => self.of_goods(f),
        }
    }

    fn of_goods(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StockDiffers { sku, received, available, reserved, sold } => write!(
                f,
                "SKU {sku}: {received} arrived, and {available} available + {reserved} reserved + {sold} sold are another number"
            ),
            Self::StockNegative { sku, available, reserved, sold } => {
                write!(f, "SKU {sku} is below zero: available {available}, reserved {reserved}, sold {sold}")
            }
            Self::StillReserved { sku, reserved } => {
                write!(f, "SKU {sku}: {reserved} are still set aside, and every order has ended")
            }
            Self::SoldDiffers { sku, sold, confirmed } => {
                write!(f, "SKU {sku}: {sold} are sold, and {confirmed} are in confirmed orders")
            }
            Self::StockFromNowhere { subject } => {
                write!(f, "{subject}: there is stock of what never arrived")
            }
            Self::NotInTrail { subject } => write!(f, "{subject} is not in the audit trail"),
            Self::TwiceInTrail { subject } => write!(f, "{subject} is in the audit trail more than once"),
            Self::TrailBroken { why } => write!(f, "the audit trail is broken: {why}"),
            Self::NotSealed { entries } => {
                write!(f, "{entries} entries at the end of the audit trail are not sealed")
            }
            // Every other one is told by a caller of this.
            other => write!(f, "{other:?}"),
        }
    }
}
