//! What a run of the scaler came to.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::change::{Change, What};

/// What a run of the scaler came to, function by function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How long it was, in milliseconds.
    pub ms: u64,
    /// By name.
    pub functions: BTreeMap<String, FunctionSummary>,
}

/// What it came to for one function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FunctionSummary {
    /// How often it was started from zero.
    pub woken: u64,
    /// How many processes were wanted at most.
    pub replicas_most: u32,
    /// The highest lag of all triggers together.
    pub lag_most: u64,
    /// How long its processes ran, all together, in milliseconds.
    pub processes_ms: u64,
    #[serde(skip)]
    processes: u32,
    #[serde(skip)]
    since_ms: u64,
}

impl Summary {
    /// Counts a change.
    pub fn note(&mut self, change: &Change) {
        let function = self.functions.entry(change.function.clone()).or_default();
        function.until(change.at_ms);
        function.processes = change.processes();
        if let What::Replicas { before: 0, .. } = change.what {
            function.woken += 1;
        }
        function.replicas_most = function.replicas_most.max(change.replicas);
        function.lag_most = function.lag_most.max(change.lag_known());
        self.ms = self.ms.max(change.at_ms);
    }

    /// As of `ms` since scaling began.
    #[must_use]
    pub fn at(mut self, ms: u64) -> Self {
        self.ms = self.ms.max(ms);
        self.functions.values_mut().for_each(|function| function.until(ms));
        self
    }
}

impl FunctionSummary {
    fn until(&mut self, at_ms: u64) {
        let ms = at_ms.saturating_sub(self.since_ms);
        self.processes_ms = self.processes_ms.saturating_add(ms.saturating_mul(self.processes.into()));
        self.since_ms = self.since_ms.max(at_ms);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14}{:>6}{:>6}{:>9}{:>14}", "function", "woken", "most", "lag", "process time")?;
        for (name, function) in &self.functions {
            let FunctionSummary { woken, replicas_most, lag_most, processes_ms, .. } = function;
            let time = format!("{} s", processes_ms / 1000);
            writeln!(f, "{name:<14}{woken:>6}{replicas_most:>6}{lag_most:>9}{time:>14}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{change, replicas};
    use super::*;

    #[test]
    fn processes_are_counted_for_as_long_as_they_run_their_drain_included() {
        let mut summary = Summary::default();
        summary.note(&change(500, What::Lag, 0, Some(3)));
        summary.note(&replicas(1_000, 0, 1, 3));
        summary.note(&replicas(3_000, 1, 4, 500));
        let stopping = Change { stopping: 4, ..replicas(5_000, 4, 0, 0) };
        summary.note(&stopping);
        summary.note(&change(6_000, What::Processes, 0, Some(0)));
        summary.note(&replicas(9_000, 0, 1, 1));
        let summary = summary.at(10_000);
        let payment = &summary.functions["payment"];
        assert_eq!((payment.woken, payment.replicas_most, payment.lag_most), (2, 4, 500));
        assert_eq!(payment.processes_ms, 2_000 + 2 * 4_000 + 4_000 + 1_000);
        assert_eq!(
            summary.to_string().lines().last().unwrap(),
            "payment            2     4      500          15 s"
        );
    }
}
