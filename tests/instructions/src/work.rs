//! The paths through the core that are counted: the production engine on the broker in memory.

use std::time::Duration;

use events::{Amount, Currency, InventoryReserved, PaymentProcessed};
use jetlag::testing::harness;
use jetlag::{Contract, Effects, Event, Failure, State, Stored, kind_of};
use serde::{Deserialize, Serialize};

/// How many inputs are there, however many are worked on: making them ready costs the same in every run.
pub const INPUTS: usize = 600;

/// A path.
pub struct Path {
    pub name: &'static str,
    /// How many inputs are under way at a time.
    together: usize,
    /// How many messages each stores.
    messages: u64,
    writes_state: bool,
}

pub const PATHS: &[Path] = &[
    // One event of the input's aggregate: one guarded message, and no group.
    Path { name: "single, one at a time", together: 1, messages: 1, writes_state: false },
    Path { name: "single, 64 at a time", together: 64, messages: 1, writes_state: false },
    // An event and a piece of state that was read: one atomic batch for all that is ready.
    Path { name: "grouped, one at a time", together: 1, messages: 2, writes_state: true },
    Path { name: "grouped, 64 at a time", together: 64, messages: 2, writes_state: true },
];

/// How often a card was charged.
#[derive(Default, Serialize, Deserialize)]
struct Charges {
    count: u32,
}

impl Stored for Charges {
    const KIND: &'static str = "charges";
    const KEEP: Option<Duration> = None;
}

const PASSING: Contract<InventoryReserved, PaymentProcessed> = Contract::new("passing", "Passes orders on.");
const KEEPING: Contract<InventoryReserved, PaymentProcessed> =
    Contract::new("keeping", "Passes orders on, and counts.").keeps(&[kind_of::<Charges>()]);

async fn pass(_: &(), event: Event<InventoryReserved>) -> Result<PaymentProcessed, Failure> {
    Ok(processed(event.data))
}

async fn keep(
    _: &(),
    event: Event<InventoryReserved>,
    state: State,
) -> Result<Effects<PaymentProcessed>, Failure> {
    let order = event.data.order_id.clone();
    let count = state.get::<Charges>(&order).await?.unwrap_or_default().count + 1;
    Ok(Effects::emit(processed(event.data)).put(&order, &Charges { count }))
}

fn processed(order: InventoryReserved) -> PaymentProcessed {
    let InventoryReserved { order_id, customer_id, amount, currency } = order;
    PaymentProcessed { payment_id: format!("ch_{order_id}"), order_id, customer_id, amount, currency }
}

fn order(number: usize) -> InventoryReserved {
    InventoryReserved {
        order_id: format!("ORD-{number:06}"),
        customer_id: "C-17850".into(),
        amount: Amount::ONE,
        currency: Currency::default(),
    }
}

/// Works on `inputs` of [`INPUTS`] inputs, on the path `name`.
pub fn run(name: &str, inputs: usize) {
    let path = PATHS.iter().find(|path| path.name == name).expect("a path");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stored = runtime.block_on(async {
        let function =
            if path.writes_state { harness(KEEPING, (), keep) } else { harness(PASSING, (), pass) };
        let delivered = function.delivered((0..INPUTS).map(order));
        function.work_on(delivered, inputs, path.together).await
    });
    // A path on which anything fails, is tried again or is given up is another path.
    assert_eq!(stored, path.messages * inputs as u64, "{name}: each input is committed once");
}
