//! The oracle says something else whenever it is asked: what was committed first must stand.

use std::time::Duration;

use jetlag::testing::Dice;
use jetlag::{Contract, Effects, Event, Failure, Retry, State, Stored, kind_of};
use serde::{Deserialize, Serialize};

use super::events::{Flagged, Omen, OrderPlaced, Passed};

pub const CONTRACT: Contract<OrderPlaced, Omen> = Contract::new("oracle", "Says something about every order.")
    .retry(Retry::exponential(Duration::from_secs(1)).at_most(Duration::from_secs(4)).attempts(3))
    .keeps(&[kind_of::<Flags>()]);

/// How often a customer was flagged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    pub count: u64,
}

impl Stored for Flags {
    const KIND: &'static str = "flags";
}

pub async fn ask(dice: &Dice, event: Event<OrderPlaced>, state: State) -> Result<Effects<Omen>, Failure> {
    let OrderPlaced { order_id, customer, .. } = event.data;
    let passed = Passed { order_id: order_id.clone(), throw: dice.below(u64::MAX) };
    match dice.below(16) {
        0 => Ok(Effects::none()),
        1 => Err(Failure::reject("the signs are bad")),
        2 => Err(Failure::retry("the signs are not clear")),
        3..7 => Ok(Effects::emit(passed)),
        said => {
            let flags: Flags = state.get(&customer).await?.unwrap_or_default();
            let number = flags.count + 1;
            let flagged = Flagged { customer: customer.clone(), order_id, number };
            let effects = Effects::emit(flagged).put(&customer, &Flags { count: number });
            Ok(if said < 12 { effects } else { effects.and_emit(passed) })
        }
    }
}
