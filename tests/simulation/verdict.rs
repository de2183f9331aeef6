//! What must be true of the shop when everything has come to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jetlag::Subject;
use jetlag::testing::{DeadLetter, World};

use crate::scenario::Shop;
use crate::shop::chain::{Chain, HEAD};
use crate::shop::events::{
    Charged, Declined, Flagged, OrderCancelled, OrderConfirmed, OrderPlaced, Passed, Rejected, Released,
    Reserved, Seen,
};
use crate::shop::gateway::Gateway;
use crate::shop::oracle::{Flags, Oracle, TOO_OFTEN};
use crate::shop::stockroom::{AT_FIRST, Stock};

/// Checks everything; the first thing that is not true is the error.
pub fn check(world: &World, shop: &Shop, orders: &[OrderPlaced]) -> Result<(), String> {
    orders_end(world, &shop.gateway, orders)?;
    stock_is_whole(world, orders)?;
    oracle_was_heard_once(world, &shop.oracle, orders)?;
    if shop.has_chain { chain_is_whole(world) } else { Ok(()) }
}

fn once<T>(what: &str, all: &[T], id: impl Fn(&T) -> &str) -> Result<BTreeSet<String>, String> {
    let mut ids = BTreeSet::new();
    for one in all {
        if !ids.insert(id(one).to_owned()) {
            return Err(format!("{what} {} happened twice", id(one)));
        }
    }
    Ok(ids)
}

fn same(what: &str, left: &BTreeSet<String>, right: &BTreeSet<String>) -> Result<(), String> {
    if left == right { Ok(()) } else { Err(format!("{what}: {left:?} and {right:?}")) }
}

/// Every order that came is there once, and is confirmed if it was charged, else cancelled.
fn orders_end(world: &World, gateway: &Gateway, orders: &[OrderPlaced]) -> Result<(), String> {
    let placed = once("the placing of", &world.committed::<OrderPlaced>(), |e| &e.order_id)?;
    let reserved = once("the reservation of", &world.committed::<Reserved>(), |e| &e.order_id)?;
    let rejected = once("the rejection of", &world.committed::<Rejected>(), |e| &e.order_id)?;
    let charged = once("the charge of", &world.committed::<Charged>(), |e| &e.order_id)?;
    let declined = once("the decline of", &world.committed::<Declined>(), |e| &e.order_id)?;
    let released = once("the release of", &world.committed::<Released>(), |e| &e.order_id)?;
    let confirmed = once("the confirmation of", &world.committed::<OrderConfirmed>(), |e| &e.order_id)?;
    let cancelled = once("the cancellation of", &world.committed::<OrderCancelled>(), |e| &e.order_id)?;

    let came: BTreeSet<String> = orders.iter().map(|order| order.order_id.clone()).collect();
    same("orders that came, and those placed", &came, &placed)?;
    let either = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.union(b).cloned().collect::<BTreeSet<_>>();
    same("orders placed, and those reserved or rejected", &placed, &either(&reserved, &rejected))?;
    same("orders reserved, and those charged or declined", &reserved, &either(&charged, &declined))?;
    same("orders declined, and those released", &declined, &released)?;
    same("orders charged, and those confirmed", &charged, &confirmed)?;
    same("orders rejected or declined, and those cancelled", &either(&rejected, &declined), &cancelled)?;
    for (one, other) in [(&reserved, &rejected), (&charged, &declined), (&confirmed, &cancelled)] {
        same(
            "orders that went both ways, and none",
            &one.intersection(other).cloned().collect(),
            &BTreeSet::new(),
        )?;
    }

    let ledger = gateway.ledger();
    once("the ledger's entry of", &ledger, |entry| &entry.order_id)?;
    let paid = ledger.iter().filter(|entry| entry.is_approved).map(|entry| entry.order_id.clone()).collect();
    same("orders paid for, and those confirmed", &paid, &confirmed)
}

