//! Whoever looks after the functions of a world whose events expire: a job that begins now and again, and may die.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::core::broker::{Delivery, Stream};
use crate::core::rescue::{Backlog, ROUNDS_PER_HORIZON, Rescue};
use crate::memory::server::Receipt;
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::testing::World;
use crate::testing::network::connection::{Connection, Life};
use crate::testing::network::lane::NetworkLane;

/// How long it takes at most until a job that was killed is begun again.
const RESTART_MAX: Duration = Duration::from_secs(15);

/// The job for one function.
pub(super) struct Rescuer {
    function: usize,
    horizon: Duration,
    round: Option<Round>,
    starts_at: Duration,
}

/// One run of the job.
struct Round {
    life: Arc<Life>,
    is_over: Arc<AtomicBool>,
}

/// The events of one function.
struct Inlet {
    connection: Connection,
    consumer: usize,
}

impl Backlog<Receipt> for Inlet {
    type Lane = NetworkLane;

    async fn oldest(&self) -> Result<Option<Delivery<Receipt>>, Unavailable> {
        self.connection.step().await;
        let (now, mut wire) = (self.connection.network.now(), self.connection.network.lock());
        wire.server.expire(now);
        if wire.dice.chance(wire.weather.read_lost) {
            return Err(Unavailable("no answer".into()));
        }
        Ok(wire.server.oldest(self.consumer))
    }

    async fn open(&self) -> Result<NetworkLane, Unavailable> {
        Ok(NetworkLane::open(self.connection.clone(), self.consumer, usize::MAX))
    }
}

impl World {
    /// Events that come from now on expire after `horizon`. State does not, unless it says so.
    pub fn expire_after(&mut self, horizon: Duration) {
        self.network.lock().server.keep(Stream::Events, horizon);
    }

    /// Looks after every function that was put to work so far, as often as events that expire after `horizon` need it.
    pub fn rescue(&mut self, horizon: Duration) {
        let starts_at = self.network.now();
        let rescuer = |function| Rescuer { function, horizon, round: None, starts_at };
        self.rescuers = (0..self.functions.len()).map(rescuer).collect();
    }

    /// Ends every process of the function `name` until it is [brought up](Self::bring_up) again.
    pub fn take_down(&mut self, name: &str) {
        for (index, (bindings, _)) in self.functions.iter().enumerate() {
            if bindings.terms.name == name {
                self.down.insert(index);
                let processes = self.slots.iter().filter(|slot| slot.function == index);
                processes.filter_map(|slot| slot.process.as_ref()).for_each(|process| process.life.end());
            }
        }
    }

    /// Lets every function have processes again.
    pub fn bring_up(&mut self) {
        self.down.clear();
    }

    /// Begins the rounds that are due, and tells when the next one is.
    pub(super) fn rescue_what_is_due(&mut self, now: Duration) -> Option<Duration> {
        for rescuer in &mut self.rescuers {
            let is_over = |round: &mut Round| round.life.is_dead() || round.is_over.load(Ordering::Relaxed);
            if let Some(round) = rescuer.round.take_if(is_over) {
                self.network.lock().hang_up(round.life.number, self.dice.chance(500));
                let is_killed = round.life.is_dead();
                let (soon, later) = (self.dice.up_to(RESTART_MAX), rescuer.horizon / ROUNDS_PER_HORIZON);
                rescuer.starts_at = now + if is_killed { soon } else { later };
            }
            if rescuer.round.is_some() || rescuer.starts_at > now {
                continue;
            }
            let Some((bindings, inlets)) = self.functions.get(rescuer.function) else { continue };
            self.processes += 1;
            let life = Arc::new(Life::new(self.processes, bindings.terms.name, time::Duration::ZERO));
            let connection = Connection { network: Arc::clone(&self.network), life: Arc::clone(&life) };
            let is_over = Arc::new(AtomicBool::new(false));
            tokio::spawn({
                let (is_over, inlets) = (Arc::clone(&is_over), inlets.clone());
                let (function, horizon) = (bindings.terms.name, rescuer.horizon);
                async move {
                    for (consumer, stream, _) in inlets {
                        let rescue = Rescue::new(&connection, function, horizon);
                        match stream {
                            Stream::Events => {
                                let backlog = Inlet { connection: connection.clone(), consumer };
                                drop(rescue.events(&backlog).await);
                            }
                            // What could not be looked at is looked at in the next round.
                            Stream::Retry => {
                                drop(rescue.weed(stream, &Subject::any_retry(function)).await);
                            }
                            Stream::Intake => {
                                drop(rescue.weed(stream, &Subject::from_broker(">")).await);
                            }
                            Stream::DeadLetters | Stream::Audit => {}
                        }
                    }
                    is_over.store(true, Ordering::Relaxed);
                    connection.network.news.notify_one();
                }
            });
            rescuer.round = Some(Round { life, is_over });
        }
        let starts = self.rescuers.iter().filter(|rescuer| rescuer.round.is_none());
        starts.map(|rescuer| rescuer.starts_at).min()
    }
}
