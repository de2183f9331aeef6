//! Five functions on the runtime that do what the peers do, and no more: read an order, check it, pass it on. `SERVICE`
//! says which of them a process is.

use std::process::ExitCode;
use std::time::Duration;

use events::Amount;
use jetlag::{
    AnyEvent, Batch, Breaker, Contract, Effects, Environment, Event, Failure, Function, Nothing, OrReject,
    Payload, Retry, State,
};
use serde::{Deserialize, Serialize};

/// The data of every event of the pipeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    order_id: String,
    customer_id: String,
    amount: Amount,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    sku: String,
    quantity: u32,
    price: Amount,
}

impl Order {
    fn check(&self) -> Result<(), String> {
        let amount = self.amount.decimal();
        let is_good = !self.order_id.is_empty() && amount.is_sign_positive() && !amount.is_zero();
        if is_good { Ok(()) } else { Err("it has no id, or costs nothing".to_owned()) }
    }
}

macro_rules! step {
    ($name:ident, $kind:literal) => {
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(transparent)]
        struct $name(Order);

        impl Payload for $name {
            const TYPE: &'static str = $kind;
            const AGGREGATE: &'static str = "order";

            fn aggregate_id(&self) -> &str {
                &self.0.order_id
            }

            fn example() -> Self {
                let line = Line { sku: "85123A".into(), quantity: 1, price: Amount::ONE };
                Self(Order {
                    order_id: "ORD-1".into(),
                    customer_id: "C-1".into(),
                    amount: Amount::ONE,
                    lines: vec![line],
                })
            }

            fn validate(&self) -> Result<(), String> {
                self.0.check()
            }
        }
    };
}

step!(Placed, "orders.placed");
step!(Reserved, "inventory.reserved");
step!(Paid, "payments.processed");
step!(Confirmed, "orders.confirmed");
step!(Sent, "notifications.sent");

const RETRY: Retry = Retry::exponential(Duration::from_millis(500)).attempts(5);

const INVENTORY: Contract<Placed, Reserved> =
    Contract::new("inventory", "Looks at the quantities.").retry(RETRY);
const PAYMENT: Contract<Reserved, Paid> = Contract::new("payment", "Waits for the gateway.")
    .retry(RETRY)
    .breaker(Breaker::after(5).open_for(Duration::from_secs(30)));
const ORDER: Contract<Paid, Confirmed> = Contract::new("order", "Confirms.").retry(RETRY);
const NOTIFICATION: Contract<Confirmed, Sent> = Contract::new("notification", "Tells.").retry(RETRY);
const AUDIT: Contract<AnyEvent, Nothing> =
    Contract::new("audit", "Looks at everything.").reads_audit().batch(TRAIL_BATCH).concurrency(1);

/// How many entries of the trail are looked at together, at most.
const TRAIL_BATCH: usize = 500;
/// What spreads the orders that fail over a hundred, as in the peers.
const LOT: usize = 37;

/// The payment gateway: it takes its time, and fails as often as it is told to.
struct Gateway {
    takes: Duration,
    /// Of how many orders in a hundred the first charge fails, and of how many every charge.
    failing_percent: usize,
    lost_percent: usize,
}

impl Gateway {
    fn from_env(env: &mut Environment) -> Self {
        Self {
            takes: Duration::from_millis(env.parsed_or("GATEWAY_MS", 0, "how long a charge takes")),
            failing_percent: env.parsed_or("FAILING_PERCENT", 0, "of how many orders the first charge fails"),
            lost_percent: env.parsed_or("LOST_PERCENT", 0, "of how many orders every charge fails"),
        }
    }
}

async fn reserve(_: &(), event: Event<Placed>) -> Result<Reserved, Failure> {
    let order = event.data.0;
    order.lines.iter().all(|line| line.quantity > 0).then_some(()).or_reject("a bad quantity")?;
    Ok(Reserved(order))
}

async fn charge(gateway: &Gateway, event: Event<Reserved>) -> Result<Paid, Failure> {
    if !gateway.takes.is_zero() {
        tokio::time::sleep(gateway.takes).await;
    }
    if gateway.failing_percent + gateway.lost_percent > 0 {
        let digits = event.aggregate_id.get(event.aggregate_id.len().saturating_sub(2)..).unwrap_or_default();
        let number: usize = digits.parse().or_reject("an order without a number")?;
        let lot = number * LOT % 100;
        if lot < gateway.lost_percent {
            return Err(Failure::reject("this card cannot be charged"));
        }
        if lot < gateway.failing_percent && event.attempt == 1 {
            return Err(Failure::retry("the gateway is out of order"));
        }
    }
    Ok(Paid(event.data.0))
}

async fn confirm(_: &(), event: Event<Paid>) -> Result<Confirmed, Failure> {
    Ok(Confirmed(event.data.0))
}

async fn tell(_: &(), event: Event<Confirmed>) -> Result<Sent, Failure> {
    Ok(Sent(event.data.0))
}

/// Goes through the trail as functions on Jetlag do: in its order, and as much at a time as there is.
async fn look(_: &(), trail: Batch<AnyEvent>, _: State) -> Result<Effects<Nothing>, Failure> {
    // The trail has receipts too: of dead letters, here.
    for recorded in trail.iter().filter(|recorded| !recorded.event.is_receipt()) {
        let order: Order = serde_json::from_str(recorded.event.data.data.get()).or_reject("not an order")?;
        order.check().map_err(Failure::reject)?;
    }
    Ok(Effects::none())
}

fn main() -> ExitCode {
    let nothing = |_: &mut Environment| ();
    match std::env::var("SERVICE").as_deref() {
        Ok("inventory") => Function::new(INVENTORY, nothing, reserve).run(),
        Ok("payment") => Function::new(PAYMENT, Gateway::from_env, charge).run(),
        Ok("order") => Function::new(ORDER, nothing, confirm).run(),
        Ok("notification") => Function::new(NOTIFICATION, nothing, tell).run(),
        Ok("audit") => Function::new(AUDIT, nothing, look).run(),
        other => panic!("SERVICE is {other:?}"),
    }
}
