//! Retention never outruns processing: what an outage would let expire is carried on.
//!
//! Events expire after the horizon, whether every function has handled them or not; retries and inputs from outside never
//! expire. So, long before it would expire, an event that a function has not answered for is republished on that
//! function's own retry lane. And a retry or an input from outside that was answered for, but is still there because the
//! answer was lost, is taken away, so that it does not come back after the guard that would refuse it has expired.
//!
//! Everything here may be interrupted anywhere and done again, while the function works and while it does not: an event is
//! acknowledged only after it is known to be answered for or to be on its way, and a guard stands against whatever runs twice.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::core::baggage::Baggage;
use crate::core::broker::{
    Archive, Broker, Delivery, Expect, Kept, Lane, Message, PublishError, Pulled, Stored, Stream,
};
use crate::core::dead_letter::bury_the_rest;
use crate::core::isolation::{give_back_unrun, is_suspect};
use crate::core::known::{Answered, Known, unreadable_id};
use crate::core::originals::Originals;
use crate::headers;
use crate::state::Unavailable;
use crate::subject::Subject;

/// How many events are pulled at first, and at most, at a time. What is pulled is withheld from the function meanwhile.
const BATCH_FIRST: usize = 16;
const BATCH_MAX: usize = 256;
/// How long the broker has for the next event: after that there is none that is not in somebody's hands.
const QUIET: Duration = Duration::from_secs(1);
/// How often one event is tried in one round, and the wait before it is tried again.
const TRIES_MAX: u32 = 4;
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// How often in a row the oldest event may be too old and nothing come of it before the round ends, and the longest wait
/// before the next look. What is in somebody's hands at two looks in a row is carried on without being pulled.
const FRUITLESS_MAX: u32 = 8;
const FRUITLESS_PAUSE_MAX: Duration = Duration::from_secs(15);
/// How many inputs are looked up at a time.
const LOOKUPS_MAX: usize = 64;
/// A round lasts at most this part of the horizon, and a round should begin as often: what is half a horizon old when a
/// round misses it is met by three more before it expires.
pub const ROUNDS_PER_HORIZON: u32 = 8;

/// The last part of an event's life in which it is not carried on: the guard of what was committed for it is younger than
/// the event, but may be so by an instant only, and clocks differ. What is not there any more cannot be told from what was
/// never there.
const LAST_PART_OF_HORIZON: u32 = 64;

/// A function's events, and how old the oldest is that it has not answered for.
pub(crate) trait Backlog<R> {
    /// A way to pull them.
    type Lane: Lane<R>;

    /// The oldest, in whoever's hands it is, with a receipt that answers for it; nothing if all are answered for.
    fn oldest(&self) -> impl Future<Output = Result<Option<Delivery<R>>, Unavailable>> + Send;

    /// Opens the consumer's lane.
    fn open(&self) -> impl Future<Output = Result<Self::Lane, Unavailable>> + Send;
}

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rescued {
    /// Events that were republished for their function alone, where they do not expire.
    pub carried: u64,
    /// Inputs that had been answered for, which the broker did not know.
    pub answered: u64,
    /// Events that were pulled along and are young enough: given back.
    pub given_back: u64,
    /// Inputs of which nothing could be found out, or that could not be carried on: left for the next round.
    pub failed: u64,
    /// Events that had come to the end of their horizon before a round could tell whether they were answered for. They
    /// expire, and the audit trail has them.
    pub late: u64,
}

impl std::ops::AddAssign for Rescued {
    fn add_assign(&mut self, other: Self) {
        self.carried += other.carried;
        self.answered += other.answered;
        self.given_back += other.given_back;
        self.failed += other.failed;
        self.late += other.late;
    }
}

/// One round for one function.
#[derive(Debug)]
pub(crate) struct Rescue<'r, B> {
    broker: &'r B,
    function: &'r str,
    horizon: Duration,
    /// What was stored before this is carried on.
    before: OffsetDateTime,
    /// When the round ends, whatever is left.
    until: Instant,
}

impl<'r, B: Broker> Rescue<'r, B> {
    /// A round for `function`, whose events expire after `horizon`.
    pub(crate) fn new(broker: &'r B, function: &'r str, horizon: Duration) -> Self {
        let before = broker.now() - horizon / 2;
        Self { broker, function, horizon, before, until: Instant::now() + horizon / ROUNDS_PER_HORIZON }
    }

