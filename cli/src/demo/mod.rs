//! The demonstration: a shop with real orders, run on this machine, and its books balanced.
//!
//! [`run`] does all of it. [`Shop`] has the steps one by one, for whoever wants to do something in between, such as
//! killing a process:
//!
//! ```no_run
//! # use jetlag_cli::demo::{Options, Report, Shop};
//! # async fn steps() -> Result<Report, jetlag_cli::problem::Problem> {
//! let shop = Shop::open(Options::new(".jetlag/demo")).await?;
//! let stocked = shop.stock().await?;      // goods arrive, and are booked
//! let before = shop.books(&stocked).await?;
//! let placed = shop.place().await?;       // POST /orders, every order of the file
//! let rest = shop.rest(&placed).await;    // every order has ended, everything is handled
//! let report = shop.balance(stocked, &before, placed, rest).await?;
//! shop.close().await;
//! # Ok(report) }
//! ```

mod evidence;
mod number;
mod opening;
mod report;
mod rest;
mod shop;
mod table;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

pub use evidence::{gather, read};
pub use opening::{Delivery, Opening, Scarce};
pub use report::{Counts, Report, StockReport};
pub use rest::{Rest, at_rest};
pub use shop::{Placed, Shop, Stocked};

use crate::app;
use crate::problem::{Exit, Problem};

/// Where a demonstration keeps everything, unless it is said otherwise.
pub const DATA_DIRECTORY: &str = ".jetlag/demo";
/// The orders that are placed, relative to `jetlag.yaml`.
const ORDERS_FILE: &str = "data/online-retail/orders-2010-12.csv";
/// How many orders are under way at a time.
const CONCURRENCY: usize = 32;

/// What to demonstrate, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the application is started.
    pub app: app::Options,
    /// The file of orders; `data/online-retail/orders-2010-12.csv` beside `jetlag.yaml` if none is named.
    pub orders: Option<PathBuf>,
    /// Forget what earlier demonstrations left.
    pub fresh: bool,
    /// Keep everything up once the books are balanced.
    pub stay: bool,
    /// How many orders are under way at a time; at least one.
    pub concurrency: usize,
    /// How many orders are begun in a second; as many as the answers allow if this is `None`.
    pub orders_per_second: Option<NonZeroU32>,
}

impl Options {
    /// What `jetlag demo` does without further options, in `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let app = app::Options { other_ports: true, ..app::Options::new(data) };
        Self {
            app,
            orders: None,
            fresh: false,
            stay: false,
            concurrency: CONCURRENCY,
            orders_per_second: None,
        }
    }
}

/// Runs the whole demonstration and leaves no process behind.
///
/// # Errors
/// Something keeps it from being run. Books that do not add up are no error: they are in the report.
pub async fn run(options: Options) -> Result<Report, Problem> {
    run_until(options, std::future::pending, |_| Ok(())).await
}

/// Like [`run`], and stops as soon as an `interrupted()` completes; a second one kills. Before everything is stopped,
/// `told` is given the report; with [`Options::stay`], everything then stays up until an `interrupted()`.
///
/// # Errors
/// Something keeps it from being run, it was interrupted (130), or `told` failed.
pub async fn run_until(
    options: Options,
    mut interrupted: impl AsyncFnMut(),
    told: impl FnOnce(&Report) -> Result<(), Problem>,
) -> Result<Report, Problem> {
    let (stay, console) = (options.stay, options.app.console);
    let shop = Shop::open_until(options, interrupted()).await?;
    let outcome = tokio::select! {
        outcome = shop.demonstrate() => outcome,
        () = interrupted() => {
            Err(Problem::new(Exit::Interrupted, "interrupted before the books were balanced"))
        }
    };
    let outcome = outcome.and_then(|report| told(&report).map(|()| report));
    if stay && outcome.is_ok() {
        console.note(&format!("everything stays up, orders at {}; Ctrl-C stops it", shop.front_door()));
        interrupted().await;
    }
    tokio::select! {
        () = shop.close() => outcome,
        () = interrupted() => {
            shop.running().kill().await;
            Err(Problem::new(Exit::Interrupted, "killed before everything had stopped by itself"))
        }
    }
}

/// Removes what earlier runs left in `data`, if that is a data directory and nothing runs in it.
fn forget(data: &Path) -> Result<(), Problem> {
    let entries: Vec<_> = match std::fs::read_dir(data) {
        Ok(entries) => entries.filter_map(Result::ok).collect(),
        // Nothing is there.
        Err(_) => return Ok(()),
    };
    let is_ours = entries.iter().any(|entry| entry.file_name() == crate::broker::NAME);
    if !is_ours && !entries.is_empty() {
        let what = format!("`{}` is no data directory of Jetlag, and is left as it is", data.display());
        return Err(
            Problem::new(Exit::Usage, what).remedy("--fresh forgets what an earlier run left in --data")
        );
    }
    // Held while removing: nobody may run there.
    let _lock = crate::supervisor::lock::DataLock::take(data)?;
    for entry in entries {
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_directory { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.map_err(|error| {
            Problem::new(Exit::CannotCreate, format!("cannot remove `{}`", path.display())).because(error)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_data_directory_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        assert!(forget(&directory.path().join("nowhere")).is_ok());
        std::fs::write(directory.path().join("thesis.txt"), "").unwrap();
        assert_eq!(forget(directory.path()).unwrap_err().exit(), Exit::Usage);
        std::fs::create_dir_all(directory.path().join("broker/store")).unwrap();
        forget(directory.path()).unwrap();
        assert!(!directory.path().join("thesis.txt").exists() && !directory.path().join("broker").exists());
    }
}
