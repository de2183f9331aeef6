//! Two small functions that together need everything that a contract can grant: `needy` takes inputs from the stream of
//! events and from outside, and does with each what it asks for; `trail` reads the audit trail.

#![allow(missing_docs, reason = "its types are its own")]

use std::process::ExitCode;
use std::time::Duration;

use jetlag::{
    AnyEvent, Batch, Breaker, Contract, Effects, Environment, Event, EventKind, Failure, Function, Payload,
    Retry, State, Stored, kind_of,
};
use serde::{Deserialize, Serialize};

const NEEDY: Contract<Need, Met> = Contract::new("needy", "Does what it is asked for.")
    .admits(&[EventKind::of::<Need>()])
    .keeps(&[kind_of::<Tally>()])
    .retry(Retry::exponential(Duration::from_millis(50)).attempts(2))
    .breaker(Breaker::after(50))
    .concurrency(4);

const TRAIL: Contract<AnyEvent, Told> = Contract::new("trail", "Tells of needs in the audit trail.")
    .reads_audit()
    .batch(10)
    .keeps(&[kind_of::<Tally>()])
    .concurrency(1);

/// What is to become of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    /// An event and state.
    Meet,
    /// State alone, with a receipt.
    Count,
    /// A retry, and then a dead letter.
    Fail,
    /// Nothing that comes to an end: a process that is killed meanwhile makes a suspect of it.
    Hang,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Need {
    id: String,
    how: How,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Met {
    id: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Told {
    count: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Tally {
    count: u64,
}

impl Payload for Need {
    const TYPE: &'static str = "needs.told";
    const AGGREGATE: &'static str = "need";
    fn aggregate_id(&self) -> &str {
        &self.id
    }
    fn example() -> Self {
        Self { id: "N-1".into(), how: How::Meet }
    }
}

impl Payload for Met {
    const TYPE: &'static str = "needs.met";
    const AGGREGATE: &'static str = "need";
    fn aggregate_id(&self) -> &str {
        &self.id
    }
    fn example() -> Self {
        Self { id: "N-1".into() }
    }
}

impl Payload for Told {
    const TYPE: &'static str = "trails.told";
    const AGGREGATE: &'static str = "trail";
    fn aggregate_id(&self) -> &str {
        &self.count
    }
    fn example() -> Self {
        Self { count: "1".into() }
    }
}

impl Stored for Tally {
    const KIND: &'static str = "tally";
}

async fn meet(_: &(), event: Event<Need>, state: State) -> Result<Effects<Met>, Failure> {
    let Need { id, how } = event.data;
    let tally: Tally = state.get("all").await?.unwrap_or_default();
    let counted = Tally { count: tally.count + 1 };
    match how {
        How::Meet => Ok(Effects::emit(Met { id }).put("all", &counted)),
        How::Count => Ok(Effects::none().put("all", &counted)),
        How::Fail => Err(Failure::retry("it was asked for")),
        How::Hang => std::future::pending().await,
    }
}

async fn tell(_: &(), batch: Batch<AnyEvent>, state: State) -> Result<Effects<Told>, Failure> {
    let tally: Tally = state.get("all").await?.unwrap_or_default();
    let needs = batch.iter().filter(|recorded| recorded.event.data.kind == Need::TYPE).count();
    if batch.iter().any(|recorded| recorded.event.data.data.get().contains("hang")) {
        std::future::pending::<()>().await;
    }
    if needs == 0 {
        return Ok(Effects::none());
    }
    let count = tally.count + needs as u64;
    Ok(Effects::emit(Told { count: count.to_string() }).put("all", &Tally { count }))
}

fn main() -> ExitCode {
    let nothing = |_: &mut Environment| ();
    match std::env::var("NEEDY_TRAIL") {
        Ok(_) => Function::new(TRAIL, nothing, tell).run(),
        Err(_) => Function::new(NEEDY, nothing, meet).run(),
    }
}
