//! The life of a message, from top to bottom: read, wait for its turn, run, commit, and answer the broker.
//!
//! Each input is a task, and a task is moved in memory as it is made: what happens seldom is boxed, so that it takes no
//! room where it does not happen.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;
use tracing::Instrument;

use crate::core::broker::{Broker, Delivery};
use crate::core::commit::{Plan, plan};
use crate::core::dead_letter::{Burial, NotBuried, bury, bury_unreadable};
use crate::core::engine::{Engine, FULL_DELAY, RELEASE_DELAY, RERUNS_MAX};
use crate::core::group::Outcome;
use crate::core::inbound::{Inbound, Unreadable};
use crate::core::isolation::{self, Standing, Suspect, standing};
use crate::core::judge::{Disposition, health, judge};
use crate::core::schedule::{NotScheduled, schedule};
use crate::core::seat::{Credit, Seat};
use crate::effects::Erased;
use crate::failure::{Failure, Reason, chain};
use crate::state::State;
use crate::subject::Subject;
use crate::telemetry::spans;

/// Takes `delivery` from its arrival to the answer to the broker; `credit` is what it takes of its lane's.
pub(crate) async fn live<B: Broker>(
    engine: Arc<Engine<B>>,
    delivery: Delivery<B::Receipt>,
    mut credit: Option<Credit>,
) {
    if delivery.is_receipt() {
        return engine.broker.ack(&delivery.receipt).await;
    }
    let _held = engine.pulse.hold(delivery.receipt.clone());
    let disposition = match Inbound::read(&engine.terms, &delivery) {
        Ok(mut inbound) => {
            let span = spans::process(&engine.terms, &mut inbound);
            async {
                let began = Instant::now();
                let disposition = if engine.isolation.trusts(&delivery) {
                    trusted(&engine, &delivery, &inbound, credit.as_mut()).await
                } else {
                    Box::pin(again(&engine, &delivery, &inbound, credit.as_mut())).await
                };
                engine.meter.handled(&inbound, &disposition, began.elapsed(), engine.broker.now());
                disposition
            }
            .instrument(span)
            .await
        }
        Err(unreadable) => Box::pin(reject(&engine, &delivery, unreadable)).await,
    };
    answer(&*engine.broker, &delivery, &disposition).await;
}

/// Handles an input that came again: the broker is asked what came of it before.
async fn again<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
    credit: Option<&mut Credit>,
) -> Disposition {
    match standing(engine, delivery, inbound).await {
        Standing::Trusted => trusted(engine, delivery, inbound, credit).await,
        Standing::Suspect(suspect) => alone(engine, delivery, inbound, *suspect).await,
        Standing::Decided(decided) => settle(engine, delivery, inbound, decided).await,
    }
}

/// Handles an input against which nothing speaks. If it is given back, that is recorded: it is trusted when it comes again.
async fn trusted<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
    credit: Option<&mut Credit>,
) -> Disposition {
    let disposition = handle(engine, inbound, credit).await;
    if let Disposition::Ack { .. } = disposition {
        return disposition;
    }
    Box::pin(async {
        let disposition = settle(engine, delivery, inbound, disposition).await;
        if matches!(disposition, Disposition::Release { .. }) {
            isolation::give_back(engine, delivery, inbound).await;
        }
        disposition
    })
    .await
}

/// Waits until nothing runs in this process, and attempts an input that may have killed one. Nothing else runs until the
/// broker knows that it came back.
async fn alone<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
    suspect: Suspect,
) -> Disposition {
    let place = engine.keys.line_up(&inbound.cause.aggregate_id);
    let turn_and_seats = async { (place.turn().await, engine.seats.take_all().await) };
    tokio::select! {
        biased;
        () = engine.drain.cancelled() => stopping(),
        (_turn, _seats) = turn_and_seats => {
            let lone = match suspect.begin(engine).await {
                Ok(lone) => lone,
                Err(disposition) => return disposition,
            };
            let disposition = attempt(engine, inbound, &mut Seat::default(), Some(lone.reruns_until)).await;
            let disposition = settle(engine, delivery, inbound, disposition).await;
            lone.end(engine, &disposition).await;
            disposition
        }
    }
}

