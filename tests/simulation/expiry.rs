//! Events expire while whoever should handle them is away for longer than the horizon; a rescue runs, dies, and runs again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jetlag::testing::{Simulated, Tally, World, simulate};

use crate::scenario;
use crate::shop::events::OrderPlaced;
use crate::verdict;

/// How long events are kept. It is long beside everything that a process waits for, as a day is.
const HORIZON: Duration = Duration::from_secs(600);
/// For how many horizons somebody is away.
const HORIZONS_AWAY: u32 = 3;
/// Within which time he goes away: before, or while, the first orders come.
const GOES_WITHIN: Duration = Duration::from_secs(30);
/// How many orders come, and within which time the same one may come again.
const ORDERS: u64 = 6;
const AGAIN_WITHIN: Duration = Duration::from_secs(20);
/// How many seeds are tried, as many as take some seconds, if EXPIRY_SEEDS does not say otherwise.
const SEEDS: u64 = 40;
/// How many are tried without a rescue.
const SEEDS_WITHOUT: u64 = 20;
/// Who may be away.
const AWAY: [&str; 5] = ["gateway", "till", "stockroom", "desk", "oracle"];

/// Runs the seed: with or without a rescue, its journal kept or not.
pub fn run(seed: u64, is_rescued: bool, is_journal_kept: bool) -> Simulated<Tally> {
    simulate(seed, is_journal_kept, async |world: &mut World| {
        world.expire_after(HORIZON);
        let shop = scenario::open(world);
        if is_rescued {
            world.rescue(HORIZON);
        }
        let placed = place(world);
        let dice = world.dice();
        let (from, to) = (dice.up_to(GOES_WITHIN), HORIZON * HORIZONS_AWAY);
        world.storm_until(from).await?;
        match dice.one_of(&AWAY) {
            "gateway" => shop.gateway.is_away.store(true, Ordering::Relaxed),
            function => world.take_down(function),
        }
        world.storm_until(to).await?;
        world.bring_up();
        shop.gateway.calm();
        world.calm().await?;
        // Whoever probed the gateway all that time has spent its attempts, and processes died: an operator sends those again.
        if world.redrive("attempts_exhausted") + world.redrive("process_died") > 0 {
            world.calm().await?;
        }
        verdict::check(world, &shop, &placed)?;
        Ok(world.tally())
    })
}

/// Orders come all the time, some of them twice.
fn place(world: &mut World) -> Vec<OrderPlaced> {
    let dice = world.dice();
    let orders: Vec<OrderPlaced> =
        (0..ORDERS).map(|number| scenario::order(&dice, number, scenario::FEW)).collect();
    for (number, order) in orders.iter().enumerate() {
        let at = dice.up_to(if dice.chance(500) { GOES_WITHIN } else { HORIZON * 2 });
        let event = scenario::event(order, &format!("event-{number}"));
        world.arrive(at, "orders.placed", event.clone());
        if dice.chance(200) {
            world.arrive(at + dice.up_to(AGAIN_WITHIN), "orders.placed", event);
        }
    }
    orders
}

#[test]
fn whoever_is_away_for_longer_than_the_horizon_loses_nothing_and_doubles_nothing() {
    let seeds = std::env::var("EXPIRY_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let failed: Vec<(u64, String)> =
        (1..=seeds).filter_map(|seed| Some((seed, run(seed, true, false).result.err()?))).collect();
    if let Some((first, _)) = failed.first() {
        let journal = run(*first, true, true).journal.join("\n");
        let failed: Vec<_> = failed.iter().map(|(seed, why)| format!("seed {seed} fails: {why}")).collect();
        panic!("{journal}\n\n{}", failed.join("\n"));
    }
}

#[test]
fn without_the_rescue_that_would_not_be_so() {
    let failed = (1..=SEEDS_WITHOUT).filter(|seed| run(*seed, false, false).result.is_err()).count() as u64;
    assert!(failed > SEEDS_WITHOUT / 2, "{failed} of {SEEDS_WITHOUT} seeds fail");
}
