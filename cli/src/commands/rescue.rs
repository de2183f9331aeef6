//! `jetlag rescue`: carries on what would expire.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use jetlag::jetstream::{Operator, RescueError};
use jetlag::permissions::RESCUE;
use jetlag::{ROUNDS_PER_HORIZON, Rescued};
use serde::Serialize;

use super::signals::Signals;
use super::{Target, print};
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// Carry on events that would expire before their function has handled them
///
/// Events expire after the horizon (the max_age of EVENTS), handled or not. What a function has not answered for at half
/// of that is republished for this function alone, where nothing expires, as the same attempt; what was answered for, and
/// is there again because an answer was lost, is taken away. `jetlag up` does this by itself; elsewhere it is a job that
/// runs at least every eighth of the horizon. It can be interrupted anywhere and run again, while functions work and while
/// they do not, several times at once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Rescue {
    /// Only for these functions [default: all that have consumers]
    #[arg(value_name = "FUNCTION")]
    functions: Vec<String>,

    /// How long events are kept, such as 24h or 30s [default: what EVENTS is configured with]
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    horizon: Option<Duration>,

    /// End after one round; otherwise one follows another until Ctrl-C or SIGTERM
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  jetlag rescue --once                                  for every function, as a scheduled job does
  jetlag rescue payment --once -o json                  for one
  jetlag rescue --url nats://nats.example:4222          somewhere else, until Ctrl-C

Exit codes:
  0 done    1 something is left for another round, or expires    64 usage    66 nothing runs here, or no such function
  69 no answer    78 EVENTS keeps events for ever, or the broker denies this user something";

/// What one round did.
#[derive(Debug, Serialize)]
struct Round {
    horizon_s: u64,
    functions: BTreeMap<String, Rescued>,
}

impl Rescue {
    /// Does one round, or one after another.
    ///
    /// # Errors
    /// Something is left (1), a function is not there (66), or the broker does not answer (69).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let mut signals = Signals::new()?;
        let (operator, url) = self.target.source.connect_as(RESCUE).await?;
        loop {
            let round = tokio::select! {
                round = console.watch("rescuing", self.round(&operator)) => {
                    round.map_err(|error| problem(error, &url))?
                }
                // Nothing is half done: what was pulled comes back by itself.
                () = signals.next() => return Ok(()),
            };
            print(self.target.output, || round.in_words(), &round)?;
            if self.once {
                return round.is_complete(&url);
            }
            let pause = Duration::from_secs(round.horizon_s) / ROUNDS_PER_HORIZON;
            tokio::select! {
                () = tokio::time::sleep(pause.max(PAUSE_MIN)) => {}
                () = signals.next() => return Ok(()),
            }
        }
    }

    async fn round(&self, operator: &Operator) -> Result<Round, RescueError> {
        let horizon = match self.horizon {
            Some(horizon) => horizon,
            None => operator.horizon().await?,
        };
        let names =
            if self.functions.is_empty() { operator.rescuable().await? } else { self.functions.clone() };
        let mut functions = BTreeMap::new();
        for name in names {
            let rescued = operator.rescue(&name, horizon).await?;
            functions.insert(name, rescued);
        }
        Ok(Round { horizon_s: horizon.as_secs(), functions })
    }
}

/// The shortest wait between two rounds.
const PAUSE_MIN: Duration = Duration::from_secs(1);

impl Round {
    fn in_words(&self) -> String {
        let mut text = format!(
            "{:<16} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "FUNCTION", "CARRIED", "ANSWERED", "YOUNG", "LEFT", "LATE"
        );
        for (name, rescued) in &self.functions {
            let Rescued { carried, answered, given_back, failed, late } = rescued;
            let _ =
                writeln!(text, "{name:<16} {carried:>9} {answered:>9} {given_back:>9} {failed:>9} {late:>9}");
        }
        text
    }

    fn is_complete(&self, url: &str) -> Result<(), Problem> {
        let sum = |count: fn(&Rescued) -> u64| self.functions.values().map(count).sum::<u64>();
        let (left, late) = (sum(|rescued| rescued.failed), sum(|rescued| rescued.late));
        if left + late == 0 {
            return Ok(());
        }
        let what = format!("at {url}, {left} inputs are left for another round, and {late} expire");
        Err(Problem::new(Exit::Failed, what).remedy(
            "run it again soon, and at least every eighth of the horizon; `jetlag check` tells what no function answered for",
        ))
    }
}

fn problem(error: RescueError, url: &str) -> Problem {
    match error {
        error @ RescueError::NoFunction { .. } => {
            Problem::new(Exit::NoInput, format!("there is nothing to rescue at {url}"))
                .because(error)
                .remedy("check the name; `jetlag up`, or the function's own start, makes its consumers")
        }
        error @ RescueError::NoHorizon => Problem::new(Exit::Config, format!("nothing expires at {url}"))
            .because(error)
            .remedy("set a max_age for EVENTS, or leave the rescue away"),
        error => Problem::new(Exit::Unavailable, format!("the functions at {url} could not be looked after"))
            .because(error),
    }
}
