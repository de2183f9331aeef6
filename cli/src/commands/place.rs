//! `jetlag place`: places the orders of a file.

use std::fmt::Write;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{DATA_DIRECTORY, Format, print};
use crate::app;
use crate::console::Console;
use crate::orders::{self, Placement, Report, Tally};
use crate::problem::{Exit, Problem};

/// Where orders go if nothing says otherwise.
const CUSTOMARY_URL: &str = "http://127.0.0.1:8080";
/// The function that takes orders.
const FRONT_DOOR: &str = "order";

/// Place the orders of a file of the Online Retail data set
///
/// Each invoice is one order, placed once however often the command is run. Rows and invoices that are no orders
/// (cancellations, invoices without customer, rows that cannot be read) are counted by reason: nothing is lost
/// silently. An order that gets "later" for an answer, or none, is tried again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Place {
    /// A CSV file with the columns of Online Retail (UCI), such as data/online-retail/orders-2010-12.csv
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,

    /// Where orders are placed [default: the `order` of the `jetlag up` in --data, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The data directory of the `jetlag up` that is meant
    #[arg(long, value_name = "DIR", default_value = DATA_DIRECTORY)]
    data: PathBuf,

    /// How many orders are under way at a time
    #[arg(long, value_name = "N", default_value = "32")]
    concurrency: NonZeroU16,

    /// How long one order is tried
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u32,

    /// Begin at most so many orders a second [default: as many as are answered]
    #[arg(long, value_name = "N")]
    speed: Option<NonZeroU32>,

    /// Read the file and say what would be placed, and place nothing
    #[arg(long)]
    dry_run: bool,

    /// The form of the result on standard output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:
  jetlag place data/online-retail/orders-2010-12.csv             512 invoices, of which 400 are orders
  jetlag place orders.csv --url http://shop.example:8080         somewhere else
  jetlag place orders.csv --speed 10                             a steady stream of them
  jetlag place orders.csv --dry-run                              what is in the file, by reason
  jetlag place orders.csv -o json | jq .placed.retries           for a program

Exit codes:
  0 every order is placed   65 not such a file, or orders were refused   66 no such file   69 orders were not answered";

/// The result.
#[derive(Debug, Serialize)]
struct Placed {
    file: Report,
    /// Absent after a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    placed: Option<Tally>,
}

impl Place {
    /// Places the orders and prints the result.
    ///
    /// # Errors
    /// The file cannot be read; orders were refused (65) or not answered (69).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let sheet = orders::read(&self.file)?;
        if self.dry_run {
            let result = Placed { file: sheet.report, placed: None };
            return print(self.output, || result.file.to_string(), &result);
        }
        let placement = Placement {
            url: self.url.unwrap_or_else(|| url_of(&self.data)),
            concurrency: self.concurrency.get().into(),
            patience: Duration::from_secs(self.patience.into()),
            orders_per_second: self.speed,
        };
        let bar = console.bar(sheet.orders.len() as u64, "placing orders");
        let tally = orders::place_all(sheet.orders, &placement, |_, _| bar.inc(1)).await?;
        bar.finish_and_clear();
        let result = Placed { file: sheet.report, placed: Some(tally.clone()) };
        print(self.output, || format!("{}{}", result.file, table(&tally)), &result)?;
        verdict(&tally, &placement.url)
    }
}

fn url_of(data: &Path) -> String {
    let status = app::status(data);
    let door = status.as_ref().and_then(|status| status.door(FRONT_DOOR));
    door.unwrap_or(CUSTOMARY_URL).to_owned()
}

fn table(tally: &Tally) -> String {
    let seconds = format!("{}.{:03} s", tally.elapsed_ms / 1000, tally.elapsed_ms % 1000);
    let mut text = format!("{:>8}  orders in {seconds}, {} requests repeated\n", tally.orders, tally.retries);
    let lines = [
        ("placed", tally.placed),
        ("placed before", tally.already_placed),
        ("refused", tally.refused),
        ("not answered", tally.unanswered),
    ];
    for (name, count) in lines.into_iter().filter(|(_, count)| *count > 0) {
        let _ = writeln!(text, "{count:>8}    {name}");
    }
    for (reason, count) in &tally.reasons {
        let _ = writeln!(text, "{count:>8}      {reason}");
    }
    text
}

fn verdict(tally: &Tally, url: &str) -> Result<(), Problem> {
    if tally.unanswered > 0 {
        let what = format!("{} of {} orders were not answered by {url}", tally.unanswered, tally.orders);
        return Err(Problem::new(Exit::Unavailable, what).remedy(
            "run the same command again when it answers: an order is placed once, however often it is sent",
        ));
    }
    if tally.refused > 0 {
        return Err(Problem::new(
            Exit::Data,
            format!("{} of {} orders were refused by {url}", tally.refused, tally.orders),
        ));
    }
    Ok(())
}