/// No stock is ever negative or lost, nothing stays reserved, and every decision was made on stock that there was.
fn stock_is_whole(world: &World, orders: &[OrderPlaced]) -> Result<(), String> {
    let skus: BTreeSet<&str> =
        orders.iter().flat_map(|order| &order.lines).map(|line| line.sku.as_str()).collect();
    let mut moves: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for sku in skus {
        let mut before = Stock::default();
        for stock in world.history::<Stock>("stockroom", sku) {
            let Stock { available, reserved, sold, .. } = stock;
            if available < 0 || reserved < 0 || sold < 0 || available + reserved + sold != AT_FIRST {
                return Err(format!("stock of {sku} after {before:?}: {stock:?}"));
            }
            // A group commit writes only the last of several values.
            if !stock.moves.starts_with(&before.moves) || stock.moves.len() == before.moves.len() {
                return Err(format!("stock of {sku} goes from {before:?} to {stock:?}"));
            }
            before = stock;
        }
        if before.reserved != 0 {
            return Err(format!("stock of {sku} in the end: {before:?}"));
        }
        once(&format!("the move of {sku}"), &before.moves, String::as_str)?;
        moves.insert(sku.to_owned(), before.moves);
    }
    let reserved =
        world.committed::<Reserved>().into_iter().map(|e| (e.order_id, [e.seen, e.beside].concat()));
    let rejected = world.committed::<Rejected>().into_iter().map(|e| (e.order_id, e.seen));
    for (order_id, seen) in reserved.chain(rejected) {
        for Seen { sku, moves: seen } in seen {
            if !moves.get(&sku).map_or(seen.is_empty(), |moves| moves.starts_with(&seen)) {
                return Err(format!(
                    "order {order_id} was decided on stock of {sku} that never was: {seen:?}"
                ));
            }
        }
    }
    decisions_saw_what_was_there(world)
}

/// Nothing is decided on stock that is only read and was no more when the handler began, or that never was there together:
/// no order is rejected because of it, and none reserved.
fn decisions_saw_what_was_there(world: &World) -> Result<(), String> {
    let rejected = world.committed_when::<Rejected>().into_iter();
    let rejected = rejected.map(|(committed, e)| (committed, e.order_id, e.asked_ms, e.seen));
    let reserved = world.committed_when::<Reserved>().into_iter();
    let reserved = reserved.map(|(committed, e)| (committed, e.order_id, e.asked_ms, e.beside));
    for (committed, order_id, asked_ms, seen) in rejected.chain(reserved) {
        let asked = Duration::from_millis(asked_ms);
        let (mut from, mut to) = (asked, committed);
        for Seen { sku, moves } in seen {
            let values = world.history_when::<Stock>("stockroom", &sku);
            let at = values.partition_point(|(_, stock)| stock.moves.len() < moves.len());
            // A value is there from when it was written until the next one is.
            let (begins, ends) = if moves.is_empty() {
                (Duration::ZERO, values.first())
            } else {
                (values.get(at).map_or(Duration::MAX, |(begins, _)| *begins), values.get(at + 1))
            };
            let ends = ends.map_or(Duration::MAX, |(ends, _)| *ends);
            if begins > to || ends < from {
                return Err(format!(
                    "order {order_id} is decided, asked at {asked:?} and committed at {committed:?}, on stock of {sku} \
                     that was there from {begins:?} to {ends:?}: {moves:?}"
                ));
            }
            (from, to) = (from.max(begins), to.min(ends));
        }
    }
    Ok(())
}

/// At most one thing is said about an order, and flags are counted as often as they were raised.
fn oracle_was_heard_once(world: &World, oracle: &Oracle, orders: &[OrderPlaced]) -> Result<(), String> {
    let passed = once("an oracle about", &world.committed::<Passed>(), |e| &e.order_id)?;
    let flagged = world.committed::<Flagged>();
    let because = once("a flag because of", &flagged, |e| &e.order_id)?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for flag in &flagged {
        let count = counts.entry(&flag.customer).or_default();
        *count += 1;
        if flag.number != *count {
            return Err(format!("flag {} of {} is the {count}th", flag.number, flag.customer));
        }
    }
    // Silence about an order is right only where so many flags were really raised.
    let letters = world.dead_letters();
    for (order_id, saw) in oracle.silences() {
        let order = orders.iter().find(|order| order.order_id == order_id);
        let count = order.and_then(|order| counts.get(order.customer.as_str())).copied().unwrap_or_default();
        let about = Subject::any_of_type("orders.placed", &order_id).as_str().replace('*', "");
        let has_other_end = passed.contains(&order_id) || because.contains(&order_id) || {
            let of_order =
                |letter: &&DeadLetter| letter.function == "oracle" && letter.input.starts_with(&about);
            letters.iter().filter(of_order).any(|letter| letter.error != TOO_OFTEN)
        };
        if !has_other_end && saw.iter().all(|&saw| saw > count) {
            return Err(format!("silence about {order_id} because of {saw:?} flags, and there are {count}"));
        }
    }
    for (customer, count) in counts {
        let counted = world.history::<Flags>("oracle", customer).last().map_or(0, |flags| flags.count);
        if counted != count {
            return Err(format!("{customer} has {count} flags, and {counted} are counted"));
        }
    }
    Ok(())
}

/// Every link is there, in order.
fn chain_is_whole(world: &World) -> Result<(), String> {
    let whole = world.trail().iter().fold(Chain::default(), |chain, bytes| chain.with(bytes));
    let chain = world.history::<Chain>("chain", HEAD).pop().unwrap_or_default();
    if chain == whole { Ok(()) } else { Err(format!("the chain is {chain:?}, and the trail {whole:?}")) }
}
