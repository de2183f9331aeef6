//! What KEDA and the HPA would do, as a function: settings, lags and time in, replicas and the reason out.
//!
//! Two controllers share a Deployment. KEDA looks at each trigger every `pollingInterval`, takes the Deployment from zero
//! to its least replicas when one of them is active, and back to zero once none was for `cooldownPeriod`
//! ([`Scaler::poll`]). Between one and the maximum the HPA decides, every [`SYNC`] ([`Scaler::sync`]). Neither asks the
//! other, which is why most surprises are about both.
//!
//! [`Settings`] are read from a ScaledObject as it is written (`Settings::try_from`).
//!
//! It follows KEDA 2.21 (`pkg/scaling/executor/scale_scaledobjects.go`, `pkg/fallback`) and Kubernetes 1.36
//! (`pkg/controller/podautoscaler`), rounding included. No clock is read: `now` is the time since any moment, and must not
//! go back. What is left out is what a lag of JetStream never needs: formulas, metrics of CPU and memory, targets of
//! another type than `AverageValue`, and the HPA's own scaling to zero, which is off by default.

mod activation;
mod autoscaler;
mod behaviour;
mod health;
mod history;
mod reason;
mod recording;
pub mod replay;
mod scaled_object;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use behaviour::{Behaviour, Change, Policy, Rules, Select};
pub use reason::Reason;
pub use recording::{Function, Look, Recording};
pub use scaled_object::Undecided;
pub use settings::{Fallback, FallbackBehaviour, Pauses, Settings, Trigger};

use activation::Activation;
use autoscaler::Autoscaler;
use health::Health;

/// How often the HPA looks, unless the controller manager was told otherwise (`--horizontal-pod-autoscaler-sync-period`).
pub const SYNC: Duration = Duration::from_secs(15);
/// How far the lag for each process may be from its target, up or down, before the HPA does anything.
pub const TOLERANCE: f64 = 0.1;
/// For how long the HPA remembers a higher recommendation before it scales down, unless the behaviour says otherwise.
pub const DOWNSCALE_WINDOW: Duration = Duration::from_secs(300);

/// What was seen of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// What waits for the consumer and what it has not answered for: `num_pending + num_ack_pending`.
    Lag(u64),
    /// The monitoring endpoint did not answer, or there is no such stream or consumer.
    Failed,
}

/// The processes of a function, as the Deployment has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas {
    /// How many are asked for (`spec.replicas`).
    pub wanted: u32,
    /// How many pods there are, ready or not (`status.replicas`).
    pub running: u32,
}

impl Replicas {
    /// As many as are asked for.
    pub const fn settled(count: u32) -> Self {
        Self { wanted: count, running: count }
    }
}

/// What is decided: what `spec.replicas` becomes, and why. The same number as before is a decision too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How many processes are asked for from now on.
    pub replicas: u32,
    /// Why.
    pub reason: Reason,
}

/// KEDA and the HPA for one Deployment, with what they remember.
#[derive(Debug, Clone)]
pub struct Scaler {
    settings: Settings,
    activation: Activation,
    autoscaler: Autoscaler,
    health: Health,
}

impl Scaler {
    /// As of a ScaledObject that is applied at `now`.
    pub fn new(settings: Settings, now: Duration) -> Self {
        let health = Health::of(settings.triggers.len());
        Self { settings, activation: Activation::since(now), autoscaler: Autoscaler::default(), health }
    }

    /// What it decides by.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// KEDA looks, with one reading for each trigger, in their order; one that is missing has failed. It does so at once,
    /// and then every `pollingInterval`.
    pub fn poll(&mut self, now: Duration, replicas: Replicas, readings: &[Reading]) -> Verdict {
        let seen = self.health.weigh(&self.settings, replicas.wanted, readings);
        self.activation.decide(&self.settings, now, replicas.wanted, &seen)
    }

    /// The HPA looks. It asks KEDA for each metric, and KEDA asks the broker: these are readings of their own, and they
    /// count towards the fallback as those of [`poll`](Self::poll) do. At zero replicas it asks for none.
    pub fn sync(&mut self, now: Duration, replicas: Replicas, readings: &[Reading]) -> Verdict {
        if self.settings.pauses.all {
            // KEDA has deleted the HPA, and its memory with it.
            self.autoscaler = Autoscaler::default();
            return Verdict { replicas: replicas.wanted, reason: Reason::Paused };
        }
        // At zero the HPA asks for no metric: nothing was read, and nothing failed.
        let seen = match replicas.wanted {
            0 => Vec::new(),
            wanted => self.health.weigh(&self.settings, wanted, readings),
        };
        self.autoscaler.decide(&self.settings, now, replicas, &seen)
    }
}
