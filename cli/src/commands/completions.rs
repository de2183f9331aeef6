//! `jetlag completions`: what a shell needs to complete the command line.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::problem::{Exit, Problem};

/// Print what a shell needs to complete `jetlag` by Tab
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  jetlag completions bash > ~/.local/share/bash-completion/completions/jetlag
  jetlag completions zsh > ~/.zfunc/_jetlag                      with fpath+=~/.zfunc before compinit in ~/.zshrc
  jetlag completions fish > ~/.config/fish/completions/jetlag.fish
  source <(jetlag completions bash)                              for this shell alone

Exit codes:
  0 printed    64 usage    73 standard output cannot be written";

impl Completions {
    /// Prints the script for the whole of `command`.
    ///
    /// # Errors
    /// It cannot be written (73).
    pub fn run(&self, mut command: Command) -> Result<(), Problem> {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        match io::stdout().lock().write_all(&script) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Problem::new(Exit::CannotCreate, "cannot write to standard output").because(error))
            }
            _ => Ok(()),
        }
    }
}
