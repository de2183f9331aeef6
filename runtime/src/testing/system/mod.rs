//! Several functions wired together on a broker in memory: the production core of each, in a time that passes by itself.

mod clock;
mod course;
mod fault;
mod member;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::core::broker::{Message, Stream};
use crate::core::redrive::redrive;
use crate::dead_letter::DeadLetter as Letter;
use crate::event::Envelope;
use crate::handler::{Bindings, Handler};
use crate::invoke::Disposition;
use crate::memory::Still;
use crate::memory::server::log::Entry;
use crate::subject::Subject;
use crate::testing::{DeadLetter, Dice};
use crate::{Contract, Incoming, Outgoing, Payload, Stored};
use clock::Clock;
use member::Member;

pub use course::{Course, Step, Taken, Written};
pub use fault::Fault;

/// More deliveries than this mean that something goes in circles.
const STEPS_MAX: usize = 10_000;
/// How long things go wrong by themselves: after that everything has to come to its end.
const STORM: Duration = Duration::from_secs(60);
/// More time than this nobody waits for.
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// Functions that hear each other, under test.
///
/// Inputs are delivered one at a time. The seed decides whose turn it is and which of the inputs at hand comes next (those
/// of one aggregate come in order), and, with [`with_mishaps`](Self::with_mishaps), what goes wrong. When nothing is left
/// to deliver, time moves on to when something is: waits between attempts, open breakers and dead processes cost nothing.
///
/// To be used in a `#[tokio::test]`, in its one thread. Handlers may do real IO, such as asking a server that the test
/// itself runs; time that passes meanwhile is not counted.
///
/// ```
/// # use std::time::Duration;
/// # use jetlag::{Contract, Event, Failure, Nothing, Payload};
/// # use jetlag::testing::{Fault, System};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Sent { id: String }
/// # impl Payload for Sent {
/// #     const TYPE: &'static str = "parcels.sent"; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.id }
/// #     fn example() -> Self { Sent { id: "P-1".into() } }
/// # }
/// # #[derive(Serialize, Deserialize)] struct Billed { id: String }
/// # impl Payload for Billed {
/// #     const TYPE: &'static str = "parcels.billed"; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.id }
/// #     fn example() -> Self { Billed { id: "P-1".into() } }
/// # }
/// const BILLING: Contract<Sent, Billed> = Contract::new("billing", "Bills what was sent.");
/// const ARCHIVE: Contract<Billed, Nothing> = Contract::new("archive", "Keeps bills.");
/// # async fn bill(_: &(), event: Event<Sent>) -> Result<Billed, Failure> { Ok(Billed { id: event.data.id }) }
/// # async fn keep(_: &(), _: Event<Billed>) -> Result<Option<Nothing>, Failure> { Ok(None) }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut office = System::of_seed(1).function(BILLING, (), bill).function(ARCHIVE, (), keep);
/// office.fault("billing", Fault::CrashAfterCommit);
/// office.publish(Sent { id: "P-1".into() });
/// let course = office.run().await;
/// assert_eq!(office.events::<Billed>().len(), 1);
/// // The process died, so the broker waited for its answer and delivered the parcel again.
/// assert_eq!(
///     course.outline().trim_start(),
///     "\
///    0.000 s  billing  parcels.sent P-1: the process dies
///             + parcels.billed P-1
///    0.000 s  archive  parcels.billed P-1: ack
///   15.000 s  billing  parcels.sent P-1 (delivery 2): ack, committed before
/// "
/// );
/// # }
/// ```
pub struct System {
    still: Arc<Still>,
    clock: Clock,
    dice: Dice,
    members: Vec<Member>,
    mishaps_per_mille: u32,
}

impl System {
    /// A system without functions, whose chance `seed` decides.
    pub fn of_seed(seed: u64) -> Self {
        let still = Arc::new(Still::new());
        let (clock, dice) = (Clock::of_this_thread(), Dice::of_seed(seed));
        Self { still, clock, dice, members: Vec::new(), mishaps_per_mille: 0 }
    }

