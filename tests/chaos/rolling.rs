//! Rolling restarts: every process in turn is told to stop, ends in time with nothing left, and another takes its place.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fault::{FUNCTIONS, replicas_of};
use crate::fleet::{Fleet, GLANCE, until};

/// What a drain may take: 30 s for what is under way, and the last answers to the broker.
const DRAIN_LIMIT: Duration = Duration::from_secs(33);
/// How often it is told how far it got.
const TOLD_EVERY: usize = 50;

/// What the drains came to.
#[derive(Debug, Clone, Default)]
pub struct Rolled {
    pub drains: usize,
    /// Those that ended otherwise than with exit code 0 within the limit.
    pub forced: Vec<String>,
    /// The longest.
    pub longest: Duration,
    /// Drains of the only process of a function, after which the broker was asked what was left before the next began.
    pub looked_at: usize,
    /// Those that left something unanswered.
    pub left: Vec<String>,
}

impl fmt::Display for Rolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drains, forced, longest, looked_at, left } = self;
        let (forced, left) = (forced.len(), left.len());
        write!(
            f,
            "{drains}, {forced} forced, longest {longest:.1?}; {looked_at} looked at before the next process began, {left} left something"
        )
    }
}

impl Rolled {
    fn add(&mut self, other: Self) {
        self.drains += other.drains;
        self.forced.extend(other.forced);
        self.longest = self.longest.max(other.longest);
        self.looked_at += other.looked_at;
        self.left.extend(other.left);
    }
}

/// Drains `times` processes: those of a function one after the other, those of different functions at the same time, as
/// deployments do it.
pub async fn roll(fleet: &Arc<Fleet>, times: usize, tell: impl Fn(&str)) -> Rolled {
    let mut all = Rolled::default();
    let mut round = 0;
    while all.drains < times {
        for replica in 1..=fleet.replicas {
            let functions =
                FUNCTIONS.iter().filter(|function| replica <= replicas_of(function, fleet.replicas));
            let drains = functions.take(times - all.drains).map(|function| drain(fleet, function, replica));
            for drained in futures::future::join_all(drains).await {
                all.add(drained);
            }
        }
        round += 1;
        if round % TOLD_EVERY == 0 {
            tell(&format!("drains: {all}"));
        }
    }
    all
}

async fn drain(fleet: &Fleet, function: &str, replica: u16) -> Rolled {
    let process = jetlag_cli::app::process_name(function, replica);
    let mut rolled = Rolled { drains: 1, ..Rolled::default() };
    let old = fleet.up(&process, None).await.pid;
    let began = Instant::now();
    fleet.signal(&process, Signal::TERM);
    let ended = tokio::time::timeout(DRAIN_LIMIT, async {
        while fleet.running.pid(&process) == old {
            tokio::time::sleep(GLANCE / 5).await;
        }
    });
    if ended.await.is_err() {
        rolled.forced.push(format!("{process} did not end within {DRAIN_LIMIT:?}"));
    }
    rolled.longest = began.elapsed();
    if replicas_of(function, fleet.replicas) == 1 {
        let mut left = 0;
        for consumer in
            fleet.running.topology().consumers.iter().filter(|consumer| consumer.durable == function)
        {
            left += fleet.operator.lag(consumer.stream, &consumer.durable).await.unwrap().1;
        }
        // As long as the next one is not ready it has pulled nothing.
        let is_next_ready = fleet
            .running
            .entry(&process)
            .is_some_and(|entry| entry.phase == jetlag_cli::supervisor::Phase::Up);
        if !is_next_ready {
            rolled.looked_at = 1;
            if left > 0 {
                rolled.left.push(format!("{process} left {left} unanswered"));
            }
        }
    }
    let entry = until(&format!("next {process}"), async || {
        let entry = fleet.running.entry(&process)?;
        (entry.phase == jetlag_cli::supervisor::Phase::Up && entry.pid != old).then_some(entry)
    })
    .await;
    if entry.last_end.as_deref() != Some("exit code 0") {
        rolled.forced.push(format!("{process} ended with {:?}", entry.last_end));
    }
    rolled
}
