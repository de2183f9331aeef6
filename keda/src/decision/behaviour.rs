//! How fast the HPA scales: `spec.advanced.horizontalPodAutoscalerConfig.behavior`.

use std::time::Duration;

use super::{DOWNSCALE_WINDOW, TOLERANCE};

/// How fast the HPA scales, up and down.
///
/// An HPA without any follows older rules: up to the double or to four, whichever is more, at each [`SYNC`](super::SYNC),
/// and down to the highest recommendation of the last five minutes, even where that is more than there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Of more processes.
    pub up: Rules,
    /// Of fewer.
    pub down: Rules,
}

impl Default for Behaviour {
    /// What Kubernetes fills in where a part is not said.
    fn default() -> Self {
        Self { up: Rules::up(), down: Rules::down() }
    }
}

/// The rules of one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// For how long a recommendation that is closer to what there is prevails.
    pub window: Duration,
    /// Which of the policies prevails.
    pub select: Select,
    /// How much may change in a time.
    pub policies: Vec<Policy>,
    /// How far from its target a lag must be, as a part of the target.
    pub tolerance: f64,
}

impl Rules {
    /// Kubernetes' own for more: at once, by 4 or to the double in 15 s, whichever is more.
    pub fn up() -> Self {
        let policies = vec![
            Policy { change: Change::Replicas(4), period: Duration::from_secs(15) },
            Policy { change: Change::Percent(100), period: Duration::from_secs(15) },
        ];
        Self { window: Duration::ZERO, select: Select::Max, policies, tolerance: TOLERANCE }
    }

    /// Kubernetes' own for fewer: after five minutes, and then by any number.
    pub fn down() -> Self {
        let policies = vec![Policy { change: Change::Percent(100), period: Duration::from_secs(15) }];
        Self { window: DOWNSCALE_WINDOW, select: Select::Max, policies, tolerance: TOLERANCE }
    }

    /// The longest time that a policy looks back.
    pub(super) fn longest_period(&self) -> Duration {
        self.policies.iter().map(|policy| policy.period).max().unwrap_or_default()
    }
}

/// Which of several policies prevails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// That of the largest change.
    Max,
    /// That of the smallest.
    Min,
    /// Nothing changes in this direction.
    Disabled,
}

/// How much may change in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How much.
    pub change: Change,
    /// In which time.
    pub period: Duration,
}

/// A change of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// So many.
    Replicas(u32),
    /// So much of what there was when the period began.
    Percent(u32),
}
