//! What a ScaledObject says, with KEDA's defaults for what it does not say.

use std::num::NonZeroU64;
use std::time::Duration;

use super::behaviour::Behaviour;

/// What a ScaledObject says.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How often KEDA looks at the triggers.
    pub polling: Duration,
    /// How long no trigger must have been active before KEDA scales to zero.
    pub cooldown: Duration,
    /// The same for a Deployment that no trigger has been active for, from when the ScaledObject was made.
    pub initial_cooldown: Duration,
    /// How many processes there are when no trigger is active, where that is not `min`.
    pub idle: Option<u32>,
    /// The least processes; with 0 KEDA scales to zero, and the HPA's least is 1.
    pub min: u32,
    /// The most processes.
    pub max: u32,
    /// What is looked at.
    pub triggers: Vec<Trigger>,
    /// How fast the HPA scales; nothing is not the same as the default behaviour, see [`Behaviour`].
    pub behaviour: Option<Behaviour>,
    /// What is done when triggers cannot be read.
    pub fallback: Option<Fallback>,
    /// What an operator has stopped by annotations.
    pub pauses: Pauses,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            polling: Duration::from_secs(30),
            cooldown: Duration::from_secs(300),
            initial_cooldown: Duration::ZERO,
            idle: None,
            min: 0,
            max: 100,
            triggers: Vec::new(),
            behaviour: None,
            fallback: None,
            pauses: Pauses::default(),
        }
    }
}

impl Settings {
    /// The HPA's least: it never scales to zero itself.
    pub(super) fn least(&self) -> u32 {
        self.min.max(1)
    }
}

/// A consumer whose lag is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name, for reasons.
    pub name: String,
    /// The lag for which one process is wanted: `lagThreshold`.
    pub target: NonZeroU64,
    /// The trigger is active above this lag: `activationLagThreshold`.
    pub activation: u64,
}

/// What is done when a trigger cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// How many readings in a row may fail; one more and the fallback is on.
    pub threshold: u32,
    /// How many processes there are then.
    pub replicas: u32,
    /// What `replicas` means.
    pub behaviour: FallbackBehaviour,
}

/// What the replicas of a fallback mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FallbackBehaviour {
    /// So many.
    #[default]
    Static,
    /// As many as there are.
    Current,
    /// As many as there are, and at least so many.
    CurrentIfHigher,
    /// As many as there are, and at most so many.
    CurrentIfLower,
}

/// The annotations by which an operator stops scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pauses {
    /// `autoscaling.keda.sh/paused` or `paused-replicas`: nothing is decided, and there is no HPA.
    pub all: bool,
    /// `autoscaling.keda.sh/paused-replicas`: how many processes there are as long as it is paused.
    pub replicas: Option<u32>,
    /// `autoscaling.keda.sh/paused-scale-in`: nothing is stopped.
    pub scale_in: bool,
    /// `autoscaling.keda.sh/paused-scale-out`: nothing is started.
    pub scale_out: bool,
    /// `autoscaling.keda.sh/force-activation`: as if a trigger were active.
    pub forced: bool,
}
