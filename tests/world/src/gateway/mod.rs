//! A payment gateway in the form of Stripe's PaymentIntents API.
//!
//! A request passes through the `routes`, which refuse or hold it as the `switches` say, and
//! is read into an `operation`. The `till` lets one request for each idempotency key run at a
//! time, writes the execution to the journal and then to the `ledger`. An execution holds all
//! that its `answer` is made of, so a replay renders the same bytes again.

mod answer;
mod decline;
mod execution;
mod ledger;
mod operation;
mod parameters;
mod refusal;
mod routes;
mod switches;
mod till;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use crate::{Failure, server};

pub use decline::DeclineRules;
pub use switches::Switches;

/// The command line of the gateway.
#[derive(Debug, clap::Parser)]
#[command(name = "gateway", version, about = "A payment gateway in the form of Stripe's PaymentIntents API")]
pub struct Options {
    /// The address to serve on; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The file that charges, declines and remembered answers are kept in. Without it they are
    /// lost when the process ends.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Which payments are declined.
    #[command(flatten)]
    pub decline: DeclineRules,
    /// How the gateway misbehaves from the start.
    #[command(flatten)]
    pub switches: Switches,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// The address is taken, or the data file is unusable; see [`Failure`].
pub async fn run(options: Options) -> Result<(), Failure> {
    let till = till::Till::open(options.data.as_deref(), options.decline)?;
    let (listener, address) = server::bind(options.listen).await?;
    let termination = server::Termination::install()?;
    server::announce("http", address)?;
    let gateway = Arc::new(routes::Gateway::new(till, options.switches));
    server::serve(listener, routes::router(gateway), termination).await
}

/// Serves on a free port within this process, for as long as its runtime lives: for a test that wires functions together.
///
/// # Errors
/// There is no free port.
pub async fn open(decline: DeclineRules) -> Result<SocketAddr, Failure> {
    let till = till::Till::open(None, decline)?;
    server::open(routes::router(Arc::new(routes::Gateway::new(till, Switches::default())))).await
}
