//! The command line: one file for each subcommand.

pub mod audit;
pub mod check;
pub mod completions;
mod contracted;
pub mod demo;
pub mod dlq;
pub mod doctor;
pub mod invoke;
mod launch;
pub mod lint;
pub mod man;
pub mod manifests;
pub mod metrics;
pub mod new;
pub mod place;
pub mod provision;
pub mod replay;
pub mod rescue;
mod scale;
mod signals;
pub mod status;
pub mod top;
pub mod trail;
pub mod up;

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::problem::{Exit, Problem};
use crate::streams::Source;

/// Where everything of a run is kept, unless it is said otherwise.
pub const DATA_DIRECTORY: &str = ".jetlag";

/// The form of what is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    Text,
    /// For a program.
    Json,
}

/// A time such as `90s`, `30m`, `24h` or `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time such as 90s, 30m, 24h or 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).filter(|time| *time > 0).map(Duration::from_secs).ok_or_else(wrong)
}

/// Which broker is looked at, and how the result is told.
#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    source: Source,

    /// The form of the result on standard output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Prints a result. Whoever reads it may have closed the pipe, as `head` does: that is no error.
pub(crate) fn print(
    format: Format,
    text: impl FnOnce() -> String,
    value: &impl Serialize,
) -> Result<(), Problem> {
    let failed =
        |error: io::Error| Problem::new(Exit::CannotCreate, "cannot write to standard output").because(error);
    let line = match format {
        Format::Text => text(),
        Format::Json => serde_json::to_string_pretty(value).map_err(|error| failed(error.into()))? + "\n",
    };
    write(&line).map(drop).map_err(failed)
}

/// Writes a part of a result; whether somebody still reads it.
pub(crate) fn write(text: &str) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}
