//! A world to simulate: functions at work on a broker in memory, and everything that can happen to them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::core::broker::{Message, Stored as Kept, Stream};
use crate::event::Envelope;
use crate::handler::{Bindings, Handler};
use crate::subject::Subject;
use crate::testing::{DeadLetter, Dice};
use crate::testing::journal::Journal;
use crate::testing::network::Network;
use crate::testing::network::wire::Wire;
use crate::testing::process::{Inlet, Process};
use crate::testing::weather::Weather;
use crate::testing::witness::Tally;
use crate::{Contract, Incoming, Outgoing, Payload, Source, Stored, headers};

/// How long things go wrong.
const STORM: Duration = Duration::from_secs(60);
/// How long it may take after that until everything has come to its end.
const CALM_MAX: Duration = Duration::from_secs(3600);
/// How many turns a simulation may take: one that takes more turns in a circle.
const TURNS_MAX: u64 = 1_000_000;
/// How long a process is away at most after it was killed.
const RESTART_MAX: Duration = Duration::from_secs(15);
/// How long the broker is away, and how long the stream of events is full, at most.
const OUTAGE_MAX: Duration = Duration::from_secs(20);
/// How many inputs of one consumer may be out at a time.
const HELD_MAX: usize = 20_000;
/// How many acknowledgements of each consumer a broker forgets at most when it crashes.
const ACKS_FORGOTTEN_MAX: u64 = 5;

/// Functions, their processes, and the broker between them.
pub struct World {
    network: Arc<Network>,
    dice: Dice,
    functions: Vec<(Bindings, Vec<Inlet>)>,
    slots: Vec<Slot>,
    processes: u32,
    /// What is to happen, in order.
    plans: VecDeque<(Duration, Plan)>,
    turns: u64,
}

/// A place for a process of the function with this index.
struct Slot {
    function: usize,
    process: Option<Process>,
    /// When the next one starts, if there is none.
    starts_at: Duration,
}

#[derive(Debug)]
enum Plan {
    Arrive { subject: Subject, payload: Bytes },
    Kill,
    Drain,
    Outage { lasts: Duration, acks_forgotten: usize },
    Full,
    NotFull,
}

impl World {
    pub(crate) fn new(seed: u64, is_journal_kept: bool) -> Self {
        let dice = Dice::of_seed(seed);
        // One world in eight is calm: there, everything comes from what the functions do to each other.
        let weather = if dice.chance(125) { Weather::calm() } else { Weather::draw(&dice) };
        let mut journal = Journal::new(is_journal_kept);
        journal.note(Duration::ZERO, || format!("{weather:?}"));
        let mut wire = Wire::new(dice.fork(), weather, journal);
        wire.server.full_comes_first = dice.chance(500);
        let network = Arc::new(Network::new(wire));
        let mut world = Self {
            network,
            dice,
            functions: Vec::new(),
            slots: Vec::new(),
            processes: 0,
            plans: VecDeque::new(),
            turns: 0,
        };
        if world.dice.chance(800) {
            world.plan_accidents();
        }
        world
    }

    fn plan_accidents(&mut self) {
        let dice = self.dice.clone();
        let mut plans = Vec::new();
        let mut plan = |times: u64, make: &dyn Fn() -> Plan| {
            for _ in 0..times {
                plans.push((dice.up_to(STORM), make()));
            }
        };
        plan(dice.one_of(&[0, 0, 2, 6]), &|| Plan::Kill);
        plan(dice.one_of(&[0, 0, 2, 6]), &|| Plan::Drain);
        plan(dice.one_of(&[0, 0, 1, 2]), &|| {
            let acks_forgotten = usize::try_from(dice.below(ACKS_FORGOTTEN_MAX + 1)).unwrap_or_default();
            Plan::Outage { lasts: dice.up_to(OUTAGE_MAX), acks_forgotten }
        });
        if dice.chance(200) {
            let from = dice.up_to(STORM);
            plans.push((from, Plan::Full));
            plans.push((from + dice.up_to(OUTAGE_MAX), Plan::NotFull));
        }
        for (at, plan) in plans {
            self.plan(at, plan);
        }
    }

    fn plan(&mut self, at: Duration, plan: Plan) {
        let place = self.plans.partition_point(|(other, _)| *other <= at);
        self.plans.insert(place, (at, plan));
    }

    /// Chance of its own for whatever the functions do; it follows from the seed.
    pub fn dice(&self) -> Dice {
        self.dice.fork()
    }

