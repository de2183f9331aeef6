//! Rolling restarts: every process in turn is told to stop, ends in time with nothing left, and another takes its place.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jetlag_cli::supervisor::Phase;
use rustix::process::Signal;
use serde_json::{Value, json};
use tests::until;

use crate::fault::{FUNCTIONS, replicas_of};
use crate::fleet::{Fleet, GLANCE};

/// What a drain may take: 30 s for what is under way, and the last answers to the broker.
const DRAIN_LIMIT: Duration = Duration::from_secs(33);
/// `ack_wait` (15 s) without the time since the last sign of work (5 s at most).
const REDELIVERED_AFTER: Duration = Duration::from_millis(9_500);
/// How long nothing must be answered for something to be stuck.
const STUCK_AFTER: Duration = Duration::from_secs(4);
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
    /// Drains of the only process of a function, of which it could be told whether they left something.
    pub told: usize,
    /// Those that left something unanswered.
    pub left: Vec<String>,
}

impl fmt::Display for Rolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drains, forced, longest, told, left } = self;
        let (forced, left) = (forced.len(), left.len());
        write!(f, "{drains}, {forced} forced, longest {longest:.1?}; {told} looked at, {left} left something")
    }
}

impl Rolled {
    fn add(&mut self, other: Self) {
        self.drains += other.drains;
        self.forced.extend(other.forced);
        self.longest = self.longest.max(other.longest);
        self.told += other.told;
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
    let ended = Instant::now();
    let delivered = floors(fleet, function, "delivered").await;
    let entry = until(&format!("next {process}"), async || {
        let entry = fleet.running.entry(&process)?;
        (entry.phase == Phase::Up && entry.pid != old).then_some(entry)
    })
    .await;
    if entry.last_end.as_deref() != Some("exit code 0") {
        rolled.forced.push(format!("{process} ended with {:?}", entry.last_end));
    }
    if replicas_of(function, fleet.replicas) == 1 {
        match leaves_nothing(fleet, function, &delivered, ended).await {
            Some(true) => rolled.told += 1,
            Some(false) => {
                rolled.told += 1;
                rolled.left.push(format!("{process} left something before {delivered:?}"));
            }
            None => {}
        }
    }
    rolled
}

/// Whether the process that ended left nothing unanswered; `None` if that cannot be told.
///
/// What was given back comes again at once, and what is left only when `ack_wait` is over: at the earliest ten seconds
/// after the end, as it was renewed every five. So if everything that was delivered before the end is answered sooner,
/// nothing was left; if the first of it is stuck, something was. A machine on which all this takes longer cannot tell.
async fn leaves_nothing(
    fleet: &Fleet,
    function: &str,
    delivered: &[(String, u64)],
    ended: Instant,
) -> Option<bool> {
    let (mut moved, mut last) = (Instant::now(), Vec::new());
    while ended.elapsed() < REDELIVERED_AFTER {
        let answered = floors(fleet, function, "ack_floor").await;
        if answered.iter().zip(delivered).all(|((_, answered), (_, delivered))| answered >= delivered) {
            return Some(true);
        }
        if answered != last {
            (moved, last) = (Instant::now(), answered);
        }
        tokio::time::sleep(GLANCE).await;
    }
    (moved.elapsed() > STUCK_AFTER).then_some(false)
}

/// The sequence up to which each consumer of `function` has been given, or has answered, its inputs.
async fn floors(fleet: &Fleet, function: &str, which: &str) -> Vec<(String, u64)> {
    let mut floors = Vec::new();
    for consumer in fleet.running.topology().consumers.iter().filter(|consumer| consumer.durable == function)
    {
        let info = fleet.ask(&format!("CONSUMER.INFO.{}.{function}", consumer.stream), &json!({})).await;
        let sequence = info.pointer(&format!("/{which}/stream_seq")).and_then(Value::as_u64);
        floors.push((consumer.stream.to_owned(), sequence.unwrap_or_default()));
    }
    floors
}
