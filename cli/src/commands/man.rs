//! `jetlag man`: manual pages.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::console::Console;
use crate::problem::{Exit, Problem};

/// Write manual pages, one for each command
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Man {
    /// Write them into this directory, which is made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  jetlag man ~/.local/share/man/man1 && man jetlag-status
  jetlag man ./man && man ./man/jetlag-dlq-redrive.1

Exit codes:
  0 written    64 usage    73 the directory cannot be written";

impl Man {
    /// Writes a page for `command` and for each in it.
    ///
    /// # Errors
    /// They cannot be written (73).
    pub fn run(&self, command: Command, console: Console) -> Result<(), Problem> {
        let written = std::fs::create_dir_all(&self.directory)
            .and_then(|()| clap_mangen::generate_to(command, &self.directory));
        written.map_err(|error| {
            let what = format!("cannot write manual pages into `{}`", self.directory.display());
            Problem::new(Exit::CannotCreate, what).because(error)
        })?;
        console.note(&format!("manual pages are in {}", self.directory.display()));
        Ok(())
    }
}