    /// Puts a function to work in so many processes.
    pub fn deploy<D, I, O, H, Form>(
        &mut self,
        contract: Contract<I, O>,
        processes: usize,
        deps: D,
        handler: H,
    ) where
        D: Send + Sync + 'static,
        I: Incoming,
        O: Outgoing,
        H: for<'a> Handler<'a, D, I, O, Form>,
        Form: 'static,
    {
        let bindings = Bindings::new(contract, deps, handler);
        let terms = bindings.terms;
        let events =
            terms.listens_to.iter().map(|kind| Subject::from_broker(&format!("{}.*.*", kind.name))).collect();
        let admitted: Vec<_> = terms.admits.iter().map(|kind| Subject::from_broker(kind.name)).collect();
        let most = terms.concurrency.max(terms.batch);
        let inlets = {
            let mut wire = self.network.lock();
            wire.witness.watch(terms);
            let mut inlet =
                |stream, filters, held_max| (wire.server.subscribe(stream, filters, held_max), stream, most);
            let mut inlets = Vec::new();
            match terms.reads {
                Source::Events => {
                    let retries = Subject::from_broker(&format!("retry.{}.>", terms.name));
                    inlets.push(inlet(Stream::Events, events, HELD_MAX));
                    inlets.push(inlet(Stream::Retry, vec![retries], HELD_MAX));
                }
                // A trail is read in order: no more than one batch is out at a time.
                Source::Audit => {
                    inlets.push(inlet(Stream::Audit, vec![Subject::from_broker("audit.>")], terms.batch))
                }
            }
            if !admitted.is_empty() {
                inlets.push(inlet(Stream::Intake, admitted, HELD_MAX));
            }
            inlets
        };
        self.functions.push((bindings, inlets));
        let function = self.functions.len() - 1;
        for _ in 0..processes {
            let starts_at = self.network.now();
            self.slots.push(Slot { function, process: None, starts_at });
        }
    }

    /// A publisher outside publishes `payload` to `subject` after `at`.
    pub fn arrive(&mut self, at: Duration, subject: &str, payload: impl Into<Bytes>) {
        self.plan(at, Plan::Arrive { subject: Subject::from_broker(subject), payload: payload.into() });
    }

    /// Lets things go wrong for a while.
    ///
    /// # Errors
    /// Something happened that must never happen.
    pub async fn storm(&mut self) -> Result<(), String> {
        self.drive(STORM, |_| false).await.map(drop)
    }

    /// Lets nothing go wrong any more, and waits until everything has come to its end.
    ///
    /// # Errors
    /// Something happened that must never happen, or something never came to its end.
    pub async fn calm(&mut self) -> Result<(), String> {
        let now = self.network.now();
        {
            let mut wire = self.network.lock();
            wire.clear_up();
            wire.journal.note(now, || "everything works from now on".into());
        }
        for slot in &mut self.slots {
            slot.starts_at = slot.starts_at.min(now);
        }
        let is_idle = self.drive(now + CALM_MAX, Self::is_idle).await?;
        if !is_idle {
            let mut wire = self.network.lock();
            let held: Vec<_> = wire.server.consumers().map(|consumer| consumer.in_flight()).collect();
            return Err(format!(
                "after {CALM_MAX:?} of calm not everything has come to its end; held: {held:?}"
            ));
        }
        let mut wire = self.network.lock();
        let Wire { witness, server, .. } = &mut *wire;
        witness.conclude(server.log(Stream::Events).history().map(|entry| &entry.stored));
        witness.objection().map_or(Ok(()), |objection| Err(objection.to_owned()))
    }

    fn is_idle(&mut self) -> bool {
        let mut wire = self.network.lock();
        self.plans.is_empty() && wire.is_quiet() && wire.server.is_idle()
    }

    async fn drive(&mut self, until: Duration, is_done: fn(&mut Self) -> bool) -> Result<bool, String> {
        loop {
            self.turns += 1;
            let next = self.network.turn();
            let now = self.network.now();
            let plan = self.supervise(now);
            if let Some(objection) = self.network.lock().witness.objection() {
                return Err(objection.to_owned());
            }
            if self.turns > TURNS_MAX {
                return Err("it turns in a circle".into());
            }
            if is_done(self) {
                return Ok(true);
            }
            if now >= until {
                return Ok(false);
            }
            let wait = next.into_iter().chain(plan).min().unwrap_or(until).min(until);
            tokio::select! {
                biased;
                () = self.network.news.notified() => {}
                () = tokio::time::sleep_until(self.network.moment(wait)) => {}
            }
        }
    }

