//! What happens in one seed: the shop opens, orders come, things go wrong, and then everything comes to its end.

use std::sync::Arc;
use std::time::Duration;

use jetlag::testing::{Dice, Simulated, Tally, World, simulate};
use jetlag::{Contract, Durability};

use tokio::time::Instant;

use crate::shop::events::{Line, OrderPlaced};
use crate::shop::gateway::Gateway;
use crate::shop::oracle::Oracle;
use crate::shop::printer::Printer;
use crate::shop::{self, chain, desk, printer, stockroom, till};
use crate::verdict;

/// How many orders come at most.
const ORDERS_MAX: u64 = 8;
/// The articles; everybody wants the same.
const SKUS: [&str; 16] =
    ["mug", "pen.blue", "hat", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"];
/// How many of them there are in most worlds, and how many of them an order may have beside the first.
pub const FEW: (u64, u64) = (3, 2);
/// The same in the others. With more articles to an order, reads from replicas that lag behind hardly ever agree.
const MANY: (u64, u64) = (SKUS.len() as u64, 5);
/// Who buys.
const CUSTOMERS: [&str; 2] = ["Ann", "Bob > all"];

/// Runs the seed, and keeps the journal if it is to be read.
pub fn run(seed: u64, is_journal_kept: bool) -> Simulated<Tally> {
    simulate(seed, is_journal_kept, async |world: &mut World| {
        let mut shop = open(world);
        let placed = place(world);
        shop.open_printer(world, &placed);
        world.storm().await?;
        shop.gateway.calm();
        world.calm().await?;
        shop.check_printer(world, &placed, true)?;
        // Attempts are exhausted where things went wrong for too long, and chance may kill thrice: an operator sends those
        // again.
        if world.redrive("attempts_exhausted") + world.redrive("process_died") > 0 {
            world.calm().await?;
        }
        shop.check_printer(world, &placed, false)?;
        verdict::check(world, &shop, &placed)?;
        Ok(world.tally())
    })
}

/// What is to be looked at in the end, beside the streams.
pub struct Shop {
    pub gateway: Arc<Gateway>,
    pub oracle: Arc<Oracle>,
    pub has_chain: bool,
    printer: Option<Arc<Printer>>,
}

impl Shop {
    /// In some worlds there is a printer, which dies of some orders.
    fn open_printer(&mut self, world: &mut World, orders: &[OrderPlaced]) {
        let dice = world.dice();
        if !dice.chance(300) {
            return;
        }
        let poison = orders.iter().filter(|_| dice.chance(300)).map(|order| order.order_id.clone()).collect();
        let printer = Arc::new(Printer::dying_of(poison));
        let processes = usize::try_from(dice.one_of(&[1u64, 2])).unwrap();
        world.deploy(vary(&dice, printer::CONTRACT), processes, Arc::clone(&printer), printer::print);
        self.printer = Some(printer);
    }

    fn check_printer(&self, world: &World, orders: &[OrderPlaced], is_first: bool) -> Result<(), String> {
        let Some(printer) = &self.printer else { return Ok(()) };
        let orders = orders.iter().map(|order| order.order_id.clone()).collect();
        printer::check(world, printer, &orders, is_first)
    }
}

/// Puts every function to work.
pub fn open(world: &mut World) -> Shop {
    let dice = world.dice();
    let gateway = Arc::new(Gateway::new(world.dice()));
    let oracle = Arc::new(Oracle::new(world.dice()));
    let processes = || usize::try_from(dice.one_of(&[1u64, 2, 2, 3])).unwrap();
    let desk = vary(&dice, desk::CONTRACT);
    if dice.chance(500) {
        world.deploy(desk.batch(4), processes(), (), desk::end_each);
    } else {
        world.deploy(desk, processes(), (), desk::end);
    }
    let room = stockroom::Stockroom { opened: Instant::now() };
    world.deploy(vary(&dice, stockroom::CONTRACT), processes(), room, stockroom::keep);
    world.deploy(vary(&dice, till::CONTRACT), processes(), Arc::clone(&gateway), till::charge);
    world.deploy(vary(&dice, shop::oracle::CONTRACT), processes(), Arc::clone(&oracle), shop::oracle::ask);
    // Two of these only get in each other's way, which must do no harm. Half of the worlds have none: it takes as much
    // work as all the others together.
    let links = usize::try_from(dice.one_of(&[0u64, 0, 0, 1, 1, 2])).unwrap();
    if links > 0 {
        world.deploy(chain::CONTRACT, links, (), chain::link);
    }
    Shop { gateway, oracle, has_chain: links > 0, printer: None }
}

/// A contract with other slots, and with every commit grouped or not.
fn vary<I: jetlag::Incoming, O: jetlag::Outgoing>(dice: &Dice, contract: Contract<I, O>) -> Contract<I, O> {
    let slots = usize::try_from(dice.one_of(&[1u64, 2, 4, 64])).unwrap();
    let durability = dice.one_of(&[Durability::Default, Durability::Always]);
    contract.concurrency(slots).durability(durability)
}

/// Orders on their way, some of them more than once. Gives those that must come to an end.
fn place(world: &mut World) -> Vec<OrderPlaced> {
    let dice = world.dice();
    let articles = dice.one_of(&[FEW, FEW, FEW, MANY]);
    let within = dice.one_of(&[Duration::ZERO, Duration::from_secs(2), Duration::from_secs(30)]);
    let orders: Vec<OrderPlaced> =
        (0..=dice.below(ORDERS_MAX)).map(|number| order(&dice, number, articles)).collect();
    // An id tells the events of one subject apart, and no others: some publishers give every event the same.
    let are_ids_shared = dice.chance(300);
    for (number, order) in orders.iter().enumerate() {
        let at = dice.up_to(within);
        let id = if are_ids_shared { "event".to_owned() } else { format!("event-{number}") };
        world.arrive(at, "orders.placed", event(order, &id));
        if dice.chance(200) {
            world.arrive(at + dice.up_to(within), "orders.placed", event(order, &id));
        }
        if dice.chance(100) {
            // The same order under another id: whichever comes first is the order.
            world.arrive(at + dice.up_to(within), "orders.placed", event(order, &format!("{id}-again")));
        }
    }
    if dice.chance(100) {
        world.arrive(dice.up_to(within), "orders.placed", "not an event");
    }
    orders
}

/// An order of up to so many of so many articles.
pub fn order(dice: &Dice, number: u64, (articles, lines_max): (u64, u64)) -> OrderPlaced {
    let first = dice.below(articles);
    let lines = (0..=dice.below(lines_max))
        .map(|offset| Line {
            sku: SKUS[usize::try_from((first + offset) % articles).unwrap()].to_owned(),
            quantity: u32::try_from(1 + dice.below(2)).unwrap(),
        })
        .collect();
    OrderPlaced { order_id: format!("O.{number}"), customer: dice.one_of(&CUSTOMERS).to_owned(), lines }
}

/// The event that a publisher outside makes of it.
pub fn event(order: &OrderPlaced, id: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({
        "id": id,
        "type": "orders.placed",
        "aggregate_id": order.order_id,
        "data": order,
        "timestamp": "2025-01-01T00:00:00Z",
        "trace_id": "",
    }))
    .unwrap()
}
