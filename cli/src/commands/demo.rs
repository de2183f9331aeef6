//! `jetlag demo`: a shop with real orders, and its books balanced.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use clap::Args;

use super::launch::Launch;
use super::signals::Signals;
use super::{Format, print};
use crate::app;
use crate::console::Console;
use crate::demo::{self, DATA_DIRECTORY, Options};
use crate::problem::{Exit, Problem};

/// Run a shop with real orders, and balance its books
///
/// Starts everything that `jetlag up` starts, in a data directory of its own; lets stock arrive, with too little of the
/// bestsellers; places the real orders of four days; waits until every order is confirmed or cancelled and every
/// customer is told; and balances what the functions recorded against the gateway's ledger, the receiver's count, the
/// stock and the audit trail. Then it stops everything. Run it again: nobody is charged or notified twice.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// Keep streams, ledger, inbox and logs in this directory
    #[arg(long, value_name = "DIR", default_value = DATA_DIRECTORY)]
    data: PathBuf,

    /// Forget what earlier demonstrations left there
    #[arg(long)]
    fresh: bool,

    /// A CSV file with the columns of Online Retail (UCI) [default: data/online-retail/orders-2010-12.csv]
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Begin at most so many orders a second [default: as many as are answered]
    #[arg(long, value_name = "N")]
    speed: Option<NonZeroU32>,

    /// How many orders are under way at a time
    #[arg(long, value_name = "N", default_value = "32")]
    concurrency: NonZeroU16,

    /// The port of the first function; the others follow. If one is taken, any free ports
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port_base: u16,

    /// Once the books are balanced, keep everything running until Ctrl-C
    #[arg(long)]
    stay: bool,

    #[command(flatten)]
    launch: Launch,

    /// The form of the result on standard output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  jetlag demo                          400 real orders, from the first to the balanced books
  jetlag demo                          again: nothing is charged, sent or counted twice
  jetlag demo --fresh --speed 20       from the beginning, as a shop would see them
  jetlag demo --stay                   and then look around: jetlag trail 536365, jetlag audit verify
  jetlag demo -o json | jq .books      the same facts for a program

Exit codes:
  0 everything adds up    1 something does not: the table says what
  64 usage    65 the build failed, or the orders cannot be used    69 something did not start or answer
  75 another run holds the data directory    78 configuration    130 interrupted";

impl Demo {
    /// Runs the demonstration, prints the table, and stops everything.
    ///
    /// # Errors
    /// Something keeps it from being run, or the books do not add up (1).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let mut signals = Signals::new()?;
        let told = |report: &demo::Report| print(self.output, || report.to_string(), report);
        let report = demo::run_until(self.options(console), async || signals.next().await, told).await?;
        if report.adds_up() {
            return Ok(());
        }
        let what = format!("the books do not add up: {} findings", report.books.findings.len());
        let remedy = "jetlag up --data DIR, then jetlag trail ORDER, shows what happened to an order; logs are in DIR/logs";
        Err(Problem::new(Exit::Failed, what).remedy(remedy.replace("DIR", &self.data.display().to_string())))
    }

    fn options(&self, console: Console) -> Options {
        let app = app::Options {
            port_base: self.port_base,
            other_ports: true,
            ..self.launch.options(&self.data, console)
        };
        Options {
            app,
            orders: self.csv.clone(),
            fresh: self.fresh,
            stay: self.stay,
            concurrency: self.concurrency.get().into(),
            orders_per_second: self.speed,
        }
    }
}