    /// Carries on the events that are too old, until there is none any more.
    pub(crate) async fn events(&self, backlog: &impl Backlog<B::Receipt>) -> Result<Rescued, Unavailable> {
        let (mut done, mut fruitless, mut settled) = (Rescued::default(), 0, 0);
        let pause = (self.horizon / LAST_PART_OF_HORIZON).min(FRUITLESS_PAUSE_MAX);
        while Instant::now() < self.until && fruitless < FRUITLESS_MAX {
            if fruitless > 0 {
                tokio::time::sleep(pause).await;
            }
            fruitless += 1;
            let Ok(oldest) = backlog.oldest().await else { continue };
            let Some(oldest) = oldest.filter(|oldest| oldest.time < self.before) else { return Ok(done) };
            let mut now = self.pull_and_carry(backlog.open().await?).await;
            let is_barren = now.carried + now.answered + now.late + now.failed == 0;
            if is_barren && fruitless > 1 && settled != oldest.sequence {
                // It goes from hand to hand, as the probe of an open breaker does, and may never come here.
                if let Ok(Some(held)) = backlog.oldest().await
                    && held.sequence == oldest.sequence
                {
                    settled = held.sequence;
                    now += self.settle_held(&held).await;
                }
            }
            if now.carried + now.answered > 0 {
                fruitless = 0;
            }
            // What is late at one look is so at the next.
            now.late = now.late.saturating_sub(done.late);
            done += now;
        }
        // Of those that are too old and cannot be had, one is known.
        done.failed = done.failed.max(1);
        Ok(done)
    }

    /// Carries on the events that are too old, as far as `lane` gives them, and gives back the others.
    async fn pull_and_carry(&self, mut lane: impl Lane<B::Receipt>) -> Rescued {
        let mut done = Rescued::default();
        let (mut size, mut young, mut unsettled) = (BATCH_FIRST, VecDeque::new(), Vec::new());
        loop {
            let (old, is_end) = self.pull(&mut lane, size, &mut young).await;
            let is_barren = old.is_empty();
            let mut settling = futures::stream::iter(old)
                .map(|delivery| async move { (self.settle(&delivery).await, delivery) })
                .buffer_unordered(LOOKUPS_MAX);
            while let Some((one, delivery)) = settling.next().await {
                done += one;
                if one.failed + one.late > 0 {
                    unsettled.push(delivery);
                }
            }
            drop(settling);
            if is_end || is_barren || Instant::now() >= self.until {
                break;
            }
            size = (size * 2).min(BATCH_MAX);
        }
        // Only now: what is given back while more is asked for comes again at once.
        let left = lane.close().await;
        for delivery in young.iter().chain(&left) {
            self.give_back(delivery).await;
            done.given_back += 1;
        }
        // They are left to the function for as long as they are there.
        for delivery in &unsettled {
            self.give_back(delivery).await;
        }
        done
    }

    /// The next old events, and whether there are no more.
    async fn pull(
        &self,
        lane: &mut impl Lane<B::Receipt>,
        size: usize,
        young: &mut VecDeque<Delivery<B::Receipt>>,
    ) -> (Vec<Delivery<B::Receipt>>, bool) {
        lane.request(size).await;
        let (mut old, mut asked) = (Vec::new(), size);
        while asked > 0 {
            match tokio::time::timeout(QUIET, lane.next()).await {
                Ok(Pulled::Delivery(delivery)) => {
                    asked -= 1;
                    if delivery.time < self.before {
                        old.push(*delivery);
                        continue;
                    }
                    // New ones come in the order of their age, and behind those that come again.
                    let is_new = delivery.delivered == 1;
                    young.push_back(*delivery);
                    if is_new {
                        return (old, true);
                    }
                }
                Ok(Pulled::Expired(credit)) => asked = asked.saturating_sub(credit),
                Ok(Pulled::Lost) | Err(_) => return (old, true),
            }
        }
        (old, false)
    }

    /// Gives an event back so that the function does not suspect it of anything.
    async fn give_back(&self, delivery: &Delivery<B::Receipt>) {
        let known = Known::of(self.function, Stream::Events, &stored_of(delivery));
        give_back_unrun(self.broker, self.function, &known.id, delivery).await;
    }

