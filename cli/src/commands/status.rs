//! `jetlag status`: how everything is, and what looks wrong.

use clap::Args;

use super::{Target, print};
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// Show how everything is, what looks wrong, and what to do
///
/// Streams, and for each function: lag (not delivered, or delivered and not answered for) and what of it is in flight, what
/// was delivered again, requests for inputs that stand, retries that wait and when the next one is due, dead letters by
/// reason, the oldest input that it has not answered for, and its circuit breaker. It reads the broker and nothing else, with
/// a few requests however much there is, so it works on a laptop and against a cluster; of an `up` on this machine it tells
/// the processes too. It changes nothing. `jetlag check` looks for inputs that nobody answered for, one by one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Status {
    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  jetlag status                                           of the up or demo that runs here
  jetlag status --context prod                            of the broker of a context of the `nats` command
  jetlag status -o json | jq -r '.findings[].command'     the commands to look further with
  watch jetlag status                                     again and again; `jetlag top` shows rates

Exit codes:
  0 nothing looks wrong    1 something does: each with what to do    64 usage    66 nothing runs here, or no such context
  69 no answer    78 denied by the broker";

impl Status {
    /// Looks, and prints.
    ///
    /// # Errors
    /// Something looks wrong (1), or the broker does not answer (69).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let (mut look, url) = self.target.source.look().await?;
        let snapshot = console.watch("looking", look.snapshot()).await.map_err(|error| {
            Problem::new(Exit::Unavailable, format!("the broker at {url} cannot be looked at")).because(error)
        })?;
        print(self.target.output, || snapshot.in_words(), &snapshot)?;
        match snapshot.wrong() {
            0 => Ok(()),
            1 => Err(Problem::new(Exit::Failed, format!("something looks wrong at {url}"))
                .remedy("it says above what to do")),
            many => Err(Problem::new(Exit::Failed, format!("{many} things look wrong at {url}"))
                .remedy("each says above what to do")),
        }
    }
}
