//! Conformance: small properties of a broker, each written once and held against the simulated and the real one, so that
//! the simulation stays honest. `battery` is the table of contents.

mod battery;
pub(crate) mod rig;
mod simulated;

mod batches;
mod consuming;
mod keeping;
mod publishing;
mod queueing;
mod reading;
mod sharing;
mod trail;

use std::time::Duration;

use crate::jetstream::RealRig;
use simulated::Simulated;

/// How long one property may take; in simulated time for the simulated broker.
const LIMIT: Duration = Duration::from_secs(120);

/// A property of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Property {
    /// Its name: that of the function which checks it.
    pub name: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Why the simulated broker need not have it; nothing if it has it.
    pub real_only: Option<&'static str>,
}

/// Where the real broker is: one or more servers, with an account for each property.
#[derive(Debug, Clone)]
pub struct Real {
    /// URLs of the servers, separated by commas.
    pub url: String,
    /// Copies of each stream.
    pub replicas: u8,
}

/// Every property, in the order in which they are best read.
pub fn properties() -> Vec<Property> {
    battery::properties()
}

/// Holds the property `name` against the simulated broker, on a clock of its own.
///
/// # Errors
/// It does not hold: what was seen. Or there is no such property.
pub fn against_simulated(name: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let rig = Simulated::new();
        within_limit(battery::check(&rig, name)).await
    })
}

/// Holds the property `name` against a real broker, in the account of that name, whose user and password are the name too.
///
/// # Errors
/// It does not hold: what was seen. Or the broker cannot be reached.
pub async fn against_real(real: &Real, name: &str) -> Result<(), String> {
    let rig = RealRig::open(&real.url, name, real.replicas).await?;
    within_limit(battery::check(&rig, name)).await
}

async fn within_limit(check: impl Future<Output = rig::Check>) -> Result<(), String> {
    tokio::time::timeout(LIMIT, check).await.map_err(|_| format!("it takes longer than {LIMIT:?}"))?
}
