//! Worked examples, boundaries and properties. Seconds everywhere.

mod activation;
mod autoscaler;
mod behaviour;
mod fallback;
mod properties;
mod scaled_object;
mod together;

use std::num::NonZeroU64;
use std::time::Duration;

use super::*;

/// Late enough that "ten minutes ago" is a time.
const NOW: u64 = 10_000;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn trigger(name: &str, target: u64) -> Trigger {
    Trigger { name: name.to_owned(), target: NonZeroU64::new(target).unwrap(), activation: 0 }
}

/// One trigger, `events`, with a target of 10; at most 10 processes; a cooldown of a minute.
fn settings() -> Settings {
    Settings {
        polling: at(5),
        cooldown: at(60),
        max: 10,
        triggers: vec![trigger("events", 10)],
        ..Settings::default()
    }
}

fn scaler(settings: Settings) -> Scaler {
    Scaler::new(settings, Duration::ZERO)
}

/// KEDA's decision on one lag.
fn poll(scaler: &mut Scaler, now: u64, replicas: u32, lag: u64) -> Verdict {
    scaler.poll(at(now), Replicas::settled(replicas), &[Reading::Lag(lag)])
}

/// The HPA's decision on one lag.
fn sync(scaler: &mut Scaler, now: u64, replicas: u32, lag: u64) -> Verdict {
    scaler.sync(at(now), Replicas::settled(replicas), &[Reading::Lag(lag)])
}

fn verdict(replicas: u32, reason: Reason) -> Verdict {
    Verdict { replicas, reason }
}
