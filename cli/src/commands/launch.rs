//! How an application is started: the options that `up` and `demo` share.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::{Build, Options};
use crate::broker::BINARY_VARIABLE;
use crate::console::Console;

/// Where the programs come from, and what they are run on.
#[derive(Debug, Args)]
pub(super) struct Launch {
    /// Read this file instead of the nearest jetlag.yaml at or above the current directory
    #[arg(long, value_name = "FILE")]
    pub(super) app: Option<PathBuf>,

    /// The port of the broker; 0 for any free port [default: 4222 if it is free, else any]
    #[arg(long, value_name = "N")]
    nats_port: Option<u16>,

    /// Start this nats-server instead of one that is found or fetched
    #[arg(long, value_name = "PATH", env = BINARY_VARIABLE)]
    nats_server: Option<PathBuf>,

    /// Run the binaries beside this program as they are
    #[arg(long, conflicts_with = "release")]
    no_build: bool,

    /// Build with optimisation, also if this program was built without
    #[arg(long)]
    release: bool,
}

impl Launch {
    /// What these options come to, with everything kept in `data`.
    pub(super) fn options(&self, data: &Path, console: Console) -> Options {
        let build = match (self.no_build, self.release) {
            (true, _) => Build::Beside,
            (false, true) => Build::Cargo { release: true },
            (false, false) => Build::like_this_program(),
        };
        Options {
            manifest: self.app.clone(),
            nats_port: self.nats_port,
            nats_server: self.nats_server.clone(),
            build,
            console,
            ..Options::new(data)
        }
    }
}
