//! The oracle says something else whenever it is asked: what was committed first must stand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jetlag::testing::Dice;
use jetlag::{Contract, Effects, Event, Failure, Retry, State, Stored, kind_of};
use serde::{Deserialize, Serialize};

use super::events::{Flagged, Omen, OrderPlaced, Passed};

pub const CONTRACT: Contract<OrderPlaced, Omen> =
    Contract::new("oracle", "Says something about every order.")
        .retry(Retry::exponential(Duration::from_secs(1)).at_most(Duration::from_secs(4)).attempts(3))
        .keeps(&[kind_of::<Flags>()]);

/// After so many flags the oracle is silent about a customer.
const FLAGS_ENOUGH: u64 = 2;

/// Why the oracle gives up on an order because of its customer.
pub const TOO_OFTEN: &str = "flagged too often";

/// The oracle, and what it remembers of its silence: by order, how many flags it saw each time.
#[derive(Debug)]
pub struct Oracle {
    dice: Dice,
    silences: Mutex<BTreeMap<String, Vec<u64>>>,
}

impl Oracle {
    pub fn new(dice: Dice) -> Self {
        Self { dice, silences: Mutex::default() }
    }

    fn silence(&self, order_id: String, flags_seen: u64) -> Effects<Omen> {
        self.silences.lock().unwrap().entry(order_id).or_default().push(flags_seen);
        Effects::none()
    }

    /// For each order, how many flags were the reason each time that it was silent about it.
    pub fn silences(&self) -> BTreeMap<String, Vec<u64>> {
        self.silences.lock().unwrap().clone()
    }
}

/// How often a customer was flagged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    pub count: u64,
}

impl Stored for Flags {
    const KIND: &'static str = "flags";
}

pub async fn ask(
    oracle: &Arc<Oracle>,
    event: Event<OrderPlaced>,
    state: State,
) -> Result<Effects<Omen>, Failure> {
    let dice = &oracle.dice;
    let OrderPlaced { order_id, customer, .. } = event.data;
    let passed = Passed { order_id: order_id.clone(), throw: dice.below(u64::MAX) };
    match dice.below(16) {
        0 => Ok(oracle.silence(order_id, 0)),
        1 => Err(Failure::reject("the signs are bad")),
        2 => Err(Failure::retry("the signs are not clear")),
        3..7 => Ok(Effects::emit(passed)),
        said => {
            let flags: Flags = state.get(&customer).await?.unwrap_or_default();
            if flags.count >= FLAGS_ENOUGH {
                let silence = oracle.silence(order_id, flags.count);
                return if said < 12 { Ok(silence) } else { Err(Failure::reject(TOO_OFTEN)) };
            }
            let number = flags.count + 1;
            let flagged = Flagged { customer: customer.clone(), order_id, number };
            let effects = Effects::emit(flagged).put(&customer, &Flags { count: number });
            Ok(if said < 12 { effects } else { effects.and_emit(passed) })
        }
    }
}
