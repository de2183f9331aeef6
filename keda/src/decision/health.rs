//! What the readings of triggers come to: active or not, failed, or replaced by the fallback.

use super::Reading;
use super::settings::{Fallback, FallbackBehaviour, Settings, Trigger};

/// What a reading comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The lag, and whether it is above what activates.
    Lag { lag: u64, active: bool },
    /// The fallback stands in: the lag for which the HPA wants as many processes as it says. It activates.
    Fallback { lag: u64 },
    /// Nothing is known.
    Failed,
}

impl Seen {
    pub(super) const fn is_active(self) -> bool {
        matches!(self, Self::Lag { active: true, .. } | Self::Fallback { .. })
    }

    /// The value that the HPA is given, if it is given one.
    pub(super) const fn lag(self) -> Option<u64> {
        match self {
            Self::Lag { lag, .. } | Self::Fallback { lag } => Some(lag),
            Self::Failed => None,
        }
    }
}

/// How many readings of each trigger failed in a row.
#[derive(Debug, Clone)]
pub(super) struct Health {
    failures: Vec<u32>,
}

impl Health {
    pub(super) fn of(triggers: usize) -> Self {
        Self { failures: vec![0; triggers] }
    }

    /// Counts what failed, and says what each reading comes to.
    pub(super) fn weigh(&mut self, settings: &Settings, replicas: u32, readings: &[Reading]) -> Vec<Seen> {
        let readings = readings.iter().copied().chain(std::iter::repeat(Reading::Failed));
        let triggers = settings.triggers.iter().zip(&mut self.failures);
        triggers
            .zip(readings)
            .map(|((trigger, failures), reading)| match reading {
                Reading::Lag(lag) => {
                    *failures = 0;
                    Seen::Lag { lag, active: lag > trigger.activation }
                }
                Reading::Failed => {
                    *failures = failures.saturating_add(1);
                    match settings.fallback {
                        Some(fallback) if *failures > fallback.threshold => {
                            Seen::Fallback { lag: fallback.lag(trigger, replicas) }
                        }
                        _ => Seen::Failed,
                    }
                }
            })
            .collect()
    }
}

impl Fallback {
    /// The fallback has no power over replicas: it tells the HPA a lag for which it wants so many.
    fn lag(self, trigger: &Trigger, current: u32) -> u64 {
        let replicas = match self.behaviour {
            FallbackBehaviour::Static => self.replicas,
            FallbackBehaviour::Current => current,
            FallbackBehaviour::CurrentIfHigher => current.max(self.replicas),
            FallbackBehaviour::CurrentIfLower => current.min(self.replicas),
        };
        trigger.target.get().saturating_mul(u64::from(replicas))
    }
}
