//! The circuit breaker of one process: when it stops asking a dependency that is down, and when it asks again.
//!
//! Decisions only: whoever calls says what time it is and what was seen. What several processes of a function tell each
//! other is in [`shared`], and what they write down in [`record`].

pub(crate) mod record;
pub(crate) mod shared;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::contract::Breaker;

/// How long a breaker stays open at most because its dependency asked for it.
pub(crate) const OPEN_FOR_MAX: Duration = Duration::from_secs(300);
/// How long an input that comes while another one probes stays with the broker.
pub(crate) const PROBE_DELAY: Duration = Duration::from_secs(1);
/// How much later than the next probe an input comes back whose own probe failed: others go first. If the dependency is
/// well and only this one input upsets it, another one closes the breaker.
const PROBE_BEHIND: Duration = Duration::from_secs(1);
/// How much longer than the handler's time limit a probe is waited for before its process is taken for dead.
const PROBE_SLACK: Duration = Duration::from_secs(5);
/// How often an open breaker looks at most what the others have found.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a lane sleeps if nothing changes.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// A breaker and those who wait for it.
#[derive(Debug)]
pub(crate) struct Circuit {
    settings: Option<Breaker>,
    probe_max: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    /// Outages in a row, while it is closed.
    outages: u32,
    /// When the dependency last answered.
    answered: Option<Instant>,
}

/// How the circuit stands, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything runs.
    Closed,
    /// Nothing runs; a probe may begin at `until`.
    Open {
        /// Since when the dependency is taken to be down.
        since: Instant,
        /// When a probe may begin.
        until: Instant,
    },
    /// An input of this process tries; one that has not come to its end by `until` never will.
    Probing {
        /// As above.
        since: Instant,
        /// The probe's end at the latest.
        until: Instant,
    },
    /// An input of another process tries, and here nothing runs.
    Elsewhere {
        /// As above.
        since: Instant,
        /// The probe's end at the latest.
        until: Instant,
    },
}

impl Standing {
    /// Since when it is open, and when a probe may begin or is over; `None` while it is closed.
    pub(crate) const fn span(self) -> Option<(Instant, Instant)> {
        match self {
            Self::Closed => None,
            Self::Open { since, until }
            | Self::Probing { since, until }
            | Self::Elsewhere { since, until } => Some((since, until)),
        }
    }

    /// The same outage goes on, and the next probe may begin at `until`.
    fn again_until(self, until: Instant) -> Self {
        Self::Open { since: self.span().map_or(until, |(since, _)| since), until }
    }
}

/// The position of the circuit, for metrics, logs and readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Everything runs.
    Closed,
    /// Nothing runs.
    Open,
    /// One input of this process tries.
    HalfOpen,
}

impl Position {
    /// The name that logs, metrics and readiness have for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What a run of the handler tells of the dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered.
    Up,
    /// It did not.
    Down(Outage),
    /// The run tells nothing.
    Unknown,
}

/// A dependency that did not answer, and what that means to the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outage {
    /// How long the dependency asked to be left alone.
    pub(crate) asked_for: Option<Duration>,
    /// It was the input's last attempt, and so much time has passed since the one before.
    pub(crate) last_after: Option<Duration>,
}

/// Leave to run the handler once; what became of it is [`told`](Circuit::tell).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) is_probe: bool,
}

