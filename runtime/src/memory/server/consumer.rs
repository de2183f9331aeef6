//! A durable consumer of the simulated broker, shared by every process that pulls from it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::core::broker::Stream;
use crate::memory::server::log::Log;
use crate::memory::server::pattern::covers;
use crate::subject::Subject;

/// How long an input that was delivered may stay without an answer.
pub(crate) const ACK_WAIT: Duration = crate::topology::ACK_WAIT;
/// How long a request for inputs stands.
pub(crate) const PULL_EXPIRES: Duration = Duration::from_secs(30);

/// A consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) stream: Stream,
    filters: Vec<Subject>,
    /// How long an input that was delivered may stay without an answer.
    pub(crate) ack_wait: Duration,
    /// Whether it was deleted: nothing comes from it any more, and nobody says so.
    pub(crate) is_gone: bool,
    /// How many inputs may be delivered and not acknowledged (`max_ack_pending`).
    held_max: usize,
    /// The next sequence to look at.
    cursor: u64,
    /// Delivered and not acknowledged.
    held: BTreeMap<u64, Held>,
    /// When what is held is delivered again.
    timers: BTreeSet<(Duration, u64)>,
    /// Held, and due.
    ready: BTreeSet<u64>,
    pulls: VecDeque<Pull>,
    acked: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    delivered: u64,
    due: Option<Duration>,
}

/// A request for inputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pull {
    pub(crate) lane: u64,
    pub(crate) request: u64,
    pub(crate) left: usize,
    pub(crate) expires: Duration,
}

/// What a consumer sends to one who pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The message under this sequence, for the how many-th time.
    Message { sequence: u64, delivered: u64 },
    /// The request has expired.
    Expired,
}

impl Consumer {
    /// A consumer of what `filters` cover, from the first message on.
    pub(crate) fn new(stream: Stream, filters: Vec<Subject>, held_max: usize) -> Self {
        Self {
            stream,
            filters,
            ack_wait: ACK_WAIT,
            is_gone: false,
            held_max,
            cursor: 1,
            held: BTreeMap::new(),
            timers: BTreeSet::new(),
            ready: BTreeSet::new(),
            pulls: VecDeque::new(),
            acked: Vec::new(),
        }
    }

    pub(crate) fn pull(&mut self, pull: Pull) {
        if !self.is_gone {
            self.pulls.push_back(pull);
        }
    }

    /// Whether a request of `lane` stands.
    pub(crate) fn stands(&self, lane: u64) -> bool {
        self.pulls.iter().any(|pull| pull.lane == lane)
    }

    /// Forgets every request of `lane`, whose connection is gone.
    pub(crate) fn disconnect(&mut self, lane: u64) {
        self.pulls.retain(|pull| pull.lane != lane);
    }

    /// Forgets every request.
    pub(crate) fn disconnect_all(&mut self) {
        self.pulls.clear();
    }

    /// The input is done with; whether it was not so before. The answer to any delivery of it counts.
    pub(crate) fn ack(&mut self, sequence: u64) -> bool {
        self.ready.remove(&sequence);
        let Some(held) = self.held.remove(&sequence) else { return false };
        if let Some(due) = held.due {
            self.timers.remove(&(due, sequence));
        }
        self.acked.push(sequence);
        true
    }

    /// Delivers the input again at `due`. The answer to any delivery of it counts, as with the real broker: giving back
    /// an earlier one brings it again though somebody works on the later one.
    pub(crate) fn again_at(&mut self, sequence: u64, due: Duration) {
        if self.held.get(&sequence).is_some_and(|held| held.due.is_some()) {
            self.set_due(sequence, Some(due));
        }
    }

    /// Delivers the input again now, though someone works on it.
    pub(crate) fn hurry(&mut self, sequence: u64, now: Duration) {
        if self.held.get(&sequence).is_some_and(|held| held.due.is_some()) {
            self.set_due(sequence, Some(now));
        }
    }

    /// The consumer comes back from a crash without its memory of the last `count` acknowledgements.
    pub(crate) fn forget_acks(&mut self, count: usize) -> Vec<u64> {
        let forgotten = self.acked.split_off(self.acked.len().saturating_sub(count));
        for &sequence in &forgotten {
            self.held.insert(sequence, Held { delivered: 1, due: None });
            self.ready.insert(sequence);
        }
        forgotten
    }