/// Waits for the input's turn and for a slot, and attempts it; gives it back if the process is to stop first.
pub(crate) async fn handle<B: Broker>(
    engine: &Engine<B>,
    inbound: &Inbound,
    credit: Option<&mut Credit>,
) -> Disposition {
    let place = engine.keys.line_up(&inbound.cause.aggregate_id);
    let turn_and_seat = async { (place.turn().await, engine.seats.take(credit).await) };
    tokio::select! {
        biased;
        () = engine.drain.cancelled() => stopping(),
        (_turn, mut seat) = turn_and_seat => attempt(engine, inbound, &mut seat, None).await,
    }
}

fn stopping() -> Disposition {
    Disposition::Release { after: Duration::ZERO, why: "the process is stopping".into() }
}

/// Runs the handler and commits its effects, again as long as the state that it read has changed meanwhile; with
/// `reruns_until`, not after that.
async fn attempt<'e, B: Broker>(
    engine: &'e Engine<B>,
    inbound: &Inbound,
    seat: &mut Seat<'e>,
    reruns_until: Option<Instant>,
) -> Disposition {
    let judged = |failure, rest| judged(engine, inbound, failure, rest);
    // What a run has read stays at hand for the next one, so that it decides at once, before it changes again.
    let mut _before: Option<State> = None;
    for rerun in 0..RERUNS_MAX {
        if rerun > 0 && reruns_until.is_some_and(|until| Instant::now() >= until) {
            return release("its state keeps changing".into());
        }
        let Some(pass) = engine.breaker.pass(&inbound.cause).await else {
            // Until the probe: sooner it would only be given back again.
            let after = engine.breaker.rest();
            return Disposition::Release { after, why: "the circuit breaker is open".into() };
        };
        let state = engine.view();
        let ran = run(engine, inbound, state.clone()).await;
        let last_after = inbound.last_attempt_after(&engine.terms, engine.broker.now());
        let rest = engine.breaker.tell(pass, health(&ran, last_after)).await;
        let (plan, reads) = match ran {
            Ok(ready) => ready,
            // To give up is a decision too: not on state that has not come true, or is no more.
            Err(failure) if failure.is_final() => match Box::pin(engine.confirm(state.reads())).await {
                Outcome::Stale => {
                    _before = Some(state);
                    continue;
                }
                Outcome::Unavailable(why) => return Disposition::Release { after: RELEASE_DELAY, why },
                _ => return judged(failure, None),
            },
            Err(failure) => return judged(failure, rest),
        };
        match concluded(engine.commit(plan, reads, seat).await) {
            Some(disposition) => return disposition,
            None => _before = Some(state),
        }
        Box::pin(seat.come_back(&engine.seats)).await;
    }
    judged(Failure::retry(format_args!("its state changed during {RERUNS_MAX} runs")), None)
}

/// What follows from `failure`; `rest` as the breaker told it.
pub(crate) fn judged<B: Broker>(
    engine: &Engine<B>,
    inbound: &Inbound,
    failure: Failure,
    rest: Option<Duration>,
) -> Disposition {
    let seed = engine.broker.now().unix_timestamp_nanos().unsigned_abs() as u64 ^ inbound.input.sequence;
    judge(failure, inbound.input.attempt, &engine.terms.retry, seed, rest)
}

/// What follows from what became of a commit; nothing if its state has changed, so that it has to be decided again.
pub(crate) fn concluded(outcome: Outcome) -> Option<Disposition> {
    Some(match outcome {
        Outcome::Committed => Disposition::Ack { already: false },
        Outcome::Already => Disposition::Ack { already: true },
        Outcome::Stale => return None,
        Outcome::Dead(reason) => {
            let error = "an earlier run gave it up, and did not come to the end of that".into();
            Disposition::DeadLetter { reason, error }
        }
        Outcome::Exists(subject) => {
            let error = format!("there is already {subject}");
            Disposition::DeadLetter { reason: Reason::AlreadyExists, error }
        }
        Outcome::Full => {
            Disposition::Release { after: FULL_DELAY, why: "the stream of events is full".into() }
        }
        Outcome::Unavailable(why) => Disposition::Release { after: RELEASE_DELAY, why },
    })
}

