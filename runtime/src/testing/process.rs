//! A process in a simulation: one function at work, from its start until it has drained or is killed.

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Terms;
use crate::core::broker::Stream;
use crate::core::engine::Engine;
use crate::core::intake::pull;
use crate::effects::Erased;
use crate::failure::{Failure, Verdict};
use crate::handler::{Bindings, Input, Invoke, Running};
use crate::memory::server::consumer::ACK_WAIT;
use crate::state::State;
use crate::testing::network::Network;
use crate::testing::network::connection::{Connection, Life};
use crate::testing::network::lane::NetworkLane;
use crate::testing::witness::Decision;

/// How much longer than its limit a handler takes that hangs.
const HANG: Duration = Duration::from_secs(5);

/// How much later than at its limit a handler may be stopped: clocks tick in milliseconds.
const LIMIT_SLACK: Duration = Duration::from_millis(5);

/// A consumer's number, its stream, and how many of its inputs one process holds at most.
pub(crate) type Inlet = (usize, Stream, usize);

/// A process.
pub(crate) struct Process {
    pub(crate) life: Arc<Life>,
    drain: CancellationToken,
    has_exited: Arc<AtomicBool>,
}

impl Process {
    /// Starts the process `number` of a function that pulls from `inlets`.
    pub(crate) fn start(network: &Arc<Network>, number: u32, function: &Bindings, inlets: &[Inlet]) -> Self {
        let life = Arc::new(Life::new(number, function.terms.name));
        let connection = Connection { network: Arc::clone(network), life: Arc::clone(&life) };
        let watched = Bindings {
            terms: function.terms,
            handler: Arc::new(Watched {
                terms: function.terms,
                handler: Arc::clone(&function.handler),
                connection: connection.clone(),
            }),
        };
        let drain = CancellationToken::new();
        let (engine, publishing) = Engine::new(watched, Arc::new(connection.clone()), drain.clone());
        let publishing = tokio::spawn(publishing);
        let pulse = tokio::spawn({
            let engine = Arc::clone(&engine);
            async move { engine.pulse.beat(&*engine.broker, ACK_WAIT / 3).await }
        });
        let lanes = TaskTracker::new();
        for &(consumer, stream, most) in inlets {
            let lane = NetworkLane::open(connection.clone(), consumer, most);
            lanes.spawn(pull(Arc::clone(&engine), lane, stream, most));
        }
        lanes.close();
        let has_exited = Arc::new(AtomicBool::new(false));
        tokio::spawn({
            let has_exited = Arc::clone(&has_exited);
            async move {
                lanes.wait().await;
                pulse.abort();
                publishing.abort();
                has_exited.store(true, Ordering::Relaxed);
                connection.network.news.notify_one();
            }
        });
        Self { life, drain, has_exited }
    }

    /// Tells the process to stop.
    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    /// Whether it has stopped after that.
    pub(crate) fn has_exited(&self) -> bool {
        self.has_exited.load(Ordering::Relaxed)
    }
}

/// A handler whose runs are watched, some of which fail, and which stops for ever when its process is killed.
struct Watched {
    terms: Terms,
    handler: Arc<dyn Invoke>,
    connection: Connection,
}

/// A run under way; one that does not end is one that failed.
struct Run<'w> {
    watched: &'w Watched,
    inputs: Vec<Input>,
    began: Instant,
    decision: Decision,
}

impl Watched {
    async fn run(&self, inputs: Vec<Input>, state: State) -> Result<Erased, Failure> {
        let network = &self.connection.network;
        let (weather, dice, mut run) = {
            let mut wire = network.lock();
            wire.witness.began(self.connection.life.number, &self.terms, &inputs);
            let run = Run {
                watched: self,
                inputs: inputs.clone(),
                began: Instant::now(),
                decision: Decision::Failed,
            };
            (wire.weather, wire.dice.clone(), run)
        };
        self.pause(dice.up_to(weather.work)).await;
        if dice.chance(weather.handler_fails) {
            return Err(Failure::retry("a fault before anything was done"));
        }
        if dice.chance(weather.handler_panics) {
            // Without the panic hook, which would print it.
            resume_unwind(Box::new("a fault that panics"));
        }
        let result = self.handler.invoke(inputs, state).await;
        self.pause(dice.up_to(weather.work)).await;
        if dice.chance(weather.handler_hangs) {
            self.pause(self.terms.time_limit + HANG).await;
        }
        if dice.chance(weather.handler_fails_late) {
            return Err(Failure::retry("a fault after everything was done"));
        }
        run.decision = match &result {
            Ok(effects) if effects.events.is_empty() && effects.writes.is_empty() => Decision::Nothing,
            Ok(_) => Decision::Something,
            // The state could not be read: that is no attempt.
            Err(Failure { verdict: Verdict::Release, .. }) => Decision::Released,
            Err(_) => Decision::Failed,
        };
        self.connection.step().await;
        result
    }

    async fn pause(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        self.connection.step().await;
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let Connection { network, life } = &self.watched.connection;
        if !life.is_dead() {
            let (now, mut wire) = (network.now(), network.lock());
            let Self { watched: Watched { terms, .. }, inputs, began, decision } = self;
            if began.elapsed() > terms.time_limit + LIMIT_SLACK {
                wire.witness.object(format!("{life} has run a handler for {:?}", began.elapsed()));
            }
            wire.witness.ended(life.number, terms, inputs, *decision);
            wire.journal.note(now, || {
                let what = inputs
                    .iter()
                    .map(|i| format!("{} ({})", i.subject, i.attempt))
                    .collect::<Vec<_>>()
                    .join(", ");
                format!("{life} ran {what}: {decision:?}")
            });
        }
    }
}

impl Invoke for Watched {
    fn invoke(&self, inputs: Vec<Input>, state: State) -> Running<'_, Erased> {
        let mut run: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(self.run(inputs, state));
        Box::pin(poll_fn(move |context| {
            if self.connection.life.is_dead() { Poll::Pending } else { run.as_mut().poll(context) }
        }))
    }
}
