//! What a keeper keeps running.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use super::board::Kind;
use super::process::Output;
use crate::problem::Problem;

/// The addresses of a service: scheme (`http`, `smtp`, `nats`, `monitor`) to URL, without a slash at the end.
pub(crate) type Addresses = BTreeMap<String, String>;

/// A command, before it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Launch {
    /// A path, or a bare name that is looked up on the search path.
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// Added to the environment of this process.
    pub(crate) env: Vec<(String, String)>,
    /// Taken out of the environment that this process has from ours.
    pub(crate) without_env: &'static [&'static str],
    pub(crate) directory: Option<PathBuf>,
}

/// A process that is to run until it is told to stop.
pub(crate) trait Service: Send + 'static {
    /// Its name on the board, in messages, and of its log file.
    fn name(&self) -> &str;

    /// What it is to the application.
    fn kind(&self) -> Kind;

    /// What to run. `known` are the addresses of its earlier life, empty at first: a service comes back where it
    /// was, because others hold its address.
    fn launch(&self, known: &Addresses) -> Result<Launch, Problem>;

    /// Waits until the process does its work, and returns where. The keeper bounds this by
    /// [`Self::start_limit`] and watches for the death of the process, so it may wait for ever.
    fn up(
        &self,
        pid: u32,
        output: &Output,
        known: &Addresses,
    ) -> impl Future<Output = Result<Addresses, Problem>> + Send;

    /// How long the start may take.
    fn start_limit(&self) -> Duration;

    /// How long it may take to stop after SIGTERM, before it is killed.
    fn grace(&self) -> Duration;
}
