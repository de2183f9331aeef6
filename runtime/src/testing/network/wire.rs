//! What is under way, and what becomes of it: chance decides at the moment of sending.

use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::core::broker::{Kept, Message, PublishError, Stream};
use crate::memory::server::consumer::{PULL_EXPIRES, Pull};
use crate::memory::server::{Receipt, Server};
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::testing::Dice;
use crate::testing::journal::Journal;
use crate::testing::network::connection::Life;
use crate::testing::network::fate::Fate;
use crate::testing::network::parcel::{Arrival, Found, Load, Parcel, Published, Reply};
use crate::testing::weather::{SLOW_MAX, Weather};
use crate::testing::witness::Witness;

/// How long a process waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long after that a publish may still reach the broker.
const LATE_MAX: Duration = Duration::from_secs(60);
/// How far a replica lags behind at most.
const LAG_MAX: Duration = Duration::from_secs(5);
/// How soon an input is delivered again at most, if it is delivered again for no reason.
const HURRY_MAX: Duration = Duration::from_secs(3);

/// A lane's end at a process.
pub(super) struct Lane {
    pub(super) process: u32,
    consumer: usize,
    pub(super) is_closed: bool,
    pub(super) sender: mpsc::UnboundedSender<Arrival>,
    /// The sequences of inputs that have come and are not answered, and how many there may be that are not decided.
    pub(super) held: HashSet<u64>,
    pub(super) most: usize,
    /// When the last of what is under way arrives: one connection keeps its order.
    last: Duration,
}

/// The network and the broker.
pub(crate) struct Wire {
    pub(crate) server: Server,
    pub(crate) weather: Weather,
    pub(crate) dice: Dice,
    pub(crate) witness: Witness,
    pub(crate) journal: Journal,
    under_way: BinaryHeap<Parcel>,
    sent: u64,
    pub(super) lanes: BTreeMap<u64, Lane>,
    lanes_opened: u64,
    /// Until when nobody reaches the broker.
    outage_until: Duration,
    pub(super) copying: bool,
    /// Whether anything was lost on its way to a process: from then on it may ask for more than it can count.
    pub(super) has_lost: bool,
}

impl Wire {
    pub(crate) fn new(dice: Dice, weather: Weather, journal: Journal) -> Self {
        Self {
            server: Server::new(),
            weather,
            dice,
            witness: Witness::default(),
            journal,
            under_way: BinaryHeap::new(),
            sent: 0,
            lanes: BTreeMap::new(),
            lanes_opened: 0,
            outage_until: Duration::ZERO,
            copying: false,
            has_lost: false,
        }
    }

    /// Whether a process dies at this step.
    pub(crate) fn strikes(&self) -> bool {
        self.weather.kill > 0 && self.dice.below(1_000_000) < u64::from(self.weather.kill)
    }

