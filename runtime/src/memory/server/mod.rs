//! A broker in memory: the streams, consumers and rules of nats-server that Jetlag relies on, as they were measured.
//!
//! It has no time and no network of its own: whoever calls says what time it is, and carries messages back and forth.

pub(crate) mod consumer;
pub(crate) mod log;
pub(crate) mod pattern;

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

use crate::core::broker::{Delivery, Kept, Message, PublishError, Stream};
use crate::memory::EPOCH_UNIX_S;
use crate::subject::Subject;
use consumer::{Consumer, Pull, Sent};
use log::{Entry, Log};
use pattern::covers;

/// The most bytes that the headers and the payload of a message may have.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The most messages that one atomic batch may have.
const BATCH_MESSAGES_MAX: usize = 1000;
/// Over how many subjects the trail is spread.
const AUDIT_PARTITIONS: usize = 8;

/// The time of day at which every simulation begins.
pub(crate) fn epoch() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(EPOCH_UNIX_S)
}

/// How a delivery is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) consumer: usize,
    pub(crate) sequence: u64,
    pub(crate) delivered: u64,
}

/// Something that goes from the server to one who pulls.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) pull: Pull,
    /// Nothing if the request has expired.
    pub(crate) delivery: Option<Delivery<Receipt>>,
}

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    events: Log,
    retry: Log,
    intake: Log,
    dead_letters: Log,
    audit: Log,
    consumers: Vec<Consumer>,
    /// Messages in `retry` that wait, by when they are due, with the subjects that they come up on.
    waiting: BTreeMap<(Duration, u64), Subject>,
    /// How far `events` is copied into `audit`.
    copied: u64,
    /// Whether anything has changed since [`pump`](Self::pump) last looked, and when it has to look if nothing does.
    is_stirred: bool,
    due: Option<Duration>,
    /// Whether the stream of events is at its limit.
    pub(crate) is_full: bool,
    /// Whether it then takes new versions of what is there; a stream with several replicas does not.
    pub(crate) full_takes_versions: bool,
    /// Whether that is looked at before expected sequences are; servers differ with the path that a message takes.
    pub(crate) full_comes_first: bool,
    /// Streams that take nothing.
    pub(crate) refusing: Vec<Stream>,
    /// What no correct client ever sends.
    pub(crate) misuse: Vec<String>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            events: Log::new(true),
            retry: Log::new(false),
            intake: Log::new(false),
            dead_letters: Log::new(false),
            audit: Log::new(false),
            consumers: Vec::new(),
            waiting: BTreeMap::new(),
            copied: 0,
            is_stirred: true,
            due: None,
            is_full: false,
            full_takes_versions: true,
            full_comes_first: false,
            refusing: Vec::new(),
            misuse: Vec::new(),
        }
    }

    pub(crate) const fn log(&self, stream: Stream) -> &Log {
        match stream {
            Stream::Events => &self.events,
            Stream::Retry => &self.retry,
            Stream::Intake => &self.intake,
            Stream::DeadLetters => &self.dead_letters,
            Stream::Audit => &self.audit,
        }
    }

    const fn log_mut(&mut self, stream: Stream) -> &mut Log {
        self.is_stirred = true;
        match stream {
            Stream::Events => &mut self.events,
            Stream::Retry => &mut self.retry,
            Stream::Intake => &mut self.intake,
            Stream::DeadLetters => &mut self.dead_letters,
            Stream::Audit => &mut self.audit,
        }
    }

    /// Messages of `stream` that say nothing else are kept so long.
    pub(crate) fn keep(&mut self, stream: Stream, age_max: Duration) {
        self.log_mut(stream).age_max = Some(age_max);
    }

    /// Takes out of every stream what is too old.
    pub(crate) fn expire(&mut self, now: Duration) {
        for log in
            [&mut self.events, &mut self.retry, &mut self.intake, &mut self.dead_letters, &mut self.audit]
        {
            log.expire(now);
        }
    }

    /// The next messages of `stream` that `filter` covers, from the sequence `from` on, and when they were stored.
    pub(crate) fn page(&self, stream: Stream, filter: &Subject, from: u64, size: usize) -> Vec<Kept> {
        let later =
            self.log(stream).history().skip(usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX));
        let covered = later
            .filter(|entry| entry.is_live && covers(filter.as_str(), entry.stored.subject.as_str()))
            .map(|entry| Kept { stored: entry.stored.clone(), time: epoch() + entry.at });
        covered.take(size).collect()
    }

    /// The oldest message that the consumer is to deliver and that is not acknowledged, in whoever's hands it is.
    pub(crate) fn oldest(&mut self, number: usize) -> Option<Delivery<Receipt>> {
        let (consumer, log) = self.consumer_and_log(number)?;
        let sequence = consumer.oldest(log)?;
        self.delivery(number, sequence, 1)
    }

    /// Takes one message out of `stream`, as an operator does.
    pub(crate) fn remove(&mut self, stream: Stream, sequence: u64) {
        self.log_mut(stream).remove(sequence);
    }

    /// A new durable consumer, and its number.
    pub(crate) fn subscribe(&mut self, stream: Stream, filters: Vec<Subject>, held_max: usize) -> usize {
        self.consumers.push(Consumer::new(stream, filters, held_max));
        self.consumers.len() - 1
    }

    /// A consumer, to look at.
    pub(crate) fn consumer(&self, number: usize) -> Option<&Consumer> {
        self.consumers.get(number)
    }

    /// A consumer, to do something with.
    pub(crate) fn consumer_mut(&mut self, number: usize) -> Option<&mut Consumer> {
        self.is_stirred = true;
        self.consumers.get_mut(number)
    }

    pub(crate) fn consumers(&mut self) -> impl Iterator<Item = &mut Consumer> {
        self.is_stirred = true;
        self.consumers.iter_mut()
    }

    /// Stores `messages` together or not at all, and gives the sequence of the last. `epoch` is the time of day at zero.
    pub(crate) fn publish(
        &mut self,
        stream: Stream,
        messages: &[Message],
        now: Duration,
        epoch: OffsetDateTime,
    ) -> Result<u64, PublishError> {
        self.expire(now);
        if self.refusing.contains(&stream) {
            return Err(PublishError::Rejected("10077: the stream takes nothing".into()));
        }
        let is_full = stream == Stream::Events
            && self.is_full
            && (!self.full_takes_versions
                || messages.iter().any(|message| !self.events.has(&message.subject)));
        if is_full && self.full_comes_first {
            return Err(PublishError::Full);
        }
        self.check(stream, messages)?;
        if is_full {
            return Err(PublishError::Full);
        }
        for message in messages {
            let sequence = self.log_mut(stream).append(message, now);
            if let Some(schedule) = &message.schedule {
                let due = Duration::try_from(schedule.at - epoch).unwrap_or(Duration::ZERO);
                self.waiting.insert((due, sequence), schedule.target.clone());
            }
        }
        Ok(self.log(stream).last_sequence())
    }

    fn check(&mut self, stream: Stream, messages: &[Message]) -> Result<(), PublishError> {
        if messages.is_empty() || messages.len() > BATCH_MESSAGES_MAX {
            self.misuse.push(format!("a batch of {} messages", messages.len()));
            return Err(PublishError::Rejected("10199: the size of the batch".into()));
        }
        for (at, message) in messages.iter().enumerate() {
            let headers: usize =
                message.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
            if headers + message.payload.len() > MESSAGE_BYTES_MAX {
                self.misuse.push(format!("{} that is too large", message.subject));
                return Err(PublishError::Rejected("maximum payload exceeded".into()));
            }
            let Some(expect) = &message.expect else { continue };
            let is_second = messages.iter().take(at).any(|earlier| earlier.subject == message.subject);
            if is_second && expect.scope.is_none() {
                self.misuse
                    .push(format!("a batch with a second message on {} that insists", message.subject));
                return Err(PublishError::Refused);
            }
            let scope = expect.scope.as_ref().unwrap_or(&message.subject);
            let last = self.log(stream).last(scope).map_or(0, |entry| entry.stored.sequence);
            if last != expect.sequence {
                return Err(PublishError::Refused);
            }
        }
        Ok(())
    }

    /// The input of `receipt` is done with.
    pub(crate) fn ack(&mut self, receipt: Receipt) {
        let Some(consumer) = self.consumer_mut(receipt.consumer) else { return };
        let (was_held, stream) = (consumer.ack(receipt.sequence), consumer.stream);
        // A work queue is rid of what is acknowledged.
        if was_held && matches!(stream, Stream::Retry | Stream::Intake) {
            self.log_mut(stream).remove(receipt.sequence);
        }
    }

    /// The server comes back from a crash, and has forgotten up to `count` acknowledgements of each consumer.
    pub(crate) fn forget_acks(&mut self, count: usize) {
        for number in 0..self.consumers.len() {
            self.forget_acks_of(number, count);
        }
    }

    /// The same for one consumer.
    pub(crate) fn forget_acks_of(&mut self, number: usize, count: usize) {
        self.is_stirred = true;
        let Some(consumer) = self.consumers.get_mut(number) else { return };
        let stream = consumer.stream;
        for sequence in consumer.forget_acks(count) {
            match stream {
                Stream::Retry => self.retry.restore(sequence),
                Stream::Intake => self.intake.restore(sequence),
                Stream::Events | Stream::DeadLetters | Stream::Audit => {}
            }
        }
    }

    /// Copies what came into the stream of events to the trail: everything whose subject has four tokens.
    pub(crate) fn copy_to_audit(&mut self, now: Duration) {
        self.is_stirred = true;
        while let Some(entry) = self.events.entry(self.copied + 1) {
            self.copied += 1;
            let subject = entry.stored.subject.as_str();
            if subject.split('.').count() == 4 {
                let partition = subject.bytes().map(usize::from).sum::<usize>() % AUDIT_PARTITIONS;
                let source = format!("EVENTS {} *.*.*.* audit.{partition} {subject}", entry.stored.sequence);
                let header = ("Nats-Stream-Source".to_owned(), source);
                self.audit.copy(
                    &entry.stored,
                    Subject::from_broker(&format!("audit.{partition}")),
                    Some(header),
                    now,
                );
            }
        }
    }

    /// Whether the trail holds everything that it should.
    pub(crate) fn is_copied(&self) -> bool {
        self.copied == self.events.last_sequence()
    }

    /// When something happens next by itself.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let waiting = self.next_retry();
        if self.is_stirred {
            self.consumers.iter().filter_map(Consumer::next_due).chain(waiting).min()
        } else {
            self.due
        }
    }

    /// Brings up what is due, and gives everything that is to be sent.
    pub(crate) fn pump(&mut self, now: Duration) -> Vec<Outgoing> {
        self.expire(now);
        let mut outgoing = Vec::new();
        if !self.is_stirred && self.due.is_none_or(|due| due > now) {
            return outgoing;
        }
        self.expire(now);
        self.wake_retries(now);
        for number in 0..self.consumers.len() {
            let mut sent = Vec::new();
            if let Some((consumer, log)) = self.consumer_and_log(number) {
                consumer.pump(log, now, |pull, what| sent.push((pull, what)));
            }
            for (pull, what) in sent {
                let delivery = match what {
                    Sent::Expired => None,
                    Sent::Message { sequence, delivered } => self.delivery(number, sequence, delivered),
                };
                outgoing.push(Outgoing { pull, delivery });
            }
        }
        self.is_stirred = true;
        self.due = self.next_due();
        self.is_stirred = false;
        outgoing
    }

    /// The next input of a consumer, for one who does not wait.
    pub(crate) fn fetch(&mut self, number: usize, now: Duration) -> Option<Delivery<Receipt>> {
        self.expire(now);
        self.wake_retries(now);
        let (consumer, log) = self.consumer_and_log(number)?;
        consumer.wake(now);
        let (sequence, delivered) = consumer.take(log, now)?;
        self.delivery(number, sequence, delivered)
    }

    /// Whether every consumer has seen everything and has acknowledged it, and nothing waits.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.waiting.is_empty()
            && self.is_copied()
            && (0..self.consumers.len()).all(|number| {
                self.consumer_and_log(number).is_some_and(|(consumer, log)| consumer.is_idle(log))
            })
    }

    /// When the next message that waits comes up.
    pub(crate) fn next_retry(&self) -> Option<Duration> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// When the message under `sequence` comes up, if it waits.
    pub(crate) fn due_of_retry(&self, sequence: u64) -> Option<Duration> {
        self.waiting.keys().find(|(_, waiting)| *waiting == sequence).map(|(due, _)| *due)
    }

    fn wake_retries(&mut self, now: Duration) {
        while let Some(first) = self.waiting.first_entry() {
            let (due, sequence) = *first.key();
            if due > now {
                return;
            }
            let target = first.remove();
            let Some(Entry { stored, is_live: true, .. }) = self.retry.entry(sequence) else { continue };
            let stored = stored.clone();
            self.retry.copy(&stored, target, None, now);
            self.retry.remove(sequence);
        }
    }

    fn consumer_and_log(&mut self, number: usize) -> Option<(&mut Consumer, &Log)> {
        let consumer = self.consumers.get_mut(number)?;
        let log = match consumer.stream {
            Stream::Events => &self.events,
            Stream::Retry => &self.retry,
            Stream::Intake => &self.intake,
            Stream::DeadLetters => &self.dead_letters,
            Stream::Audit => &self.audit,
        };
        Some((consumer, log))
    }

    fn delivery(&self, number: usize, sequence: u64, delivered: u64) -> Option<Delivery<Receipt>> {
        let stream = self.consumers.get(number)?.stream;
        let Entry { stored, at, .. } = self.log(stream).entry(sequence)?;
        Some(Delivery {
            stream,
            subject: stored.subject.clone(),
            headers: stored.headers.clone(),
            payload: stored.payload.clone(),
            sequence,
            time: epoch() + *at,
            delivered,
            receipt: Receipt { consumer: number, sequence, delivered },
        })
    }
}

#[cfg(test)]
mod tests;
