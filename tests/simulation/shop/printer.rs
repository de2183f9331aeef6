//! The printer prints a label for every order, and some labels end its process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jetlag::testing::{World, end_process};
use jetlag::{Contract, Event, Failure, Retry, Subject};

use super::events::{LabelPrinted, OrderPlaced};

/// How many attempts it makes.
const ATTEMPTS: u32 = 3;
/// How many runs alone an input is given at most.
const LONE_RUNS_MAX: u32 = 3;

pub const CONTRACT: Contract<OrderPlaced, LabelPrinted> = Contract::new("printer", "Prints labels.")
    .retry(Retry::exponential(std::time::Duration::from_secs(1)).attempts(ATTEMPTS));

/// Which orders are poison, and how often they killed, by order and attempt.
#[derive(Debug, Default)]
pub struct Printer {
    poison: BTreeSet<String>,
    deaths: Mutex<BTreeMap<(String, u32), u32>>,
}

impl Printer {
    /// A printer that dies of these orders.
    pub fn dying_of(poison: BTreeSet<String>) -> Self {
        Self { poison, deaths: Mutex::default() }
    }
}

pub async fn print(printer: &Arc<Printer>, event: Event<OrderPlaced>) -> Result<LabelPrinted, Failure> {
    let order_id = event.data.order_id;
    if printer.poison.contains(&order_id) {
        *printer.deaths.lock().unwrap().entry((order_id, event.attempt)).or_default() += 1;
        end_process();
    }
    Ok(LabelPrinted { order_id })
}

/// Every poison is a dead letter, and killed no more often than it was given runs: one of each message in company, and
/// those that it had alone. Nothing else lacks its label, unless it was given up.
pub fn check(
    world: &World,
    printer: &Printer,
    orders: &BTreeSet<String>,
    is_first: bool,
) -> Result<(), String> {
    let letters = world.dead_letters();
    let printed: BTreeSet<String> =
        world.committed::<LabelPrinted>().into_iter().map(|label| label.order_id).collect();
    let mut deaths = BTreeMap::<&str, u32>::new();
    let counted = printer.deaths.lock().unwrap().clone();
    for ((order_id, attempt), times) in &counted {
        *deaths.entry(order_id).or_default() += times;
        let messages = world.messages(CONTRACT.terms().name, order_id).get(attempt).copied().unwrap_or(1);
        if is_first && *times > messages + LONE_RUNS_MAX {
            return Err(format!("{order_id} killed {times} processes at attempt {attempt}"));
        }
    }
    for order_id in orders {
        let about = Subject::any_of_type("orders.placed", order_id).as_str().replace('*', "");
        let of_it = |reason: &str| {
            let is_of_it = |letter: &&jetlag::testing::DeadLetter| {
                letter.function == "printer" && letter.input.starts_with(&about) && letter.reason == reason
            };
            letters.iter().filter(is_of_it).count()
        };
        let is_dead = of_it("process_died") > 0 || (is_first && of_it("attempts_exhausted") > 0);
        if printer.poison.contains(order_id) {
            let killed = deaths.get(order_id.as_str()).copied().unwrap_or_default();
            if !is_dead {
                return Err(format!("{order_id} killed {killed} processes, and is not given up"));
            }
            let messages: u32 = world.messages(CONTRACT.terms().name, order_id).values().sum();
            if is_first && killed > messages + LONE_RUNS_MAX {
                return Err(format!("{order_id} killed {killed} processes"));
            }
        } else if !(printed.contains(order_id) || is_dead) {
            return Err(format!("{order_id} has no label"));
        }
    }
    Ok(())
}
