//! `jetlag doctor`: whether a broker and functions can carry what is to come.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use keda::lint::Severity;

use super::contracted::Contracted;
use super::{Format, print};
use crate::app::Deployable;
use crate::capacity::{self, Asked, Means, Plan, Rate};
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::streams::Source;

/// Compute what rates ask of the broker and of functions, and whether that fits
///
/// From contracts, which the functions' programs tell, from `deploy.streams` in jetlag.yaml, and from rates: how many events
/// are kept and what they take of disk and memory, connections, messages a second, and how long a run of each function may
/// take. Rates are bounds: an input leads to each type of event behind it at most once, so that an order counts as confirmed
/// and as cancelled; say the rate of any type to be nearer. What each thing costs was measured: docs/capacity.md. With
/// --look, the broker's own figures take the place of defaults. It changes nothing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// How often a type of event happens, such as orders.placed=167/s (units /s, /m, /h, /d); without a type, everything that
    /// comes from outside together; may be repeated
    #[arg(long = "rate", value_name = "[TYPE=]RATE", required = true)]
    rates: Vec<Said>,

    /// How long one run of a function takes, such as payment=20ms; may be repeated
    #[arg(long = "takes", value_name = "FUNCTION=TIME", value_parser = takes)]
    takes: Vec<(String, Duration)>,

    /// How long events are kept, such as 6h, instead of what deploy.streams.horizon says
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    horizon: Option<Duration>,

    /// How many pieces of state functions keep, together
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    state: u64,

    /// The memory that the broker has, such as 4Gi
    #[arg(long, value_name = "SIZE", value_parser = capacity::bytes)]
    broker_memory: Option<u64>,

    /// The disk that it has, such as 100Gi
    #[arg(long, value_name = "SIZE", value_parser = capacity::bytes)]
    broker_disk: Option<u64>,

    /// Look at the broker too: the account's limits, and its streams as they are
    #[arg(long)]
    look: bool,

    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    contracted: Contracted,

    /// The form of the result on standard output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  jetlag doctor --rate orders.placed=167/s                     what 10,000 orders a minute ask for
  jetlag doctor --rate 167/s --horizon 6h --broker-memory 4Gi  whether they fit
  jetlag doctor --rate orders.placed=50/s --takes payment=2s   how many processes that keeps busy
  jetlag doctor --rate 50/s --look --context prod              by the limits and streams that are there
  jetlag doctor --rate 50/s -o json | jq '.findings[].what'    for a program

Exit codes:
  0 it fits, or there are warnings only    1 something does not fit    64 usage, or a rate of an unknown type
  66 no such file or context    69 no answer    78 no application, or denied by the broker";

/// A rate, and of what.
#[derive(Debug, Clone)]
struct Said {
    name: Option<String>,
    rate: Rate,
}

impl FromStr for Said {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rate) = match text.split_once('=') {
            Some((name, rate)) => (Some(name.to_owned()), rate),
            None => (None, text),
        };
        Ok(Self { name, rate: rate.parse()? })
    }
}

/// A function and a time; runs are shorter than what other times are said in.
fn takes(text: &str) -> Result<(String, Duration), String> {
    let wrong = || format!("`{text}` is no function and time such as payment=20ms or payment=2s");
    let (name, time) = text.split_once('=').ok_or_else(wrong)?;
    let time = match time.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(millis.parse().map_err(|_| wrong())?),
        None => super::duration(time).map_err(|_| wrong())?,
    };
    Ok((name.to_owned(), time))
}

impl Doctor {
    /// Computes, and prints.
    ///
    /// # Errors
    /// Something does not fit (1), or see the exit codes.
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let asked = self.asked()?;
        let Deployable { functions, deploy, .. } = self.contracted.ask(console).await?;
        let mut sizing = deploy.streams.sizing();
        if let Some(horizon) = self.horizon {
            sizing.horizon = horizon;
        }
        let takes: BTreeMap<String, Duration> = self.takes.iter().cloned().collect();
        if let Some(name) =
            takes.keys().find(|name| !functions.iter().any(|function| function.name == **name))
        {
            let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
            return Err(Problem::new(Exit::Usage, format!("--takes: there is no function `{name}`"))
                .remedy(format!("there are {}", names.join(", "))));
        }
        let seen = if self.look { Some(self.see(console).await?) } else { None };
        let Self { state, broker_memory, broker_disk, .. } = self;
        let means = Means { state, takes, broker_memory, broker_disk, seen };
        let plan = Plan::of(&functions, &sizing, &asked, &means).map_err(|unclear| {
            Problem::new(Exit::Usage, unclear.to_string())
                .remedy("--rate TYPE=RATE, such as --rate orders.placed=167/s")
        })?;
        print(self.output, || plan.in_words(), &plan)?;
        match plan.findings.iter().filter(|finding| finding.severity == Severity::Error).count() {
            0 => Ok(()),
            1 => Err(Problem::new(Exit::Failed, "something does not fit").remedy("it says above what to do")),
            many => Err(Problem::new(Exit::Failed, format!("{many} things do not fit"))
                .remedy("each says above what to do")),
        }
    }

    fn asked(&self) -> Result<Asked, Problem> {
        let mut asked = Asked::default();
        for Said { name, rate } in &self.rates {
            let before = match name {
                Some(name) => asked.types.insert(name.clone(), *rate),
                None => asked.total.replace(*rate),
            };
            if before.is_some() {
                let what = name.as_deref().unwrap_or("everything");
                return Err(Problem::new(Exit::Usage, format!("--rate: the rate of {what} is said twice")));
            }
        }
        Ok(asked)
    }

    async fn see(&self, console: Console) -> Result<capacity::Seen, Problem> {
        let (operator, url) = self.source.connect().await?;
        let looking = capacity::Seen::at(&operator);
        console.watch("looking", looking).await.map_err(|error| {
            Problem::new(Exit::Unavailable, format!("the broker at {url} cannot be looked at")).because(error)
        })
    }
}
