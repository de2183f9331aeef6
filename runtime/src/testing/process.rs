//! A process in a simulation: one function at work, from its start until it has drained or is killed.

use std::future::poll_fn;
use std::panic::resume_unwind;
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
use crate::handler::{Bindings, Input, Invoke, Running, Takes};
use crate::state::State;
use crate::testing::Dice;
use crate::testing::death::unless_it_kills;
use crate::testing::network::Network;
use crate::testing::network::connection::{Connection, Life};
use crate::testing::network::lane::NetworkLane;
use crate::testing::weather::Weather;
use crate::testing::witness::Decision;
use crate::testing::witness::fate::Cause;

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
    /// Starts a process of a function that pulls from `inlets`.
    pub(crate) fn start(network: &Arc<Network>, life: Life, function: &Bindings, inlets: &[Inlet]) -> Self {
        let life = Arc::new(life);
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
            async move { engine.pulse.beat(&*engine.broker).await }
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
    inputs: Vec<(Input, Vec<Cause>)>,
    began: Instant,
    decision: Decision,
}

impl Watched {
    async fn run(&self, inputs: Vec<Input>, state: State) -> Result<Erased, Failure> {
        let mut run = self.begin(&inputs);
        self.before().await?;
        let result = unless_it_kills(&self.connection, self.handler.invoke(inputs, state)).await;
        self.after().await?;
        run.decision = Decision::of(&result);
        self.connection.step().await;
        result
    }

    async fn run_each(&self, inputs: Vec<Input>) -> Result<Vec<Result<Erased, Failure>>, Failure> {
        let mut runs: Vec<Run<'_>> =
            inputs.iter().map(|input| self.begin(std::slice::from_ref(input))).collect();
        self.before().await?;
        let results = unless_it_kills(&self.connection, self.handler.invoke_each(inputs)).await?;
        self.after().await?;
        for (run, result) in runs.iter_mut().zip(&results) {
            run.decision = Decision::of(result);
        }
        self.connection.step().await;
        Ok(results)
    }

    fn begin(&self, inputs: &[Input]) -> Run<'_> {
        let mut wire = self.connection.network.lock();
        let causes = |input: &Input| Cause::of_input(self.terms.name, &wire.server, input);
        let watched: Vec<_> = inputs.iter().map(|input| (input.clone(), causes(input))).collect();
        wire.witness.began(self.connection.life.number, &self.terms, &watched);
        Run { watched: self, inputs: watched, began: Instant::now(), decision: Decision::Failed }
    }

    /// What can go wrong before the handler has done anything.
    async fn before(&self) -> Result<(), Failure> {
        let (weather, dice) = self.weather();
        self.pause(dice.up_to(weather.work)).await;
        if dice.chance(weather.handler_fails) {
            return Err(Failure::retry("a fault before anything was done"));
        }
        if dice.chance(weather.handler_panics) {
            // Without the panic hook, which would print it.
            resume_unwind(Box::new("a fault that panics"));
        }
        Ok(())
    }

    /// What can go wrong after it has done everything.
    async fn after(&self) -> Result<(), Failure> {
        let (weather, dice) = self.weather();
        self.pause(dice.up_to(weather.work)).await;
        if dice.chance(weather.handler_hangs) {
            self.pause(self.terms.time_limit + HANG).await;
        }
        if dice.chance(weather.handler_fails_late) {
            return Err(Failure::retry("a fault after everything was done"));
        }
        Ok(())
    }

    fn weather(&self) -> (Weather, Dice) {
        let wire = self.connection.network.lock();
        (wire.weather, wire.dice.clone())
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
                    .map(|(input, _)| format!("{} ({})", input.subject, input.attempt))
                    .collect::<Vec<_>>()
                    .join(", ");
                format!("{life} ran {what}: {decision:?}")
            });
        }
    }
}

impl Decision {
    fn of(result: &Result<Erased, Failure>) -> Self {
        match result {
            Ok(effects) if effects.events.is_empty() && effects.writes.is_empty() => Self::Nothing,
            Ok(_) => Self::Something,
            // The state could not be read: that is no attempt.
            Err(Failure { verdict: Verdict::Release, .. }) => Self::Released,
            Err(_) => Self::Failed,
        }
    }
}

impl Watched {
    /// Stops for ever when the process is killed.
    fn mortal<'w, T>(&'w self, run: impl Future<Output = Result<T, Failure>> + Send + 'w) -> Running<'w, T> {
        let mut run = Box::pin(run);
        Box::pin(poll_fn(move |context| {
            if self.connection.life.is_dead() { Poll::Pending } else { run.as_mut().poll(context) }
        }))
    }
}

impl Invoke for Watched {
    fn takes(&self) -> Takes {
        self.handler.takes()
    }

    fn invoke(&self, inputs: Vec<Input>, state: State) -> Running<'_, Erased> {
        self.mortal(self.run(inputs, state))
    }

    fn invoke_each(&self, inputs: Vec<Input>) -> Running<'_, Vec<Result<Erased, Failure>>> {
        self.mortal(self.run_each(inputs))
    }
}