    /// Puts a function to work.
    #[must_use]
    pub fn function<D, I, O, H, Form>(mut self, contract: Contract<I, O>, deps: D, handler: H) -> Self
    where
        D: Send + Sync + 'static,
        I: Incoming,
        O: Outgoing,
        H: for<'a> Handler<'a, D, I, O, Form>,
        Form: 'static,
    {
        let bindings = Bindings::new(contract, deps, handler);
        self.members.push(Member::start(bindings, &self.still, self.clock));
        self
    }

    /// `function` has `value` as its state under `key`.
    ///
    /// # Panics
    /// The value does not serialise.
    #[must_use]
    #[allow(clippy::expect_used, reason = "only tests call this")]
    pub fn with_state<S: Stored>(self, function: &str, key: &str, value: &S) -> Self {
        let json = serde_json::to_vec(value).expect("state in a test serialises");
        self.put(Stream::Events, Message::new(Subject::of_state(function, S::KIND, key), json.into()));
        self
    }

    /// In the first minute something goes wrong at so many of a thousand deliveries: one of the [`Fault`]s, as the seed
    /// decides.
    #[must_use]
    pub const fn with_mishaps(mut self, per_mille: u32) -> Self {
        self.mishaps_per_mille = per_mille;
        self
    }

    /// Something goes wrong in `function`, at the next opportunity. Faults of one kind add up.
    ///
    /// # Panics
    /// There is no such function.
    #[allow(clippy::expect_used, reason = "only tests call this")]
    pub fn fault(&mut self, function: &str, fault: Fault) {
        let known = self.members.iter_mut().find(|member| member.name() == function);
        known.expect("a function of this system").suffer(fault);
    }

    /// An event of `payload` is published: from outside, to be admitted, if one of the functions admits its type. The same
    /// payload again is the same event again.
    ///
    /// # Panics
    /// The payload does not serialise.
    #[allow(clippy::expect_used, reason = "only tests call this")]
    #[allow(clippy::needless_pass_by_value, reason = "payloads are made where they are published")]
    pub fn publish(&mut self, payload: impl Payload) {
        let outbound = payload.encode().expect("a payload in a test serialises");
        let kind = outbound.kind.name;
        let id = format!("{}-{}", outbound.aggregate_id, kind.replace('.', "-"));
        let trace_id = crate::identity::trace_id(&id);
        let now = self.still.with(|_, now| now);
        let envelope = Envelope::around(outbound, id, self.still.time_after(now), trace_id);
        let json = Bytes::from(envelope.write().expect("an envelope in a test serialises"));
        if self.members.iter().any(|member| member.admits(kind)) {
            self.publish_bytes(kind, json);
        } else {
            self.put(Stream::Events, Message::new(envelope.subject(), json));
        }
    }

    /// Somebody outside publishes `bytes` to `subject`, a bare type, to be admitted or refused.
    pub fn publish_bytes(&mut self, subject: &str, bytes: impl Into<Bytes>) {
        self.put(Stream::Intake, Message::new(Subject::from_broker(subject), bytes.into()));
    }

    /// Runs until nothing is left to do, and tells what happened.
    ///
    /// # Panics
    /// There is no end to it: 10,000 deliveries, or a day. An input behind a breaker that never closes waits for ever;
    /// see [`run_for`](Self::run_for).
    #[allow(clippy::panic, reason = "only tests call this")]
    pub async fn run(&mut self) -> Course {
        let began = self.now();
        let course = self.run_for(TIME_MAX).await;
        assert!(
            self.now() < began + TIME_MAX,
            "it does not come to rest; its end:\n{}",
            course.last(10).outline()
        );
        course
    }

    /// Runs for so long, or until nothing is left to do, and tells what happened. Time stands at its end after that, unless
    /// everything was done before.
    ///
    /// # Panics
    /// 10,000 inputs were delivered, and there is no end to it.
    #[allow(clippy::panic, reason = "only tests call this")]
    pub async fn run_for(&mut self, time: Duration) -> Course {
        let until = self.now() + time;
        let mut course = Course::default();
        loop {
            while let Some(step) = self.deliver().await {
                course.steps.push(step);
                assert!(course.steps.len() < STEPS_MAX, "no end:\n{}", course.last(10).outline());
            }
            let Some(due) = self.still.with(|server, _| server.next_due()) else { return course };
            self.pass(due.min(until)).await;
            if due > until {
                return course;
            }
        }
    }

