//! The life of a batch whose inputs each have their own outcome: one run of the handler, and then each for itself.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::core::breaker::Health;
use crate::core::broker::{Broker, Delivery};
use crate::core::engine::{Engine, RERUNS_MAX};
use crate::core::inbound::Inbound;
use crate::core::isolation;
use crate::core::judge::{Disposition, health};
use crate::core::keys::Turn;
use crate::core::life::{answer, bounded, concluded, judged, planned, reject, settle};
use crate::core::seat::Seat;
use crate::effects::Erased;
use crate::failure::Failure;
use crate::telemetry::spans;

/// An input of a batch.
struct Item<R> {
    delivery: Delivery<R>,
    inbound: Inbound,
    span: Span,
    came: Instant,
}

/// Takes `deliveries`, oldest first, against which nothing speaks, from their arrival to the answers to the broker.
///
/// Those of one aggregate run one after the other, in their order, so in several runs; and so does what has to wait for
/// somebody else's turn with its aggregate. The others are not held up by that.
pub(crate) async fn live_each<B: Broker>(engine: Arc<Engine<B>>, deliveries: Vec<Delivery<B::Receipt>>) {
    let _held: Vec<_> =
        deliveries.iter().map(|delivery| engine.pulse.hold(delivery.receipt.clone())).collect();
    let mut items: Vec<Option<Item<B::Receipt>>> = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        if delivery.is_receipt() {
            engine.broker.ack(&delivery.receipt).await;
            continue;
        }
        match Inbound::read(&engine.terms, &delivery) {
            Ok(mut inbound) => {
                let span = spans::process(&engine.terms, &mut inbound);
                items.push(Some(Item { delivery, inbound, span, came: Instant::now() }));
            }
            Err(unreadable) => {
                let disposition = reject(&engine, &delivery, unreadable).await;
                answer(&*engine.broker, &delivery, &disposition).await;
            }
        }
    }
    // A place in each line at once, and no line is waited for while a turn in another is held: nobody waits in a circle.
    let mut turns: FuturesUnordered<_> = items
        .iter()
        .flatten()
        .map(|item| engine.keys.line_up(&item.inbound.cause.aggregate_id))
        .enumerate()
        .map(|(at, place)| place.turn().map(move |turn| (at, turn)))
        .collect();
    while let Some(first) = before_drain(&engine, turns.next()).await.flatten() {
        let mut round: Vec<(usize, Turn)> = vec![first];
        while round.len() < engine.terms.concurrency
            && let Some(Some(next)) = turns.next().now_or_never()
        {
            round.push(next);
        }
        round.sort_by_key(|(at, _)| *at);
        let Some(_slots) = before_drain(&engine, engine.seats.take_many(round.len())).await else { break };
        let now: Vec<_> = round.iter().filter_map(|(at, _)| items.get_mut(*at)?.take()).collect();
        attempt(&engine, now).await;
        // The turns and the slots are over here, once everything is settled.
        drop(round);
    }
    let stopping = || Disposition::Release { after: Duration::ZERO, why: "the process is stopping".into() };
    join_all(items.iter().flatten().map(|item| finish(&engine, item, stopping()))).await;
}

/// What `waiting` gives, unless the process is to stop first.
async fn before_drain<B: Broker, T>(engine: &Engine<B>, waiting: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = engine.drain.cancelled() => None,
        given = waiting => Some(given),
    }
}

/// Runs the handler once on all of `items`, and then sees to each by itself. Their commits meet in a group.
async fn attempt<B: Broker>(engine: &Engine<B>, items: Vec<Item<B::Receipt>>) {
    let Some(first) = items.first() else { return };
    let Some(pass) = engine.breaker.pass(&first.inbound.cause).await else {
        let after = engine.breaker.rest();
        let open = || Disposition::Release { after, why: "the circuit breaker is open".into() };
        join_all(items.iter().map(|item| finish(engine, item, open()))).await;
        return;
    };
    let inputs = items.iter().map(|item| item.inbound.input.clone()).collect();
    let ran = bounded(engine.terms.time_limit, engine.handler.invoke_each(inputs)).await;
    let now = engine.broker.now();
    let last_after = items.iter().find_map(|item| item.inbound.last_attempt_after(&engine.terms, now));
    let rest = engine.breaker.tell(pass, health_of(&ran, last_after)).await;
    let outcomes = match ran {
        Ok(outcomes) => outcomes,
        // The run as a whole failed, so each of them did.
        Err(Failure { verdict, error }) => {
            items.iter().map(|_| Err(Failure { verdict, error: error.clone() })).collect()
        }
    };
    let each = items.iter().zip(outcomes).map(async |(item, outcome)| {
        let disposition = conclude(engine, &item.inbound, outcome, rest).instrument(item.span.clone()).await;
        finish(engine, item, disposition).await;
    });
    join_all(each).await;
}

/// What a run tells of the function's dependency: one that does not answer for an input does not answer.
fn health_of(ran: &Result<Vec<Result<Erased, Failure>>, Failure>, last_after: Option<Duration>) -> Health {
    let Ok(outcomes) = ran else { return health(ran, last_after) };
    let each = outcomes.iter().map(|outcome| health(outcome, last_after));
    each.fold(Health::Unknown, |all, one| match (all, one) {
        (Health::Down(outage), _) | (_, Health::Down(outage)) => Health::Down(outage),
        (Health::Up, _) | (_, Health::Up) => Health::Up,
        _ => Health::Unknown,
    })
}

/// Commits the effects of one input. They were decided without looking at state, so they hold on whatever it is.
async fn conclude<B: Broker>(
    engine: &Engine<B>,
    inbound: &Inbound,
    outcome: Result<Erased, Failure>,
    rest: Option<Duration>,
) -> Disposition {
    let effects = match outcome {
        Ok(effects) => effects,
        Err(failure) => return judged(engine, inbound, failure, rest),
    };
    for _ in 0..RERUNS_MAX {
        let state = engine.view();
        let (plan, reads) = match planned(engine, inbound, effects.clone(), &state).await {
            Ok(ready) => ready,
            Err(failure) => return judged(engine, inbound, failure, None),
        };
        if let Some(disposition) = concluded(engine.commit(plan, reads, &mut Seat::default()).await) {
            return disposition;
        }
    }
    let why = format_args!("its state changed during {RERUNS_MAX} commits");
    judged(engine, inbound, Failure::retry(why), None)
}

/// Makes what follows durable, and answers the broker.
async fn finish<B: Broker>(engine: &Engine<B>, item: &Item<B::Receipt>, disposition: Disposition) {
    let Item { delivery, inbound, span, came } = item;
    let settled = async {
        let disposition = settle(engine, delivery, inbound, disposition).await;
        // It has killed nobody: it is trusted when it comes again.
        if matches!(disposition, Disposition::Release { .. }) {
            isolation::give_back(engine, delivery, inbound).await;
        }
        engine.meter.handled(inbound, &disposition, came.elapsed(), engine.broker.now());
        disposition
    };
    let disposition = settled.instrument(span.clone()).await;
    answer(&*engine.broker, delivery, &disposition).await;
}

#[cfg(test)]
mod tests;