    /// Makes what is planned happen, starts what is to start, and tells when it is to be called again.
    fn supervise(&mut self, now: Duration) -> Option<Duration> {
        while self.plans.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, plan)) = self.plans.pop_front() {
                self.carry_out(now, plan);
            }
        }
        for slot in &mut self.slots {
            if let Some(process) =
                slot.process.take_if(|process| process.life.is_dead() || process.has_exited())
            {
                let mut wire = self.network.lock();
                let is_killed = process.life.is_dead();
                wire.hang_up(process.life.number, !is_killed || self.dice.chance(500));
                slot.starts_at = now + self.dice.up_to(RESTART_MAX);
                wire.journal.note(now, || format!("{} is gone", process.life));
            }
            if slot.process.is_none() && slot.starts_at <= now {
                self.processes += 1;
                if let Some((function, inlets)) = self.functions.get(slot.function) {
                    slot.process = Some(Process::start(&self.network, self.processes, function, inlets));
                }
            }
        }
        let starts = self.slots.iter().filter(|slot| slot.process.is_none()).map(|slot| slot.starts_at);
        self.plans.front().map(|(at, _)| *at).into_iter().chain(starts).min()
    }

    fn carry_out(&mut self, now: Duration, plan: Plan) {
        let mut wire = self.network.lock();
        wire.journal.note(now, || match &plan {
            Plan::Arrive { subject, .. } => format!("{subject} comes from outside"),
            other => format!("{other:?}"),
        });
        match plan {
            Plan::Arrive { subject, payload } => {
                // Into the stream of inputs from outside anything comes.
                let _ = wire.server.publish(
                    Stream::Intake,
                    &[Message::new(subject, payload)],
                    now,
                    self.network.epoch(),
                );
            }
            Plan::Outage { lasts, acks_forgotten } => wire.begin_outage(now, lasts, acks_forgotten),
            Plan::Full => wire.server.is_full = true,
            Plan::NotFull => wire.server.is_full = false,
            Plan::Kill | Plan::Drain => {
                drop(wire);
                let up: Vec<&Process> = self.slots.iter().filter_map(|slot| slot.process.as_ref()).collect();
                let chosen = usize::try_from(self.dice.below(up.len() as u64)).unwrap_or_default();
                match up.get(chosen) {
                    Some(process) if matches!(plan, Plan::Kill) => process.life.end(),
                    Some(process) => process.drain(),
                    None => {}
                }
            }
        }
    }

    /// Sends every dead letter with `reason` to its function again, as an operator does, and tells how many.
    pub fn redrive(&mut self, reason: &str) -> usize {
        let now = self.network.now();
        let mut wire = self.network.lock();
        let letters: Vec<Kept> =
            wire.server.log(Stream::DeadLetters).history().map(|e| e.stored.clone()).collect();
        let mut count = 0;
        for letter in letters.iter().filter(|letter| letter.header(headers::REASON) == Some(reason)) {
            let (Some(function), Some(cause)) =
                (letter.header(headers::FUNCTION), letter.header(headers::SUBJECT))
            else {
                continue;
            };
            let Some((bindings, _)) = self.functions.iter().find(|(b, _)| b.terms.name == function) else {
                continue;
            };
            count += 1;
            let name = bindings.terms.name;
            let redrive = format!("redrive-{count}");
            let mut message = Message::new(Subject::of_retry(name, &redrive, 1), letter.payload.clone());
            message.headers = vec![
                (headers::FUNCTION, name.to_owned()),
                (headers::SUBJECT, cause.to_owned()),
                (headers::ATTEMPT, "1".to_owned()),
                (headers::REDRIVE, redrive),
            ];
            wire.witness.redriven(name, Subject::from_broker(cause));
            let _ = wire.server.publish(Stream::Retry, &[message], now, self.network.epoch());
        }
        count
    }

    /// Every event of type `P` that was ever committed, in order.
    pub fn committed<P: Payload>(&self) -> Vec<P> {
        let wire = self.network.lock();
        let prefix = format!("{}.", P::TYPE);
        let events = wire
            .server
            .log(Stream::Events)
            .history()
            .filter(|e| e.stored.subject.as_str().starts_with(&prefix));
        events
            .filter_map(|entry| Envelope::read(&entry.stored.payload).ok())
            .filter_map(|envelope| P::decode(P::TYPE, &envelope.data).ok())
            .collect()
    }

    /// Every value that a piece of state ever had, in order.
    pub fn history<S: Stored>(&self, function: &str, key: &str) -> Vec<S> {
        let wire = self.network.lock();
        let subject = Subject::of_state(function, S::KIND, key);
        let values =
            wire.server.log(Stream::Events).history().filter(|entry| entry.stored.subject == subject);
        values.filter_map(|entry| serde_json::from_slice(&entry.stored.payload).ok()).collect()
    }

    /// The bytes of the trail, in order.
    pub fn trail(&self) -> Vec<Bytes> {
        let wire = self.network.lock();
        wire.server.log(Stream::Audit).history().map(|entry| entry.stored.payload.clone()).collect()
    }

    /// Every dead letter, in order.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let wire = self.network.lock();
        wire.server.log(Stream::DeadLetters).history().map(|entry| DeadLetter::of(&entry.stored)).collect()
    }

    /// How much happened.
    pub fn tally(&self) -> Tally {
        self.network.lock().witness.tally
    }

    pub(crate) fn take_journal(&self) -> Vec<String> {
        self.network.lock().journal.take()
    }
}
