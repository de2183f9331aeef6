//! The payment gateway as a process; see [`world::gateway`].

use std::process::ExitCode;

use clap::Parser;
use world::gateway::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    world::run_to_exit("gateway", gateway::run(Options::parse())).await
}