    /// How much time has passed since the beginning.
    pub fn now(&self) -> Duration {
        self.still.with(|_, now| now)
    }

    /// Every event of type `P` so far, in order.
    pub fn events<P: Payload>(&self) -> Vec<P> {
        let prefix = format!("{}.", P::TYPE);
        let payload = |entry: &Entry| {
            let is_one = entry.stored.subject.as_str().starts_with(&prefix);
            let envelope = is_one.then(|| Envelope::read(&entry.stored.payload).ok())??;
            P::decode(P::TYPE, &envelope.data).ok()
        };
        self.still.with(|server, _| server.log(Stream::Events).history().filter_map(payload).collect())
    }

    /// The state of `function` under `key`.
    pub fn state<S: Stored>(&self, function: &str, key: &str) -> Option<S> {
        let subject = Subject::of_state(function, S::KIND, key);
        self.still.with(|server, _| {
            let entry = server.log(Stream::Events).last(&subject)?;
            serde_json::from_slice(&entry.stored.payload).ok()
        })
    }

    /// The dead letters that are there, in order.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.still.with(|server, _| {
            let live = server.log(Stream::DeadLetters).history().filter(|entry| entry.is_live);
            live.map(|entry| DeadLetter::of(&entry.stored)).collect()
        })
    }

    /// An operator sends every dead letter to its function again, and this tells how many there were. They are on their way
    /// when time goes on.
    ///
    /// # Panics
    /// One cannot be sent again: it is not an event.
    #[allow(clippy::expect_used, reason = "only tests call this")]
    pub async fn redrive(&mut self) -> usize {
        let letters: Vec<Letter> = self.still.with(|server, _| {
            let live = server.log(Stream::DeadLetters).history().filter(|entry| entry.is_live);
            let letter = |entry: &Entry| {
                let stored = entry.stored.clone();
                let at = self.still.time_after(entry.at);
                Letter::read(stored.sequence, stored.subject.as_str(), at, stored.headers, stored.payload)
                    .ok()
            };
            live.filter_map(letter).collect()
        });
        for letter in &letters {
            redrive(&*self.still, letter, "a test").await.expect("a dead letter that is an event");
            self.still.with(|server, _| server.remove(Stream::DeadLetters, letter.sequence));
        }
        letters.len()
    }

    /// Delivers the next input of whoever's turn it is; nothing if there is none now.
    async fn deliver(&mut self) -> Option<Step> {
        self.still.with(|server, now| server.copy_to_audit(now));
        let mut ready = Vec::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            ready.extend(member.look(&self.still).map(|lane| (number, lane)));
        }
        if ready.is_empty() {
            return None;
        }
        let (number, lane) = self.dice.one_of(&ready);
        let goes_wrong = self.now() < STORM && self.dice.chance(self.mishaps_per_mille);
        let mishap = goes_wrong.then(|| self.dice.one_of(&Fault::EACH));
        let (dice, at) = (self.dice.clone(), self.now());
        let member = self.members.get_mut(number)?;
        if let Some(mishap) = mishap {
            member.suffer(mishap);
        }
        let deliveries = member.take(lane, &dice);
        let step = member.deliver(&self.still, at, deliveries).await;
        if step.disposition == Disposition::Crash {
            member.restart(&self.still);
        }
        Some(step)
    }

    /// Lets time pass, for the broker and for whoever waits, until it is `moment`.
    async fn pass(&self, moment: Duration) {
        let time = moment.saturating_sub(self.now());
        self.still.pass(moment);
        self.clock.pass(time).await;
    }

    #[allow(clippy::expect_used, reason = "only tests call this")]
    fn put(&self, stream: Stream, message: Message) {
        self.still.publish_now(stream, &[message]).expect("a stream without limits takes everything");
    }
}

#[cfg(test)]
mod tests;