impl Circuit {
    /// A closed circuit for a handler that takes at most `time_limit`.
    pub(crate) fn new(settings: Option<Breaker>, time_limit: Duration) -> Self {
        let state = State { standing: Standing::Closed, outages: 0, answered: None };
        let probe_max = time_limit + PROBE_SLACK;
        Self { settings, probe_max, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Leave to run, or `None` while the circuit is open or another input is probing.
    pub(crate) fn pass(&self, now: Instant) -> Option<Pass> {
        let mut state = self.lock();
        let Some((since, until)) = state.standing.span() else { return Some(Pass { is_probe: false }) };
        (now >= until).then(|| {
            state.standing = Standing::Probing { since, until: now + self.probe_max };
            Pass { is_probe: true }
        })
    }

    /// Tells what the run with `pass` showed.
    ///
    /// More outages in a row than the contract bears open the circuit. So does one that would cost an input its last
    /// attempt, unless the dependency has answered anybody since the attempt before: then it is up, and this input is
    /// what it does not bear.
    pub(crate) fn tell(&self, pass: Pass, health: Health, now: Instant) {
        let Some(settings) = self.settings else { return };
        let mut state = self.lock();
        let open_for =
            |outage: Outage| settings.open_for.max(outage.asked_for.unwrap_or_default().min(OPEN_FOR_MAX));
        let standing = match (state.standing, health) {
            (Standing::Closed, Health::Up) => {
                (state.outages, state.answered) = (0, Some(now));
                Standing::Closed
            }
            (Standing::Closed, Health::Down(outage)) => {
                state.outages = state.outages.saturating_add(1);
                let is_up = |window| state.answered.is_some_and(|at| now.duration_since(at) <= window);
                let is_lost = outage.last_after.is_some_and(|window| !is_up(window));
                if state.outages > settings.failures || is_lost {
                    Standing::Open { since: now, until: now + open_for(outage) }
                } else {
                    Standing::Closed
                }
            }
            (Standing::Closed, Health::Unknown) => Standing::Closed,
            // Runs that began before it opened tell nothing new.
            (unchanged, _) if !pass.is_probe => unchanged,
            (_, Health::Up) => {
                (state.outages, state.answered) = (0, Some(now));
                Standing::Closed
            }
            (open, Health::Down(outage)) => open.again_until(now + open_for(outage)),
            // A probe that showed nothing: the next one may try at once.
            (open, Health::Unknown) => open.again_until(now),
        };
        self.stand(state, standing);
    }

    /// A probe that was let [`pass`](Self::pass) has leave of the others too.
    pub(crate) fn probe(&self, now: Instant) {
        let state = self.lock();
        let since = state.standing.span().map_or(now, |(since, _)| since);
        self.stand(state, Standing::Probing { since, until: now + self.probe_max });
    }

    /// Stands as others have found it to be.
    pub(crate) fn adopt(&self, standing: Standing, now: Instant) {
        let mut state = self.lock();
        // It was closed because the dependency answered somebody.
        if standing == Standing::Closed && state.standing != Standing::Closed {
            (state.outages, state.answered) = (0, Some(now));
        }
        self.stand(state, standing);
    }

    fn stand(&self, mut state: MutexGuard<'_, State>, standing: Standing) {
        if state.standing != standing {
            state.standing = standing;
            drop(state);
            self.changed.notify_waiters();
        }
    }

    /// How many more inputs may be asked for now, of `free` slots.
    pub(crate) fn credit(&self, free: usize, now: Instant) -> usize {
        match self.standing().span() {
            None => free,
            Some((_, until)) if now >= until => free.min(1),
            Some(_) => 0,
        }
    }

    /// Waits until [`credit`](Self::credit) may have changed since this was called.
    pub(crate) fn change(&self) -> impl Future<Output = ()> + Send {
        // From here on no change is missed, whenever the future is first polled.
        let changed = self.changed.notified();
        let span = self.standing().span();
        async move {
            let now = Instant::now();
            let wait = span.map(|(_, until)| until.saturating_duration_since(now));
            let wait = wait.filter(|wait| !wait.is_zero());
            // Whichever comes first: either way the credit is looked at again.
            let _ = tokio::time::timeout(wait.unwrap_or(SLEEP_MAX), changed).await;
        }
    }

    /// Waits until it is time to look what the others have found: not while the circuit is closed, and not before a
    /// probe could have begun.
    pub(crate) async fn look_due(&self) {
        loop {
            let changed = self.changed.notified();
            let wait = match self.standing() {
                Standing::Closed | Standing::Probing { .. } => SLEEP_MAX,
                Standing::Open { until, .. } => {
                    until.saturating_duration_since(Instant::now()).max(LOOK_INTERVAL)
                }
                Standing::Elsewhere { .. } => LOOK_INTERVAL,
            };
            if tokio::time::timeout(wait, changed).await.is_err() && self.is_waiting() {
                return;
            }
        }
    }

    /// Whether it is open, and nothing of this process tries.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.standing(), Standing::Open { .. } | Standing::Elsewhere { .. })
    }

    /// When the dependency last answered, if it is closed.
    pub(crate) fn answered(&self) -> Option<Instant> {
        let state = self.lock();
        state.answered.filter(|_| state.standing == Standing::Closed)
    }

    pub(crate) fn standing(&self) -> Standing {
        self.lock().standing
    }

    pub(crate) fn position(&self) -> Position {
        match self.standing() {
            Standing::Closed => Position::Closed,
            Standing::Open { .. } | Standing::Elsewhere { .. } => Position::Open,
            Standing::Probing { .. } => Position::HalfOpen,
        }
    }

    /// For how long an input is given back that may not run, or that ran into the outage; `None` while it is closed.
    pub(crate) fn rest(&self, has_probed: bool, now: Instant) -> Option<Duration> {
        match self.standing() {
            Standing::Closed => None,
            Standing::Open { until, .. } => {
                let wait = until.saturating_duration_since(now).max(PROBE_DELAY);
                Some(if has_probed { wait + PROBE_BEHIND } else { wait })
            }
            Standing::Probing { .. } | Standing::Elsewhere { .. } => Some(PROBE_DELAY),
        }
    }

    /// How long a probe may take until its process is taken for dead.
    pub(crate) const fn probe_max(&self) -> Duration {
        self.probe_max
    }

    pub(crate) const fn settings(&self) -> Option<Breaker> {
        self.settings
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