    /// Delivers everything again that was delivered and is not acknowledged, though someone works on it.
    pub(crate) fn hurry_all(&mut self, now: Duration) {
        let held: Vec<u64> = self.held.keys().copied().collect();
        held.into_iter().for_each(|sequence| self.hurry(sequence, now));
    }

    /// When something happens next by itself.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|(due, _)| *due);
        self.pulls.iter().map(|pull| pull.expires).chain(timer).min()
    }

    /// Whether everything that it covers is acknowledged.
    pub(crate) fn is_idle(&mut self, log: &Log) -> bool {
        self.held.is_empty() && !self.find_new(log)
    }

    /// The first message that it covers and that is not acknowledged.
    pub(crate) fn oldest(&mut self, log: &Log) -> Option<u64> {
        let is_live = |sequence: &u64| log.entry(*sequence).is_some_and(|entry| entry.is_live);
        let held = self.held.keys().copied().find(is_live);
        held.or_else(|| self.find_new(log).then_some(self.cursor))
    }

    /// Whether the input under `sequence` is delivered and not acknowledged.
    pub(crate) fn holds(&self, sequence: u64) -> bool {
        self.held.contains_key(&sequence)
    }

    /// How many inputs are delivered and not acknowledged.
    pub(crate) fn in_flight(&self) -> usize {
        self.held.len()
    }

    /// How many inputs it has not delivered yet.
    pub(crate) fn undelivered(&self, log: &Log) -> usize {
        (self.cursor..=log.last_sequence()).filter(|&sequence| self.wants(log, sequence)).count()
    }

    fn wants(&self, log: &Log, sequence: u64) -> bool {
        log.entry(sequence).is_some_and(|entry| {
            let subject = entry.stored.subject.as_str();
            entry.is_live && self.filters.iter().any(|filter| covers(filter.as_str(), subject))
        })
    }

    /// Everything that is to be sent now.
    pub(crate) fn pump(&mut self, log: &Log, now: Duration, mut send: impl FnMut(Pull, Sent)) {
        self.wake(now);
        self.pulls.retain(|pull| {
            if pull.expires <= now {
                send(*pull, Sent::Expired);
            }
            pull.expires > now
        });
        while let Some(mut pull) = self.pulls.pop_front() {
            let Some((sequence, delivered)) = self.take(log, now) else {
                self.pulls.push_front(pull);
                return;
            };
            pull.left -= 1;
            send(pull, Sent::Message { sequence, delivered });
            // Whoever waits is served in turn.
            if pull.left > 0 {
                self.pulls.push_back(pull);
            }
        }
    }

    /// The next input and how often it has been delivered now.
    pub(crate) fn take(&mut self, log: &Log, now: Duration) -> Option<(u64, u64)> {
        while let Some(sequence) = self.ready.pop_first() {
            if !log.entry(sequence).is_some_and(|entry| entry.is_live) {
                self.held.remove(&sequence);
                continue;
            }
            let delivered = self.held.get(&sequence).map_or(1, |held| held.delivered + 1);
            self.hold(sequence, delivered, now);
            return Some((sequence, delivered));
        }
        if self.held.len() >= self.held_max || !self.find_new(log) {
            return None;
        }
        let sequence = self.cursor;
        self.cursor += 1;
        self.hold(sequence, 1, now);
        Some((sequence, 1))
    }

    /// What was not answered in time, or was given back, is to be delivered again.
    pub(crate) fn wake(&mut self, now: Duration) {
        while let Some(&(due, sequence)) = self.timers.first() {
            if due > now {
                break;
            }
            self.set_due(sequence, None);
        }
    }

    fn find_new(&mut self, log: &Log) -> bool {
        while self.cursor <= log.last_sequence() {
            if self.wants(log, self.cursor) {
                return true;
            }
            self.cursor += 1;
        }
        false
    }

    fn hold(&mut self, sequence: u64, delivered: u64, now: Duration) {
        let due = now + self.ack_wait;
        self.held.insert(sequence, Held { delivered, due: Some(due) });
        self.timers.insert((due, sequence));
    }

    fn set_due(&mut self, sequence: u64, due: Option<Duration>) {
        let Some(held) = self.held.get_mut(&sequence) else { return };
        if let Some(before) = held.due {
            self.timers.remove(&(before, sequence));
        }
        held.due = due;
        match due {
            Some(due) => self.timers.insert((due, sequence)),
            None => self.ready.insert(sequence),
        };
    }
}
