//! Time that may run faster than the clock, for everything that is decided by it.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// The shortest wait between two looks, however fast time goes: a look is a request.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// A clock that goes `speed` times as fast. Polling, cooldown, windows and periods keep their numbers, and end so many times
/// as soon; what processes and the broker take does not change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    speed: NonZeroU32,
}

impl Clock {
    /// From now on.
    pub(crate) fn start(speed: NonZeroU32) -> Self {
        Self { started: Instant::now(), speed }
    }

    /// How much time has gone by, as it is decided by.
    pub(crate) fn now(&self) -> Duration {
        self.at(self.elapsed())
    }

    /// How much time has gone by for those who watch.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long `interval` is for those who watch.
    pub(crate) fn pause(&self, interval: Duration) -> Duration {
        (interval / self.speed.get()).max(PAUSE_MIN)
    }

    fn at(&self, elapsed: Duration) -> Duration {
        elapsed.saturating_mul(self.speed.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_a_minute_is_over_in_two_seconds_at_thirty_times_the_speed() {
        let clock = Clock::start(NonZeroU32::new(30).unwrap());
        assert_eq!(clock.pause(Duration::from_secs(60)), Duration::from_secs(2));
        assert_eq!(clock.at(Duration::from_secs(2)), Duration::from_secs(60));
        assert_eq!(clock.pause(Duration::from_millis(30)), PAUSE_MIN);
        let real = Clock::start(NonZeroU32::MIN);
        assert_eq!(real.at(real.pause(Duration::from_secs(5))), Duration::from_secs(5));
    }
}
