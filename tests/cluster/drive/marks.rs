//! When a function came to life, was at its most, and went to rest again, read off a timeline.

use crate::timeline::Sample;

/// The life of one function between two moments; times in milliseconds after the first of them.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// The first replica is wanted, and the first pod is ready.
    pub wanted_ms: Option<u64>,
    pub ready_ms: Option<u64>,
    /// The most replicas that were wanted at a time, the most pods that were ready, and when the former was first so.
    pub most_wanted: u64,
    pub most_ready: u64,
    pub most_wanted_ms: u64,
    /// The most lag, and when there was none any more for good.
    pub most_lag: u64,
    pub quiet_ms: Option<u64>,
    /// No replica is wanted any more for good.
    pub zero_ms: Option<u64>,
}

impl Marks {
    /// The life of `function` in `samples`, from `from_ms` on.
    pub fn of(function: &str, samples: &[Sample], from_ms: u64) -> Self {
        let mut marks = Self::default();
        for sample in samples {
            let Some(look) = sample.functions.get(function) else { continue };
            let t_ms = sample.t_ms.saturating_sub(from_ms);
            if look.wanted > 0 {
                marks.wanted_ms.get_or_insert(t_ms);
                marks.zero_ms = None;
            } else if marks.wanted_ms.is_some() {
                marks.zero_ms.get_or_insert(t_ms);
            }
            if look.ready > 0 {
                marks.ready_ms.get_or_insert(t_ms);
            }
            if look.wanted > marks.most_wanted {
                (marks.most_wanted, marks.most_wanted_ms) = (look.wanted, t_ms);
            }
            marks.most_ready = marks.most_ready.max(look.ready);
            match look.lag() {
                Some(0) if marks.most_lag > 0 => {
                    marks.quiet_ms.get_or_insert(t_ms);
                }
                Some(lag) if lag > 0 => {
                    marks.most_lag = marks.most_lag.max(lag);
                    marks.quiet_ms = None;
                }
                _ => {}
            }
        }
        marks
    }

    /// All of it in a line.
    pub fn in_words(&self) -> String {
        format!(
            "replica wanted {}, pod ready {}, most {} ({} ready) at {}, lag up to {}, none at {}, zero replicas {}",
            seconds(self.wanted_ms),
            seconds(self.ready_ms),
            self.most_wanted,
            self.most_ready,
            seconds(Some(self.most_wanted_ms)),
            self.most_lag,
            seconds(self.quiet_ms),
            seconds(self.zero_ms),
        )
    }
}

/// A time in seconds, as the table shows it.
pub fn seconds(ms: Option<u64>) -> String {
    ms.map_or_else(|| "never".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1000.0))
}
