//! How the gateway misbehaves: set at start, changed at run time.

use serde::{Deserialize, Serialize};

/// The longest delay that can be asked for, in milliseconds.
pub(crate) const MAX_LATENCY_MS: u64 = 60_000;
/// The longest `Retry-After` that can be asked for, in seconds.
pub(crate) const MAX_RETRY_AFTER_S: u64 = 60;

/// The state of the switches, which is also what `GET /control` answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::Args)]
pub struct Switches {
    /// Answer every API request with 503.
    #[arg(long)]
    pub outage: bool,
    /// Wait this long before each answer, and before the charge that it reports; at most 60000.
    #[arg(long, value_name = "MS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=MAX_LATENCY_MS))]
    pub latency_ms: u64,
    /// Answer this many POST requests with 500 before anything is charged.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub fail_next: u32,
    /// Ask in these answers to be left alone for so long (`Retry-After`), at most 60 s; 0 asks for nothing.
    #[arg(long, value_name = "S", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=MAX_RETRY_AFTER_S))]
    pub retry_after_s: u64,
    /// Accept API requests and never answer them.
    #[arg(long)]
    pub hang: bool,
}

/// The body of `PUT /control`: whatever is absent stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    outage: Option<bool>,
    latency_ms: Option<u64>,
    fail_next: Option<u32>,
    retry_after_s: Option<u64>,
    hang: Option<bool>,
}

/// What becomes of an API request before anyone looks at its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted,
    Outage,
    Hang,
    Fail { retry_after_s: u64 },
}

impl Switches {
    /// The switches after a change, or `None` if it asks for more than [`MAX_LATENCY_MS`] or [`MAX_RETRY_AFTER_S`].
    pub(crate) fn changed(self, change: &Change) -> Option<Self> {
        let switches = Switches {
            outage: change.outage.unwrap_or(self.outage),
            latency_ms: change.latency_ms.unwrap_or(self.latency_ms),
            fail_next: change.fail_next.unwrap_or(self.fail_next),
            retry_after_s: change.retry_after_s.unwrap_or(self.retry_after_s),
            hang: change.hang.unwrap_or(self.hang),
        };
        let is_bounded = switches.latency_ms <= MAX_LATENCY_MS && switches.retry_after_s <= MAX_RETRY_AFTER_S;
        is_bounded.then_some(switches)
    }

    /// Decides about one request. Only a request that `changes` something uses up a failure, so
    /// that a test which looks on does not shorten the series.
    pub(crate) fn admit(&mut self, changes: bool) -> Admission {
        if self.outage {
            return Admission::Outage;
        }
        if self.hang {
            return Admission::Hang;
        }
        if changes && self.fail_next > 0 {
            self.fail_next -= 1;
            return Admission::Fail { retry_after_s: self.retry_after_s };
        }
        Admission::Admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_run_out_and_reading_does_not_use_them_up() {
        let mut switches = Switches { fail_next: 2, ..Switches::default() };
        let seen = [true, false, true, true].map(|changes| switches.admit(changes));
        use Admission::Admitted;
        let fail = Admission::Fail { retry_after_s: 0 };
        assert_eq!(seen, [fail, Admitted, fail, Admitted]);
    }

    #[test]
    fn a_change_leaves_the_rest_alone() {
        let switches = Switches { outage: true, latency_ms: 5, ..Switches::default() };
        let change: Change = serde_json::from_str(r#"{"latency_ms": 7}"#).unwrap();
        assert_eq!(switches.changed(&change), Some(Switches { latency_ms: 7, ..switches }));
        let change: Change = serde_json::from_str(r#"{"latency_ms": 60001}"#).unwrap();
        assert_eq!(switches.changed(&change), None);
    }
}