    /// Whether nothing is under way that could still change a stream.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.under_way.iter().any(|parcel| matches!(parcel.load, Load::Publish { .. } | Load::Copy))
    }

    /// Nobody reaches the broker for a while.
    pub(crate) fn begin_outage(&mut self, now: Duration, lasts: Duration, acks_forgotten: usize) {
        self.outage_until = now + lasts;
        self.has_lost = true;
        self.server.consumers().for_each(|consumer| consumer.disconnect_all());
        self.server.forget_acks(acks_forgotten);
        self.journal.note(now, || format!("the broker is away for {lasts:?}, forgets {acks_forgotten} acks"));
    }

    /// Everything works from now on.
    pub(crate) fn clear_up(&mut self) {
        self.weather = Weather::calm();
        self.outage_until = Duration::ZERO;
        self.server.is_full = false;
        self.server.refusing.clear();
    }

    /// The connections of the process are gone; the broker notices only if it `is_noticed`.
    pub(crate) fn hang_up(&mut self, process: u32, is_noticed: bool) {
        self.lanes.retain(|&number, lane| {
            if lane.process == process && is_noticed {
                self.server.consumers().for_each(|consumer| consumer.disconnect(number));
            }
            lane.process != process
        });
    }

    /// A lane of `process` from `consumer`, whose inputs it holds `most` of at a time.
    pub(crate) fn open_lane(
        &mut self,
        process: u32,
        consumer: usize,
        most: usize,
        sender: mpsc::UnboundedSender<Arrival>,
    ) -> u64 {
        self.lanes_opened += 1;
        let lane = Lane {
            process,
            consumer,
            is_closed: false,
            sender,
            held: HashSet::new(),
            most,
            last: Duration::ZERO,
        };
        self.lanes.insert(self.lanes_opened, lane);
        self.lanes_opened
    }

    pub(crate) fn publish(
        &mut self,
        now: Duration,
        life: &Life,
        stream: Stream,
        messages: Vec<Message>,
        answer: Published,
    ) {
        if stream == Stream::Events {
            self.witness.suspicion.sent(life.number, &messages);
        }
        let (there, back) = (self.latency(), self.latency());
        let fate = Fate::draw(&self.weather, &self.dice, now < self.outage_until);
        self.journal.note(now, || {
            let what = messages.iter().map(describe).collect::<Vec<_>>().join(", ");
            format!("{life} publishes to {stream:?}: {what}{}", fate.note())
        });
        if stream == Stream::Events {
            self.witness.sent(life.number, &messages);
        }
        let from = life.number;
        let timeout = now + ANSWER_TIMEOUT;
        let arrives = match fate {
            Fate::Rejected => {
                let result = Err(PublishError::Rejected("insufficient resources".into()));
                return self.send(now + there + back, Load::Published { result, answer });
            }
            Fate::Answered => {
                let answer = Some(answer);
                return self.send(now + there, Load::Publish { from, stream, messages, answer, back });
            }
            Fate::Lost => None,
            Fate::Unanswered => Some(now + there),
            Fate::Late => Some(timeout + self.dice.up_to(LATE_MAX)),
            Fate::Waits => Some(self.outage_until + there),
        };
        let result = Err(PublishError::Ambiguous("no answer".into()));
        self.send(timeout, Load::Published { result, answer });
        if let Some(at) = arrives {
            self.send(at, Load::Publish { from, stream, messages, answer: None, back });
        }
    }

    pub(crate) fn last(
        &mut self,
        now: Duration,
        life: &Life,
        (stream, subject): (Stream, Subject),
        may_lag: bool,
        answer: Found,
    ) {
        let (there, back) = (self.latency(), self.latency());
        if now < self.outage_until || self.dice.chance(self.weather.read_lost) {
            self.journal.note(now, || format!("{life} asks for {subject}  ** no answer"));
            let result = Err(Unavailable("no answer".into()));
            self.send(now + ANSWER_TIMEOUT, Load::Found { result, answer });
            return;
        }
        let is_stale = may_lag && self.dice.chance(self.weather.stale_read);
        let age = if is_stale { self.dice.up_to(LAG_MAX) } else { Duration::ZERO };
        self.journal.note(now, || {
            let lag = if is_stale { format!("  ** of a replica {age:?} behind") } else { String::new() };
            format!("{life} asks for {subject}{lag}")
        });
        self.send(now + there, Load::Last { from: life.number, stream, subject, age, answer, back });
    }

    pub(super) fn page(
        &mut self,
        now: Duration,
        stream: Stream,
        filter: &Subject,
        from: u64,
        size: usize,
    ) -> Result<Vec<Kept>, Unavailable> {
        self.server.expire(now);
        if now < self.outage_until || self.dice.chance(self.weather.read_lost) {
            return Err(Unavailable("no answer".into()));
        }
        Ok(self.server.page(stream, filter, from, size))
    }

    /// One message is taken out of `stream`: it must be one that was answered for.
    pub(super) fn remove(
        &mut self,
        now: Duration,
        life: &Life,
        stream: Stream,
        sequence: u64,
    ) -> Result<(), Unavailable> {
        let is_lost = now < self.outage_until || self.dice.chance(self.weather.request_lost);
        self.journal.note(now, || {
            format!("{life} takes {sequence} out of {stream:?}{}", if is_lost { "  ** is lost" } else { "" })
        });
        if let Some(entry) = self.server.log(stream).entry(sequence) {
            self.witness.acked(life.function, stream, &entry.stored);
        }
        if is_lost {
            return Err(Unavailable("no answer".into()));
        }
        self.server.remove(stream, sequence);
        Ok(())
    }

    pub(crate) fn reply(&mut self, now: Duration, life: &Life, receipt: Receipt, reply: Reply) {
        let stream = self.server.consumer(receipt.consumer).map(|consumer| consumer.stream);
        let rate = if reply == Reply::Ack { self.weather.ack_lost } else { self.weather.nak_lost };
        let is_lost = now < self.outage_until || self.dice.chance(rate);
        self.journal.note(now, || {
            let lost = if is_lost { "  ** is lost" } else { "" };
            format!("{life} answers {stream:?} {}: {reply:?}{lost}", receipt.sequence)
        });
        if reply == Reply::Ack
            && let Some(stream) = stream
            && let Some(entry) = self.server.log(stream).entry(receipt.sequence)
        {
            self.witness.acked(life.function, stream, &entry.stored);
        }
        if reply != Reply::InProgress
            && let Some(stream) = stream
        {
            self.witness.suspicion.answered(life.number, stream, receipt);
        }
        let is_lane = |lane: &&mut Lane| lane.process == life.number && lane.consumer == receipt.consumer;
        if reply != Reply::InProgress
            && let Some(lane) = self.lanes.values_mut().find(is_lane)
        {
            lane.held.remove(&receipt.sequence);
            // Another stream may have a message with this number.
            let is_held = |lane: &Lane| lane.process == life.number && lane.held.contains(&receipt.sequence);
            if !self.lanes.values().any(is_held) {
                self.witness.answered(life.number, receipt.sequence);
            }
        }
        if !is_lost {
            let there = self.latency();
            self.send(now + there, Load::Reply { receipt, reply });
        }
    }

    pub(crate) fn pull(&mut self, now: Duration, consumer: usize, lane: u64, credit: usize) -> u64 {
        let request = self.sent;
        let there = self.latency();
        self.sent += 1;
        let is_lost = now < self.outage_until || self.dice.chance(self.weather.pull_lost);
        self.has_lost |= is_lost;
        if !is_lost {
            let pull = Pull { lane, request, left: credit, expires: now + there + PULL_EXPIRES };
            self.send(now + there, Load::Pull { consumer, pull });
        }
        request
    }

    /// Whether a request on the lane stands, or what answers it is on its way.
    pub(crate) fn stands(&self, now: Duration, consumer: usize, lane: u64) -> bool {
        let is_coming = self.lanes.get(&lane).is_some_and(|lane| lane.last >= now);
        let stands = self.server.consumer(consumer).is_some_and(|consumer| consumer.stands(lane));
        is_coming || (stands && now >= self.outage_until)
    }

    pub(crate) fn send_soon(&mut self, now: Duration, load: Load) {
        let there = self.latency();
        self.send(now + there, load);
    }

    /// Brings everything to its place that has arrived by now, and tells when something arrives next.
    pub(crate) fn turn(&mut self, now: Duration, epoch: OffsetDateTime) -> Option<Duration> {
        while self.under_way.peek().is_some_and(|parcel| parcel.at <= now) {
            if let Some(parcel) = self.under_way.pop() {
                self.arrive(now, epoch, parcel.load);
            }
        }
        for outgoing in self.server.pump(now) {
            let Pull { lane, request, .. } = outgoing.pull;
            let Some(delivery) = outgoing.delivery else {
                self.send_in_order(now, lane, Arrival::Expired { request });
                continue;
            };
            let receipt = delivery.receipt;
            if self.dice.chance(self.weather.duplicate) {
                let after = self.dice.up_to(HURRY_MAX);
                self.send(now + after, Load::Hurry { receipt });
            }
            let is_lost = now < self.outage_until || self.dice.chance(self.weather.delivery_lost);
            let lanes = &self.lanes;
            self.journal.note(now, || {
                let to = lanes.get(&lane).map_or(0, |lane| lane.process);
                let lost = if is_lost { "  ** is lost" } else { "" };
                let Receipt { sequence, delivered, .. } = receipt;
                format!(
                    "{:?} {sequence} goes to #{to} ({delivered}): {}{lost}",
                    delivery.stream, delivery.subject
                )
            });
            self.has_lost |= is_lost;
            if !is_lost {
                if let Some(to) = self.lanes.get(&lane) {
                    self.witness.suspicion.delivered(now, to.process, &delivery);
                }
                let arrival = Arrival::Input { request, delivery: Box::new(delivery) };
                self.send_in_order(now, lane, arrival);
            }
        }
        let next = self.under_way.peek().map(|parcel| parcel.at);
        next.into_iter().chain(self.server.next_due()).min()
    }

    fn send_in_order(&mut self, now: Duration, lane: u64, arrival: Arrival) {
        let soon = now + self.latency();
        let overtakes = self.dice.chance(self.weather.overtakes);
        self.has_lost |= overtakes;
        let at = match self.lanes.get_mut(&lane) {
            Some(to) if !overtakes => {
                to.last = to.last.max(soon);
                to.last
            }
            _ => soon,
        };
        self.sent += 1;
        self.under_way.push(Parcel {
            at,
            shuffle: lane,
            number: self.sent,
            load: Load::Arrive { lane, arrival },
        });
    }

    pub(super) fn send(&mut self, at: Duration, load: Load) {
        self.sent += 1;
        let shuffle = self.dice.below(1 << 20);
        self.under_way.push(Parcel { at, shuffle, number: self.sent, load });
    }

    pub(super) fn latency(&self) -> Duration {
        let slow =
            if self.dice.chance(self.weather.slow) { self.dice.up_to(SLOW_MAX) } else { Duration::ZERO };
        self.dice.up_to(self.weather.latency) + slow
    }
}

fn describe(message: &Message) -> String {
    match &message.expect {
        None => message.subject.to_string(),
        Some(expect) => match &expect.scope {
            None => format!("{} (after {})", message.subject, expect.sequence),
            Some(scope) => format!("{} (after {} of {scope})", message.subject, expect.sequence),
        },
    }
}
