//! What the HPA remembers: recommendations, and what it has changed.

use std::time::Duration;

/// Numbers of replicas with their times. A new one takes the place of one that is too old to matter, as in Kubernetes'
/// controller: what it still counts depends on that.
#[derive(Debug, Clone, Default)]
pub(super) struct History(Vec<Sample>);

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    replicas: u32,
}

impl History {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are strictly younger than `window`.
    pub(super) fn within(&self, window: Duration, now: Duration) -> impl Iterator<Item = u32> {
        self.0
            .iter()
            .filter(move |sample| sample.at.saturating_add(window) > now)
            .map(|sample| sample.replicas)
    }

    /// Those that are not older than `window`.
    pub(super) fn not_before(&self, window: Duration, now: Duration) -> impl Iterator<Item = u32> {
        self.0
            .iter()
            .filter(move |sample| sample.at.saturating_add(window) >= now)
            .map(|sample| sample.replicas)
    }

    /// Adds one, in place of the last that is older than `window` if there is one.
    pub(super) fn add(&mut self, replicas: u32, now: Duration, window: Duration) {
        let sample = Sample { at: now, replicas };
        match self.0.iter_mut().rev().find(|old| old.at.saturating_add(window) < now) {
            Some(old) => *old = sample,
            None => self.0.push(sample),
        }
    }

    #[cfg(test)]
    pub(super) fn of(samples: &[(u32, Duration)]) -> Self {
        Self(samples.iter().map(|&(replicas, at)| Sample { at, replicas }).collect())
    }

    #[cfg(test)]
    pub(super) fn replicas(&self) -> Vec<u32> {
        self.0.iter().map(|sample| sample.replicas).collect()
    }
}