    /// Answers for one event, or sees to it that somebody will.
    async fn settle(&self, delivery: &Delivery<B::Receipt>) -> Rescued {
        let mut tried = self.carried(delivery, false).await;
        for _ in 1..TRIES_MAX {
            if tried.is_ok() {
                break;
            }
            tokio::time::sleep(TRY_AGAIN).await;
            self.broker.in_progress(&delivery.receipt).await;
            tried = self.carried(delivery, false).await;
        }
        match tried {
            Ok(done @ Rescued { late: 1.., .. }) => done,
            Ok(done) => {
                self.broker.ack(&delivery.receipt).await;
                done
            }
            Err(error) => {
                tracing::warn!(
                    function = self.function,
                    subject = %delivery.subject,
                    error = crate::failure::chain(&error),
                    "an event that will expire could not be carried on: the next round tries again"
                );
                Rescued { failed: 1, ..Rescued::default() }
            }
        }
    }

    /// Answers for an event that is in somebody's hands, or sees to it that somebody will. Whoever has it may go on: a
    /// guard stands against what runs twice, and an answer to any delivery of it counts.
    async fn settle_held(&self, held: &Delivery<B::Receipt>) -> Rescued {
        match self.carried(held, true).await {
            Ok(done @ Rescued { late: 1.., .. }) => done,
            Ok(done) => {
                self.broker.ack(&held.receipt).await;
                done
            }
            Err(_) => Rescued { failed: 1, ..Rescued::default() },
        }
    }

    fn is_late(&self, time: OffsetDateTime) -> bool {
        self.broker.now() >= time + (self.horizon - self.horizon / LAST_PART_OF_HORIZON)
    }

