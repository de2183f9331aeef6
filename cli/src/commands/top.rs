//! `jetlag top`: the figures of the status, again and again.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;

use super::signals::Signals;
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::streams::Source;
use crate::top::{self, Meters};

/// The shortest time between two looks: each asks the broker for as much as `jetlag status`.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Watch all functions in the terminal: rates, lag, retries, dead letters
///
/// One line for each function that the broker knows, and below them what looks wrong, with the figures of `jetlag status`:
/// how much it answers a second, with a graph of that; its lag and what of it is in flight; retries that wait and when the
/// next one is due; dead letters; its circuit breaker. Of an `up` on this machine it shows how many processes run, and from
/// their metrics what half of the inputs and 99 of a hundred take at most. Keys: q quits, s sorts, p pauses.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Top {
    /// How often to look, such as 2s
    #[arg(long, value_name = "TIME", value_parser = super::duration, default_value = "2s")]
    interval: Duration,

    #[command(flatten)]
    source: Source,
}

const EXAMPLES: &str = "\
Examples:
  jetlag top                                 of the up or demo that runs here
  jetlag top --context prod --interval 5s    of the broker of a context of the `nats` command

Exit codes:
  0 ended by q, Ctrl-C or SIGTERM    64 usage, or standard output is no terminal    66 nothing runs here, or no such context
  69 no answer at the start    78 denied by the broker";

impl Top {
    /// Shows until it is told to end.
    ///
    /// # Errors
    /// There is no terminal (64), or the broker does not answer at the start (69).
    pub async fn run(self, _console: Console) -> Result<(), Problem> {
        if !std::io::stdout().is_terminal() {
            return Err(Problem::new(Exit::Usage, "standard output is no terminal")
                .remedy("`jetlag status` prints the same figures once; -o json for a program"));
        }
        let mut signals = Signals::new()?;
        let (look, url) = self.source.look().await?;
        let view = top::Top::new(url, self.interval.max(INTERVAL_MIN));
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let shown = top::watch(view, look, Meters::new()?, colour, async || signals.next().await).await;
        shown.map_err(|error| Problem::new(Exit::Internal, "the terminal cannot be drawn on").because(error))
    }
}
