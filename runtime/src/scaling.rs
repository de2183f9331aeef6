//! How many processes of a function an autoscaler runs: hints in the contract, from which manifests are made.

use std::time::Duration;

use serde::Serialize;

/// How many processes of a function there may be, and what makes an autoscaler want more of them.
///
/// Lag is what the broker tells of a consumer: inputs that were not delivered yet, and those that were and have no
/// answer. Waiting retries are no lag until they are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scaling {
    /// How many there are when there is nothing to do.
    pub(crate) min: u32,
    /// How many there are at most.
    pub(crate) max: u32,
    /// The lag for which one process is wanted; twice the contract's concurrency if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag: Option<u32>,
    /// How long there must be no lag before the last process is stopped, in milliseconds.
    #[serde(rename = "cooldown_ms", serialize_with = "crate::contract::as_millis")]
    pub(crate) cooldown: Duration,
    /// How often lag is looked at, in milliseconds.
    #[serde(rename = "polling_ms", serialize_with = "crate::contract::as_millis")]
    pub(crate) polling: Duration,
}

impl Scaling {
    /// From none to `max` processes: lag is looked at every 5 s, and the last process is stopped after a minute without.
    ///
    /// Looking is one small request to the broker's monitoring endpoint, and bounds how long the first input after a quiet
    /// time waits for a process. A minute is as long as the default retry waits at most, so that a function that retries
    /// does not stop and start between two attempts.
    pub const fn up_to(max: u32) -> Self {
        Self {
            min: 0,
            max: if max == 0 { 1 } else { max },
            lag: None,
            cooldown: Duration::from_secs(60),
            polling: Duration::from_secs(5),
        }
    }

    /// How many there are when there is nothing to do; none unless told otherwise.
    pub const fn at_least(mut self, min: u32) -> Self {
        self.min = min;
        self
    }

    /// The lag for which one process is wanted: more than one process holds (the contract's concurrency), since what is
    /// held counts as lag too.
    pub const fn lag(mut self, inputs: u32) -> Self {
        self.lag = Some(inputs);
        self
    }

    /// How long there must be no lag before the last process is stopped.
    pub const fn cooldown(mut self, time: Duration) -> Self {
        self.cooldown = time;
        self
    }

    /// How often lag is looked at.
    pub const fn polling(mut self, time: Duration) -> Self {
        self.polling = time;
        self
    }
}
