//! The people who are notified: every message is counted, and counted again if it comes again.
//!
//! Messages arrive by HTTP (`http`) or by mail (`smtp`) and meet in the `inbox`, which tells
//! them apart by the id that their sender gave them.

mod http;
mod inbox;
mod post;
mod smtp;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use crate::{Failure, server};

pub use post::Switches;

/// The command line of the receiver.
#[derive(Debug, clap::Parser)]
#[command(name = "receiver", version, about = "A receiver of notifications, by HTTP and by SMTP")]
pub struct Options {
    /// The address to serve HTTP on; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The address to serve SMTP on; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub smtp: SocketAddr,
    /// The file that deliveries are kept in. Without it they are lost when the process ends.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// How the receiver misbehaves from the start.
    #[command(flatten)]
    pub switches: Switches,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// An address is taken, or the data file is unusable; see [`Failure`].
pub async fn run(options: Options) -> Result<(), Failure> {
    let post = Arc::new(post::Post::open(options.data.as_deref(), options.switches)?);
    let (http_listener, http_address) = server::bind(options.listen).await?;
    let (smtp_listener, smtp_address) = server::bind(options.smtp).await?;
    let termination = server::Termination::install()?;
    server::announce("http", http_address)?;
    server::announce("smtp", smtp_address)?;
    let mail = tokio::spawn(smtp::serve(smtp_listener, Arc::clone(&post)));
    let ended = server::serve(http_listener, http::router(post), termination).await;
    // A mail that was acknowledged is in the journal; one that was not will be sent again.
    mail.abort();
    ended
}

/// Serves HTTP on a free port within this process, for as long as its runtime lives: for a test that wires functions
/// together.
///
/// # Errors
/// There is no free port.
pub async fn open() -> Result<SocketAddr, Failure> {
    server::open(http::router(Arc::new(post::Post::open(None, Switches::default())?))).await
}
