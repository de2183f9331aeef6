//! The receiver of notifications as a process; see [`world::receiver`].

use std::process::ExitCode;

use clap::Parser;
use world::receiver::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    world::run_to_exit("receiver", receiver::run(Options::parse())).await
}