    /// Sees to it that the input of `delivery` is answered for. One that is held by somebody else may be killing him.
    async fn carried(&self, delivery: &Delivery<B::Receipt>, is_held: bool) -> Result<Rescued, PublishError> {
        if delivery.is_receipt() {
            return Ok(Rescued { answered: 1, ..Rescued::default() });
        }
        let (stored, time) = (stored_of(delivery), delivery.time);
        let known = Known::of(self.function, Stream::Events, &stored);
        let unknown = |unavailable: Unavailable| PublishError::Ambiguous(unavailable.to_string());
        match known.answered(self.broker, self.function).await.map_err(unknown)? {
            Answered::Yes => Ok(Rescued { answered: 1, ..Rescued::default() }),
            Answered::HalfDead(reason) => {
                let delivery = delivery_of(Stream::Events, stored, time);
                bury_the_rest(self.broker, &delivery, self.function, &known, reason).await?;
                Ok(Rescued { answered: 1, ..Rescued::default() })
            }
            Answered::No if self.is_late(time) => {
                tracing::error!(
                    function = self.function,
                    subject = %stored.subject,
                    "an event came to the end of its horizon and may not have been handled: rescue more often"
                );
                Ok(Rescued { late: 1, ..Rescued::default() })
            }
            Answered::No if known.is_under_way(self.broker, self.function).await.map_err(unknown)? => {
                Ok(Rescued { answered: 1, ..Rescued::default() })
            }
            Answered::No => {
                let mut message = carrier(self.function, &known, &stored);
                if is_held || is_suspect(self.broker, self.function, &known.id, delivery).await {
                    message.headers.push((headers::SUSPECT, "true".to_owned()));
                }
                match self.broker.publish(Stream::Retry, vec![message]).await {
                    // Refused: an earlier round had got so far.
                    Ok(_) | Err(PublishError::Refused) => Ok(Rescued { carried: 1, ..Rescued::default() }),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

impl<A: Archive> Rescue<'_, A> {
    /// Takes away what `stream` holds under `filter` for this function although it was answered for.
    ///
    /// Nothing here expires, so there is nothing to carry on; but what comes back after its guard has expired would be
    /// handled twice. It is looked through without being pulled: nothing is withheld from the function. All of it, however
    /// young: each failed attempt is a new message, and the guard may be as old as the first.
    pub(crate) async fn weed(&self, stream: Stream, filter: &Subject) -> Result<Rescued, Unavailable> {
        let (mut done, mut next) = (Rescued::default(), 1);
        while Instant::now() < self.until {
            let page = self.broker.page(stream, filter, next).await?;
            let Some(last) = page.last() else { return Ok(done) };
            next = last.stored.sequence + 1;
            let mut weeding = futures::stream::iter(page)
                .map(|kept| async move { self.weeded(stream, &kept).await })
                .buffer_unordered(LOOKUPS_MAX);
            while let Some(one) = weeding.next().await {
                done += one;
            }
        }
        Ok(done)
    }

    async fn weeded(&self, stream: Stream, kept: &Kept) -> Rescued {
        let gone = async {
            let is_answered = self.is_answered(stream, kept).await?;
            if is_answered {
                self.broker.remove(stream, kept.stored.sequence).await?;
            }
            Ok::<_, Unavailable>(u64::from(is_answered))
        };
        match gone.await {
            Ok(answered) => Rescued { answered, ..Rescued::default() },
            Err(error) => {
                tracing::warn!(
                    function = self.function,
                    subject = %kept.stored.subject,
                    error = crate::failure::chain(&error),
                    "what waits could not be looked at or taken away: the next round tries again"
                );
                Rescued { failed: 1, ..Rescued::default() }
            }
        }
    }

    async fn is_answered(&self, stream: Stream, kept: &Kept) -> Result<bool, Unavailable> {
        let stored = &kept.stored;
        let known = Known::of(self.function, stream, stored);
        if stream == Stream::Intake {
            // Admitted, or refused: that letter is not under the id of what follows from it.
            let letter = Subject::of_dead_letter(self.function, &unreadable_id(stream, stored.sequence));
            return Ok(self.broker.last_at_leader(Stream::Events, &known.subject).await?.is_some()
                || self.broker.last_at_leader(Stream::DeadLetters, &letter).await?.is_some());
        }
        match known.answered(self.broker, self.function).await? {
            Answered::Yes => Ok(true),
            // The receipt would expire, and the input could be committed after all.
            Answered::HalfDead(reason) => {
                let delivery = delivery_of(stream, stored.clone(), kept.time);
                let buried = bury_the_rest(self.broker, &delivery, self.function, &known, reason).await;
                buried.map(|()| true).map_err(|error| Unavailable(error.to_string()))
            }
            Answered::No => Ok(false),
        }
    }
}

fn stored_of<R>(delivery: &Delivery<R>) -> Stored {
    Stored {
        subject: delivery.subject.clone(),
        sequence: delivery.sequence,
        headers: delivery.headers.clone(),
        payload: delivery.payload.clone(),
    }
}

fn delivery_of(stream: Stream, stored: Stored, time: OffsetDateTime) -> Delivery<()> {
    let Stored { subject, sequence, headers, payload } = stored;
    Delivery { stream, subject, headers, payload, sequence, time, delivered: 1, receipt: () }
}

/// The message that brings an input to `function` alone, where nothing expires: the same bytes, the same cause, the same
/// attempt. It insists on being the only one under its subject, or on taking the place of `stored`.
pub(crate) fn carrier(function: &str, known: &Known, stored: &Stored) -> Message {
    let subject = Subject::of_retry(function, &known.id, known.attempt);
    let instead_of = if stored.subject == subject { stored.sequence } else { 0 };
    let mut message = Message::new(subject, stored.payload.clone());
    message.headers = vec![
        (headers::FUNCTION, function.to_owned()),
        (headers::SUBJECT, known.subject.to_string()),
        (headers::ATTEMPT, known.attempt.to_string()),
    ];
    // On a retry the headers are the runtime's own. On anything else they are a stranger's, and go along as data: here
    // they would be taken for instructions.
    let is_retry = ["retry.", "schedule."].iter().any(|first| stored.subject.as_str().starts_with(first));
    let kept: &[&'static str] = match is_retry {
        true => &[headers::HISTORY, headers::REDRIVE, headers::HEADERS, headers::DROPPED],
        false => &[],
    };
    for name in kept.iter().chain(&[headers::TRACEPARENT, headers::TRACESTATE]) {
        message.headers.extend(stored.header(name).map(|value| (*name, value.to_owned())));
    }
    if !is_retry {
        let baggage =
            Baggage { originals: Originals::among(Stream::Events, &stored.headers), ..Baggage::default() };
        // Nothing is left behind where there is no limit; an event leaves room for it.
        let _ = baggage.load(&mut message, usize::MAX);
    }
    message.expect = Some(Expect { sequence: instead_of, scope: None });
    message
}

#[cfg(test)]
mod tests;
