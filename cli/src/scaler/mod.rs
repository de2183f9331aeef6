//! KEDA and the HPA on one machine: lag from the broker's monitoring endpoint in, processes out.
//!
//! What is decided is [`keda::decision`]'s, which knows no clock and no process. Here are its edges: the ScaledObjects as
//! they are written (`objects`), the endpoint as KEDA reads it (`endpoint`), time that may run faster (`clock`), and
//! one task for each function that looks, asks and acts (`Scaled`). Every change is told as a [`Change`].

mod change;
mod clock;
mod endpoint;
mod objects;
mod scaled;
mod summary;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keda::decision::{SYNC, Settings};

pub use change::{By, Change, What};
pub use summary::{FunctionSummary, Summary};
pub use text::Text;

pub(crate) use clock::Clock;
pub(crate) use endpoint::{Endpoint, Watched};
pub(crate) use objects::{Objects, Origin};
pub(crate) use scaled::{Scaled, Surroundings};

/// How functions are scaled.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files and directories of ScaledObjects; without any, what is generated and committed beside `jetlag.yaml`.
    pub by: Vec<PathBuf>,
    /// How many times as fast as the clock the time of KEDA and the HPA goes.
    pub speed: NonZeroU32,
    /// How often the HPA looks.
    pub sync: Duration,
    /// Who is told of every change.
    pub told: Told,
}

impl Options {
    /// As in a cluster, by what is committed.
    pub fn new(told: Told) -> Self {
        Self { by: Vec::new(), speed: NonZeroU32::MIN, sync: SYNC, told }
    }
}

/// Who is told of every change, at once and in its order for each function. It must not wait long: that function is not
/// scaled meanwhile.
#[derive(Clone)]
pub struct Told(Arc<dyn Fn(Change) + Send + Sync>);

impl Told {
    /// Whoever `tell` tells.
    pub fn new(tell: impl Fn(Change) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, change: Change) {
        (self.0)(change);
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

/// How one function is scaled.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What its ScaledObject says.
    pub(crate) settings: Settings,
    /// The consumers of its triggers, in their order.
    pub(crate) watched: Vec<Watched>,
    /// Where that is written.
    pub(crate) origin: Origin,
}

impl fmt::Display for Plan {
    /// What a person wants to know of it, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { min, max, polling, cooldown, triggers, .. } = &self.settings;
        write!(f, "{min} to {max} processes")?;
        let mut by_target: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for trigger in triggers {
            by_target.entry(trigger.target.get()).or_default().push(&trigger.name);
        }
        for (target, names) in by_target {
            write!(f, ", one for each {target} of {}", names.join(" or "))?;
        }
        let (polling, cooldown) = (polling.as_secs(), cooldown.as_secs());
        write!(f, "; polling {polling} s, cooldown {cooldown} s ({})", self.origin)
    }
}
