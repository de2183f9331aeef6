//! The circuit breaker: when a function stops asking a dependency that is down, and when it asks again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::contract::Breaker;

/// A breaker and those who wait for it.
#[derive(Debug)]
pub(crate) struct Circuit {
    settings: Option<Breaker>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { outages: u32 },
    Open { until: Instant },
    Probing,
}

/// The state of the circuit, for metrics, logs and readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Everything runs.
    Closed,
    /// Nothing runs.
    Open,
    /// One input tries.
    HalfOpen,
}

/// What a run of the handler tells of the dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered.
    Up,
    /// It did not.
    Down,
    /// The run tells nothing.
    Unknown,
}

/// Leave to run the handler once; what became of it is [`told`](Circuit::tell).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    probe: bool,
}

impl Circuit {
    pub(crate) fn new(settings: Option<Breaker>) -> Self {
        Self { settings, state: Mutex::new(State::Closed { outages: 0 }), changed: Notify::new() }
    }

    /// Leave to run, or `None` while the circuit is open or another input is probing.
    pub(crate) fn pass(&self, now: Instant) -> Option<Pass> {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Some(Pass { probe: false }),
            State::Open { until } if now >= until => {
                *state = State::Probing;
                Some(Pass { probe: true })
            }
            State::Open { .. } | State::Probing => None,
        }
    }

    /// Tells what the run with `pass` showed, and gives the new position if it changed.
    pub(crate) fn tell(&self, pass: Pass, health: Health, now: Instant) -> Option<Position> {
        let settings = self.settings?;
        let mut state = self.lock();
        let before = position(*state);
        *state = match (*state, pass.probe, health) {
            (State::Closed { outages }, _, Health::Down) if outages >= settings.failures => {
                State::Open { until: now + settings.open_for }
            }
            (State::Closed { outages }, _, Health::Down) => State::Closed { outages: outages + 1 },
            (State::Closed { .. }, _, Health::Up) | (State::Probing, true, Health::Up) => {
                State::Closed { outages: 0 }
            }
            (State::Probing, true, Health::Down) => State::Open { until: now + settings.open_for },
            // A probe that showed nothing: the next one may try at once.
            (State::Probing, true, Health::Unknown) => State::Open { until: now },
            // Runs that began before it opened tell nothing new.
            (unchanged, _, _) => unchanged,
        };
        let after = position(*state);
        drop(state);
        if before == after {
            return None;
        }
        self.changed.notify_waiters();
        Some(after)
    }

    /// How many more inputs may be asked for now, of `free` slots.
    pub(crate) fn credit(&self, free: usize, now: Instant) -> usize {
        match *self.lock() {
            State::Closed { .. } => free,
            State::Open { until } if now >= until => free.min(1),
            State::Open { .. } | State::Probing => 0,
        }
    }

    /// Waits until [`credit`](Self::credit) may have changed.
    pub(crate) async fn change(&self, now: Instant) {
        let changed = self.changed.notified();
        let wait = match *self.lock() {
            State::Open { until } if until > now => until - now,
            State::Open { .. } | State::Closed { .. } | State::Probing => Duration::from_secs(3600),
        };
        // Whichever comes first: either way the credit is looked at again.
        let _ = tokio::time::timeout(wait, changed).await;
    }

    pub(crate) fn position(&self) -> Position {
        position(*self.lock())
    }

    /// How long until a probe may run; zero unless the circuit is open.
    pub(crate) fn opens_in(&self, now: Instant) -> Duration {
        match *self.lock() {
            State::Open { until } => until.saturating_duration_since(now),
            State::Closed { .. } | State::Probing => Duration::ZERO,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn position(state: State) -> Position {
    match state {
        State::Closed { .. } => Position::Closed,
        State::Open { .. } => Position::Open,
        State::Probing => Position::HalfOpen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(30);

    fn circuit() -> Circuit {
        Circuit::new(Some(Breaker::after(5).open_for(OPEN_FOR)))
    }

    fn fail(circuit: &Circuit, times: u32, now: Instant) {
        for _ in 0..times {
            let pass = circuit.pass(now).expect("closed");
            circuit.tell(pass, Health::Down, now);
        }
    }

    #[tokio::test]
    async fn more_than_five_consecutive_outages_open_it_and_five_do_not() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 5, now);
        assert_eq!(circuit.position(), Position::Closed);
        circuit.tell(Pass { probe: false }, Health::Up, now);
        fail(&circuit, 5, now);
        assert_eq!(circuit.position(), Position::Closed);
        fail(&circuit, 1, now);
        assert_eq!(circuit.position(), Position::Open);
        assert_eq!(circuit.pass(now), None);
        assert_eq!(circuit.credit(64, now), 0);
    }

    #[tokio::test]
    async fn after_its_time_one_probe_decides() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 6, now);
        let later = now + OPEN_FOR;
        assert_eq!(circuit.credit(64, later), 1);
        let probe = circuit.pass(later).unwrap();
        assert_eq!((circuit.pass(later), circuit.credit(64, later)), (None, 0));
        assert_eq!(circuit.tell(probe, Health::Down, later), Some(Position::Open));
        assert_eq!(circuit.pass(later), None);
        let probe = circuit.pass(later + OPEN_FOR).unwrap();
        assert_eq!(circuit.tell(probe, Health::Up, later), Some(Position::Closed));
        assert_eq!(circuit.credit(64, later), 64);
    }

    #[tokio::test]
    async fn runs_from_before_it_opened_change_nothing() {
        let (circuit, now) = (circuit(), Instant::now());
        let early = circuit.pass(now).unwrap();
        fail(&circuit, 6, now);
        assert_eq!(circuit.tell(early, Health::Up, now), None);
        assert_eq!(circuit.position(), Position::Open);
    }

    #[tokio::test]
    async fn a_probe_that_shows_nothing_lets_the_next_one_try() {
        let (circuit, now) = (circuit(), Instant::now());
        fail(&circuit, 6, now);
        let probe = circuit.pass(now + OPEN_FOR).unwrap();
        circuit.tell(probe, Health::Unknown, now + OPEN_FOR);
        assert!(circuit.pass(now + OPEN_FOR).is_some());
    }
}
