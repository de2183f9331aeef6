//! `jetlag audit verify`: whether the audit trail is still what was sealed.

use std::fmt::Write;

use clap::{Args, Subcommand};
use jetlag::jetstream::{Operator, OperatorError};
use serde::Serialize;

use super::{Target, print};
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::sealed::{self, Sealed};

/// Look after the audit trail
#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(Verify),
}

/// Prove that nothing in the audit trail was changed, removed or put into another order
///
/// Reads the whole trail, computes its chain of hashes anew and compares it with every checkpoint. Whoever can write to
/// the AUDIT stream at will could forge it together with every later checkpoint: keep the hash that is printed here
/// somewhere else, and compare the next time.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Verify {
    #[command(flatten)]
    target: Target,
}

const EXAMPLES: &str = "\
Examples:
  jetlag audit verify                                  of the up or demo that runs here
  jetlag audit verify --url nats://nats.example:4222   somewhere else
  jetlag audit verify -o json | jq -r .hash            the hash to keep

Exit codes:
  0 it is what was sealed    1 it is broken: the faults are listed    66 nothing runs here    69 no answer    78 denied by the broker";

/// The result.
#[derive(Debug, Serialize)]
struct Verified {
    /// All entries.
    entries: u64,
    /// Checkpoints that seal them.
    checkpoints: u64,
    /// The last entry that is sealed.
    sealed_to: u64,
    /// Entries after that; at rest it is the last checkpoint's own.
    unsealed: u64,
    /// The hash of the last checkpoint.
    hash: Option<String>,
    /// How many faults were found.
    faults: u64,
    /// The first of them.
    broken: Vec<String>,
}

impl Audit {
    /// Does what is asked.
    ///
    /// # Errors
    /// The trail is broken (1), or the broker does not answer (69).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let Command::Verify(verify) = self.command;
        let (operator, url) = verify.target.source.connect().await?;
        let verified = console.watch("reading the audit trail", read(&operator)).await.map_err(|error| {
            Problem::new(Exit::Unavailable, format!("the audit trail at {url} cannot be read")).because(error)
        })?;
        print(verify.target.output, || verified.in_words(), &verified)?;
        if verified.faults == 0 {
            return Ok(());
        }
        let what = format!("the audit trail at {url} is broken: {} faults", verified.faults);
        Err(Problem::new(Exit::Failed, what)
            .remedy("somebody wrote to the stream, or took from it: the broker's own log says who could"))
    }
}

async fn read(operator: &Operator) -> Result<Verified, OperatorError> {
    let Sealed { entries, verifier, faults, broken } = sealed::verify(operator, |_, _, _| {}).await?;
    let last = verifier.last();
    Ok(Verified {
        entries,
        checkpoints: last.map_or(0, |last| last.number),
        sealed_to: last.map_or(0, |last| last.to),
        unsealed: verifier.unsealed() as u64,
        hash: last.map(|last| last.hash.to_string()),
        faults,
        broken,
    })
}

impl Verified {
    fn in_words(&self) -> String {
        let Self { entries, checkpoints, sealed_to, unsealed, .. } = self;
        let mut text = format!(
            "{entries:>9}  entries\n{checkpoints:>9}  checkpoints, up to entry {sealed_to}\n{unsealed:>9}  entries after that\n"
        );
        if let Some(hash) = &self.hash {
            let _ = writeln!(text, "{:>9}  {hash}", "hash");
        }
        if self.faults == 0 {
            text.push_str("           nothing was changed, removed or put into another order\n");
        }
        for broken in &self.broken {
            let _ = writeln!(text, "   BROKEN  {broken}");
        }
        let untold = self.faults.saturating_sub(self.broken.len() as u64);
        if untold > 0 {
            let _ = writeln!(text, "           and {untold} more faults");
        }
        text
    }
}
