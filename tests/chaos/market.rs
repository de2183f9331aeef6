//! What customers ask for: orders over some hundred things, a few of them in everybody's mind, made from a seed.

use jetlag_cli::demo::Opening;
use jetlag_cli::orders::{Order, OrderLine};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;

/// The gateway declines amounts above this many minor units (jetlag.yaml).
pub const DECLINED_ABOVE_MINOR: i64 = 150_000;
/// How many different things there are; the first few are what half of all lines ask for.
const SKUS: usize = 300;
const HOT_SKUS: usize = 12;
/// One in so many …
const DECLINED: u32 = 20;
const BY_INTAKE: u32 = 4;
const SAID_TWICE: u32 = 4;
const CLASHES: u32 = 100;
const BAD_REQUESTS: u32 = 50;
const BAD_EVENTS: u32 = 100;

/// Everything that is asked for, in this order.
#[derive(Debug, Clone)]
pub struct Market {
    pub wishes: Vec<Wish>,
    pub opening: Opening,
}

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// An order over `POST /orders`. If it clashes, another order under its id comes later, and is refused.
    Request { order: Order, clashes: bool },
    /// An order from a publisher outside, as the article writes it; it may come a second time under another message id.
    Event { order: Order, twice: bool },
    /// A request that is no order.
    BadRequest { body: String },
    /// An event that is none, or none that can be, and the reason that its dead letter must give.
    BadEvent { payload: String, reason: &'static str },
}

impl Market {
    /// `count` wishes from `seed`, and the stock for them: too little of the hottest things.
    pub fn of(seed: u64, count: usize) -> Self {
        let mut dice = SmallRng::seed_from_u64(seed);
        let wishes: Vec<Wish> = (0..count).map(|number| wish(&mut dice, number)).collect();
        let orders: Vec<Order> = wishes.iter().filter_map(Wish::order).cloned().collect();
        let opening = Opening::of(&orders);
        Self { wishes, opening }
    }
}

impl Wish {
    /// The order, if it is one.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::Request { order, .. } | Self::Event { order, .. } => Some(order),
            Self::BadRequest { .. } | Self::BadEvent { .. } => None,
        }
    }
}

/// Whether the gateway will decline the card.
pub fn is_declined(order: &Order) -> bool {
    let digits = if order.currency == "JPY" { 0 } else { 2 };
    order.amount > Decimal::new(DECLINED_ABOVE_MINOR, digits)
}

/// The event that an order is for a publisher outside.
pub fn event(id: &str, order: &Order) -> String {
    let data = serde_json::to_string(order).unwrap();
    let order_id = serde_json::to_string(&order.order_id).unwrap();
    format!(
        r#"{{"id":"{id}","type":"orders.placed","aggregate_id":{order_id},"data":{data},"timestamp":"2026-11-21T14:00:00Z","trace_id":"0af7651916cd43dd8448eb211c80319c"}}"#
    )
}

fn one_in(dice: &mut SmallRng, many: u32) -> bool {
    dice.random_ratio(1, many)
}

fn wish(dice: &mut SmallRng, number: usize) -> Wish {
    if one_in(dice, BAD_REQUESTS) {
        return bad_request(dice, number);
    }
    if one_in(dice, BAD_EVENTS) {
        return bad_event(dice, number);
    }
    let order = order(dice, number);
    if one_in(dice, BY_INTAKE) {
        Wish::Event { order, twice: one_in(dice, SAID_TWICE) }
    } else {
        Wish::Request { order, clashes: one_in(dice, CLASHES) }
    }
}

fn order(dice: &mut SmallRng, number: usize) -> Order {
    let currency = *["GBP", "GBP", "USD", "EUR", "JPY"].choose(dice).unwrap();
    let minor = if one_in(dice, DECLINED) {
        DECLINED_ABOVE_MINOR + dice.random_range(1..100_000)
    } else {
        dice.random_range(100..=DECLINED_ABOVE_MINOR)
    };
    let lines = (0..dice.random_range(1..=3)).map(|_| {
        let sku = if dice.random() { dice.random_range(0..HOT_SKUS) } else { dice.random_range(0..SKUS) };
        OrderLine { sku: format!("SKU.{sku:03}"), quantity: dice.random_range(1..=5) }
    });
    let lines = lines.collect();
    Order {
        // A character that subjects do not have, in one of them.
        order_id: if number.is_multiple_of(97) { format!("C {number}.*") } else { format!("C{number}") },
        customer_id: format!("customer-{}", dice.random_range(0..1_000)),
        amount: Decimal::new(minor, if currency == "JPY" { 0 } else { 2 }),
        currency: currency.to_owned(),
        lines,
    }
}

fn bad_request(dice: &mut SmallRng, number: usize) -> Wish {
    let order = order(dice, number);
    let body = serde_json::to_string(&order).unwrap();
    let wrong = ["\"currency\":\"XXX\"", "\"currency\":\"GBP\",\"amuont\":1", "\"currency\":7"];
    let currency = format!("\"currency\":\"{}\"", order.currency);
    Wish::BadRequest { body: body.replace(&currency, wrong.choose(dice).unwrap()) }
}

fn bad_event(dice: &mut SmallRng, number: usize) -> Wish {
    let order = order(dice, number);
    let good = event(&format!("bad-{number}"), &order);
    let currency = format!("\"currency\":\"{}\"", order.currency);
    let (payload, reason) = match dice.random_range(0..4) {
        0 => (good.trim_end_matches('}').to_owned(), "not_an_event"),
        1 => (good.replace("\"type\":\"orders.placed\"", "\"type\":\"orders.paid\""), "unknown_type"),
        2 => (good.replace(&currency, "\"currency\":\"XXX\""), "invalid_data"),
        _ => (good.replace("\"quantity\":", "\"quantity\":-"), "invalid_data"),
    };
    Wish::BadEvent { payload, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_market_and_it_has_everything() {
        let market = Market::of(7, 2_000);
        assert_eq!(market.wishes, Market::of(7, 2_000).wishes);
        assert_ne!(market.wishes, Market::of(8, 2_000).wishes);
        let count = |is: fn(&Wish) -> bool| market.wishes.iter().filter(|wish| is(wish)).count();
        assert!(count(|wish| matches!(wish, Wish::Request { clashes: true, .. })) > 0);
        assert!(count(|wish| matches!(wish, Wish::Event { twice: true, .. })) > 0);
        assert!(count(|wish| matches!(wish, Wish::BadRequest { .. })) > 10);
        assert!(count(|wish| matches!(wish, Wish::BadEvent { .. })) > 5);
        assert!(count(|wish| wish.order().is_some_and(is_declined)) > 20);
        assert!(market.opening.rejected_in_file_order > 100);
    }
}
