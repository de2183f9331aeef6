//! A world to simulate: functions at work on a broker in memory, and everything that can happen to them.

mod course;
mod pass;
mod record;
mod rescuer;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::core::broker::Stream;
use crate::handler::{Bindings, Handler};
use crate::subject::Subject;
use crate::testing::Dice;
use crate::testing::journal::Journal;
use crate::testing::network::Network;
use crate::testing::network::wire::Wire;
use crate::testing::process::{Inlet, Process};
use crate::testing::weather::Weather;
use crate::testing::world::rescuer::Rescuer;
use crate::{Contract, Incoming, Outgoing, Source};

/// How long things go wrong.
const STORM: Duration = Duration::from_secs(60);
/// How long it may take after that until everything has come to its end.
const CALM_MAX: Duration = Duration::from_secs(3600);
/// How long after everything has come to its end somebody may still work on it.
const STRAGGLERS_MAX: Duration = Duration::from_secs(40);
/// How many inputs of one consumer may be out at a time.
const HELD_MAX: usize = 20_000;

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
    /// Functions that have no process for now, by index.
    down: BTreeSet<usize>,
    rescuers: Vec<Rescuer>,
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
    Arrive {
        subject: Subject,
        payload: Bytes,
    },
    Kill,
    Drain,
    Outage {
        lasts: Duration,
        acks_forgotten: usize,
    },
    Full,
    NotFull,
    /// A process stands still for a while, and then goes on.
    Stop {
        lasts: Duration,
    },
    /// The broker delivers everything again that is not acknowledged.
    Hurry,
    /// A stream takes nothing, and then takes everything again.
    Refuse(Stream),
    Accept(Stream),
    /// The process in this place is told to stop, and a little later the next one.
    Roll {
        slot: usize,
    },
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
        wire.server.full_takes_versions = dice.chance(500);
        let network = Arc::new(Network::new(wire));
        let mut world = Self {
            network,
            dice,
            functions: Vec::new(),
            slots: Vec::new(),
            processes: 0,
            plans: VecDeque::new(),
            turns: 0,
            down: BTreeSet::new(),
            rescuers: Vec::new(),
        };
        if world.dice.chance(800) {
            world.plan_accidents();
        }
        world
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
                    inlets.push(inlet(Stream::Audit, vec![Subject::from_broker("audit.>")], terms.batch));
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
        self.storm_until(STORM).await
    }

    /// Lets things go wrong until `moment`.
    ///
    /// # Errors
    /// Something happened that must never happen.
    pub async fn storm_until(&mut self, moment: Duration) -> Result<(), String> {
        self.drive(moment, |_| false).await.map(drop)
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
        let until = now + CALM_MAX;
        while self.drive(until, Self::is_idle).await? {
            // Those whose work others have done meanwhile come to their end too, and must do no harm.
            self.drive(self.network.now() + STRAGGLERS_MAX, |_| false).await?;
            if self.is_idle() {
                break;
            }
        }
        if !self.is_idle() {
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
        let now = self.network.now();
        let is_up = |process: &Process| process.life.stopped_until(now).is_none();
        if !self.slots.iter().filter_map(|slot| slot.process.as_ref()).all(is_up) {
            return false;
        }
        let mut wire = self.network.lock();
        self.plans.is_empty() && wire.is_quiet() && wire.server.is_idle()
    }

    pub(crate) fn take_journal(&self) -> Vec<String> {
        self.network.lock().journal.take()
    }
}
