//! `jetlag trail`: one order's life.

use clap::Args;

use super::{Target, print};
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::trail;

/// Show everything that happened to one order
///
/// Every event about it in order, with the time between them, the function and the attempt that committed each, and
/// the receipts of functions that told of nothing; inputs about it that were given up; failed attempts that wait. It
/// works for whatever events are about: an order, a SKU. Where EVENTS does not reach back to the beginning any more,
/// the audit trail is read too.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Trail {
    /// The order's id, or that of whatever else events are about
    #[arg(value_name = "ORDER")]
    aggregate: String,

    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  jetlag trail 536365                                 of the up or demo that runs here
  jetlag trail 85123A                                 a SKU: when it arrived
  jetlag trail ORD-1 --url nats://nats.example:4222   somewhere else
  jetlag trail 536365 -o json | jq '.steps[].type'    for a program

Exit codes:
  0 found    64 several brokers run here    66 nothing is known of it, or nothing runs    69 no answer    78 denied by the broker";

impl Trail {
    /// Reads the trail and prints it.
    ///
    /// # Errors
    /// Nothing is known (66), or the broker does not answer (69).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let (operator, url) = self.target.source.connect().await?;
        let work = trail::Trail::of(&operator, &self.aggregate);
        let trail = console.watch("reading", work).await.map_err(|error| {
            Problem::new(Exit::Unavailable, format!("the streams at {url} cannot be read")).because(error)
        })?;
        if trail.is_empty() {
            let what = format!("nothing is known of `{}` at {url}", self.aggregate);
            return Err(Problem::new(Exit::NoInput, what).remedy(
                "check its spelling, case included, and that this is the broker that it was placed with (--url, --data)",
            ));
        }
        print(self.target.output, || trail.to_string(), &trail)
    }
}
