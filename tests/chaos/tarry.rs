//! A function whose handler does not come to its end: what a drain has to cope with.

use std::process::ExitCode;
use std::time::Duration;

use events::OrderPlaced;
use jetlag::{Contract, Environment, Event, Failure, Function, Nothing};

const CONTRACT: Contract<OrderPlaced, Nothing> =
    Contract::new("tarry", "Never comes to an end.").time_limit(Duration::from_secs(600)).concurrency(4);

async fn tarry(_: &(), _: Event<OrderPlaced>) -> Result<Option<Nothing>, Failure> {
    std::future::pending().await
}

fn main() -> ExitCode {
    fn nothing(_: &mut Environment) {}
    Function::new(CONTRACT, nothing, tarry).run()
}