/// Runs the handler once, within its time and with panics caught, and plans the commit of its effects.
async fn run<B: Broker>(
    engine: &Engine<B>,
    inbound: &Inbound,
    state: State,
) -> Result<(Plan, Vec<(Subject, u64)>), Failure> {
    let handler = engine.handler.invoke(vec![inbound.input.clone()], state.clone());
    let effects = bounded(engine.terms.time_limit, handler).await?;
    planned(engine, inbound, effects, &state).await
}

/// Plans the commit of `effects`, on what `state` has read and on what they write.
pub(crate) async fn planned<B: Broker>(
    engine: &Engine<B>,
    inbound: &Inbound,
    effects: Erased,
    state: &State,
) -> Result<(Plan, Vec<(Subject, u64)>), Failure> {
    let written =
        effects.writes.iter().map(|write| Subject::of_state(engine.terms.name, write.kind, &write.key));
    state.read_before_write(written.collect()).await?;
    let plan = plan(&inbound.cause, effects, engine.broker.now(), engine.broker.message_bytes_max())?;
    Ok((plan, state.reads()))
}

/// What `handler` gives, unless it panics or takes longer than `limit`.
pub(crate) async fn bounded<T>(
    limit: Duration,
    handler: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, AssertUnwindSafe(handler).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Failure::retry(format_args!("the handler panicked: {text}")))
        }
        // What it waits for is most likely a dependency that does not answer.
        Err(_) => Err(Failure::unanswered(format_args!("the handler took longer than {limit:?}"))),
    }
}

/// Makes a retry or a dead letter durable. What could not be made so is given back instead: nothing is lost.
pub(crate) async fn settle<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
    disposition: Disposition,
) -> Disposition {
    match &disposition {
        Disposition::Retry { after, error } => {
            match schedule(&*engine.broker, delivery, inbound, *after, error).await {
                Ok(()) => disposition,
                Err(NotScheduled::TooLarge(too_large)) => {
                    let error = format!("{error}; it cannot be tried again: {too_large}");
                    inter(engine, delivery, inbound, Reason::AttemptsExhausted, error).await
                }
                Err(cause) => release(format!("the retry could not be scheduled: {}", chain(&cause))),
            }
        }
        Disposition::DeadLetter { reason, error } => {
            inter(engine, delivery, inbound, *reason, error.clone()).await
        }
        Disposition::Ack { .. } | Disposition::Release { .. } => disposition,
    }
}

async fn inter<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
    reason: Reason,
    error: String,
) -> Disposition {
    let burial = bury(&*engine.broker, delivery, inbound, reason, &error).await;
    buried(burial, Disposition::DeadLetter { reason, error })
}

/// Buries what is not an event, or none that this function knows.
pub(crate) async fn reject<B: Broker>(
    engine: &Engine<B>,
    delivery: &Delivery<B::Receipt>,
    unreadable: Unreadable,
) -> Disposition {
    let Unreadable { reason, error } = unreadable;
    let burial = bury_unreadable(&*engine.broker, delivery, engine.terms.name, reason, &error).await;
    let disposition = buried(burial, Disposition::DeadLetter { reason, error });
    engine.meter.unreadable(delivery.subject.as_str(), &disposition);
    disposition
}

fn buried(burial: Result<Burial, NotBuried>, disposition: Disposition) -> Disposition {
    match burial {
        Ok(Burial::Buried) => disposition,
        Ok(Burial::Committed) => Disposition::Ack { already: true },
        Err(error) => release(chain(&error)),
    }
}

const fn release(why: String) -> Disposition {
    Disposition::Release { after: RELEASE_DELAY, why }
}

/// Tells the broker what became of the input.
pub(crate) async fn answer<B: Broker>(
    broker: &B,
    delivery: &Delivery<B::Receipt>,
    disposition: &Disposition,
) {
    match disposition {
        Disposition::Ack { .. } | Disposition::Retry { .. } | Disposition::DeadLetter { .. } => {
            broker.ack(&delivery.receipt).await;
        }
        Disposition::Release { after, .. } => broker.give_back(&delivery.receipt, *after).await,
    }
}
