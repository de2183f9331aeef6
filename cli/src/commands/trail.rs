//! `jetlag trail`: one order's life.

use clap::Args;
use jetlag::jetstream::{Operator, OperatorError};
use serde_json::json;

use super::signals::Signals;
use super::{Format, Target, print, write};
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::trail::follow::{Follower, follow};
use crate::trail::seal::Seal;
use crate::trail::{self};

/// Show everything that happened to one order, as a tree with times
///
/// Every event about it under the one that it follows from, with the function and the attempt that committed it, when it
/// came, and how long after its cause (the wait in the queue, failed attempts with their waits, and the run itself);
/// failed attempts, retries that wait, and inputs that were given up or sent again; what a function has not answered for
/// yet. It works for whatever events are about: an order, a SKU. Where EVENTS does not reach back to the beginning any more,
/// the audit trail is read too.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Trail {
    /// The order's id, or that of whatever else events are about
    #[arg(value_name = "ORDER")]
    aggregate: String,

    /// Go on and print what is new, until every function has answered for everything and no retry waits, or until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Hold every step against the audit trail, and verify the chain of checkpoints that seals it
    #[arg(long, conflicts_with = "follow")]
    verify: bool,

    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  jetlag trail 536365                                 of the up or demo that runs here
  jetlag trail 536365 --follow                        to its end
  jetlag trail 536365 --verify                        and whether the audit trail says the same
  jetlag trail 85123A                                 a SKU: when it arrived
  jetlag trail ORD-1 --url nats://nats.example:4222   somewhere else
  jetlag trail 536365 -o json | jq '.steps[].type'    for a program
  jetlag trail 536365 -f -o json                      the same as it comes: a JSON object on each line

Exit codes:
  0 found    1 the audit trail says otherwise    64 several brokers run here    66 nothing is known of it, or nothing runs
  69 no answer    78 denied by the broker    130 interrupted before its end";

impl Trail {
    /// Reads the trail and prints it.
    ///
    /// # Errors
    /// Nothing is known (66), the audit trail says otherwise (1), or the broker does not answer (69).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let (operator, url) = self.target.source.connect().await?;
        if self.follow {
            return self.follow(console, &operator, &url).await;
        }
        let work = trail::Trail::of(&operator, &self.aggregate);
        let trail = console.watch("reading", work).await.map_err(|error| unreadable(&url, error))?;
        if trail.is_empty() {
            let what = format!("nothing is known of `{}` at {url}", self.aggregate);
            return Err(Problem::new(Exit::NoInput, what).remedy(
                "check its spelling, case included, and that this is the broker that it was placed with (--url, --data)",
            ));
        }
        if !self.verify {
            return print(self.target.output, || trail.to_string(), &trail);
        }
        let work = Seal::of(&operator, &trail);
        let seal =
            console.watch("reading the audit trail", work).await.map_err(|error| unreadable(&url, error))?;
        let whole = json!({"trail": trail, "audit": seal});
        print(self.target.output, || format!("{trail}\n{}", seal.in_words()), &whole)?;
        if seal.is_whole() {
            return Ok(());
        }
        let what =
            format!("the audit trail at {url} does not say what the trail of `{}` says", self.aggregate);
        Err(Problem::new(Exit::Failed, what).remedy(
            "somebody wrote to a stream, or took from it: `jetlag audit verify` looks at the whole of it",
        ))
    }

    async fn follow(self, console: Console, operator: &Operator, url: &str) -> Result<(), Problem> {
        let mut signals = Signals::new()?;
        let mut follower = Follower::default();
        let mut is_told = false;
        let each = |trail: &trail::Trail| -> Result<bool, Trouble> {
            if trail.is_empty() {
                if !std::mem::replace(&mut is_told, true) {
                    console
                        .note(&format!("nothing is known of `{}` yet; Ctrl-C ends the wait", self.aggregate));
                }
                return Ok(true);
            }
            let news = match self.target.output {
                Format::Text => follower.in_words(trail),
                Format::Json => follower.as_json(trail).map_err(|error| Trouble::Output(error.into()))?,
            };
            // Whoever read it may have gone.
            let is_read = write(&news).map_err(Trouble::Output)?;
            Ok(is_read && !trail.at_rest)
        };
        tokio::select! {
            followed = follow(operator, &self.aggregate, each) => {
                let trail = followed.map_err(|trouble| match trouble {
                    Trouble::Broker(error) => unreadable(url, error),
                    Trouble::Output(error) => {
                        Problem::new(Exit::CannotCreate, "cannot write to standard output").because(error)
                    }
                })?;
                if self.target.output == Format::Text {
                    write(&trail.summary()).map(drop).map_err(|error| {
                        Problem::new(Exit::CannotCreate, "cannot write to standard output").because(error)
                    })?;
                }
                Ok(())
            }
            () = signals.next() => {
                Err(Problem::new(Exit::Interrupted, format!("`{}` was left before its end", self.aggregate)))
            }
        }
    }
}

/// Why it cannot be followed any further.
enum Trouble {
    Broker(OperatorError),
    Output(std::io::Error),
}

impl From<OperatorError> for Trouble {
    fn from(error: OperatorError) -> Self {
        Self::Broker(error)
    }
}

fn unreadable(url: &str, error: OperatorError) -> Problem {
    Problem::new(Exit::Unavailable, format!("the streams at {url} cannot be read")).because(error)
}
