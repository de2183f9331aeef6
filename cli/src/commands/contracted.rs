//! Whose contracts a command works on: those of an application, or of any team's programs.

use std::path::PathBuf;

use clap::Args;

use crate::app::{self, Build, Deployable};
use crate::console::Console;
use crate::problem::Problem;

/// Where the functions are.
#[derive(Debug, Args)]
pub(super) struct Contracted {
    /// This program, which answers --describe, instead of the functions of the Cargo workspace; may be repeated
    #[arg(long = "function", value_name = "PATH")]
    functions: Vec<PathBuf>,

    /// Read this file instead of the nearest jetlag.yaml at or above the current directory
    #[arg(long, value_name = "FILE")]
    app: Option<PathBuf>,

    /// Ask the binaries beside this program as they are
    #[arg(long, conflicts_with = "functions")]
    no_build: bool,
}

impl Contracted {
    /// Whether it is not said where they are.
    pub(super) fn is_unsaid(&self) -> bool {
        self.functions.is_empty() && self.app.is_none()
    }

    /// Builds the functions as far as it is needed, and asks them.
    ///
    /// # Errors
    /// As [`app::deployable`].
    pub(super) async fn ask(&self, console: Console) -> Result<Deployable, Problem> {
        let build = if self.no_build { Build::Beside } else { Build::like_this_program() };
        app::deployable(self.app.as_deref(), &self.functions, build, console).await
    }
}
