//! The life of a batch: several inputs, one run of the handler, one commit, one answer each.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use crate::core::broker::{Broker, Delivery};
use crate::core::commit::plan_batch;
use crate::core::engine::{Engine, RELEASE_DELAY, RERUNS_MAX};
use crate::core::group::Outcome;
use crate::core::inbound::Inbound;
use crate::core::isolation::{Lone, Standing, give_back_unread, standing};
use crate::core::judge::Disposition;
use crate::core::life::{answer, bounded};
use crate::core::seat::Seat;
use crate::failure::{Failure, Verdict};
use crate::subject::Subject;
use crate::telemetry::spans;

/// Takes `deliveries`, oldest first, from their arrival to the answers to the broker: those against which nothing speaks
/// together, and each that may have killed its process in a batch of its own. What has not begun when the process is to
/// stop is given back.
pub(crate) async fn live_batch<B: Broker>(engine: Arc<Engine<B>>, mut deliveries: Vec<Delivery<B::Receipt>>) {
    let _held: Vec<_> =
        deliveries.iter().map(|delivery| engine.pulse.hold(delivery.receipt.clone())).collect();
    deliveries.sort_by_key(|delivery| delivery.sequence);
    let mut trusted = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        if delivery.is_receipt() {
            engine.broker.ack(&delivery.receipt).await;
        } else if engine.drain.is_cancelled() {
            // One by one takes long, and nothing of this has begun.
            give_back_unread(&engine, &delivery).await;
        } else if engine.isolation.trusts(&delivery) {
            trusted.push(delivery);
        } else {
            together(&engine, std::mem::take(&mut trusted), None).await;
            by_itself(&engine, delivery).await;
        }
    }
    together(&engine, trusted, None).await;
}

/// Takes one input that came again from its arrival to the answer.
async fn by_itself<B: Broker>(engine: &Engine<B>, delivery: Delivery<B::Receipt>) {
    let mut inbound = Inbound::record(&engine.terms, &delivery);
    let span = spans::process(&engine.terms, &mut inbound);
    let disposition = async {
        let suspect = match standing(engine, &delivery, &inbound).await {
            Standing::Trusted => return Ok(None),
            Standing::Suspect(suspect) => suspect,
            Standing::Decided(disposition) => return Err(disposition),
        };
        suspect.begin(engine).await.map(Some)
    };
    // Nothing else runs here but what comes over HTTP.
    let _seats = engine.seats.take_all().await;
    match disposition.instrument(span).await {
        Ok(lone) => together(engine, vec![delivery], lone).await,
        Err(disposition) => {
            engine.meter.handled(&inbound, &disposition, Duration::ZERO, engine.broker.now());
            answer(&*engine.broker, &delivery, &disposition).await;
        }
    }
}

/// Takes `deliveries`, in their order, through one run of the handler to the answers; `lone` is that run if it is alone.
async fn together<B: Broker>(engine: &Engine<B>, deliveries: Vec<Delivery<B::Receipt>>, lone: Option<Lone>) {
    let mut inbound: Vec<Inbound> =
        deliveries.iter().map(|delivery| Inbound::record(&engine.terms, delivery)).collect();
    let Some(first) = inbound.first_mut() else { return };
    let span = spans::process(&engine.terms, first);
    let began = Instant::now();
    let mut covered = u64::MAX;
    let disposition = attempt(engine, &inbound, &mut covered).instrument(span).await;
    let behind =
        Disposition::Release { after: RELEASE_DELAY, why: "what comes before it has yet to come".into() };
    let disposition_of = |sequence| if sequence <= covered { &disposition } else { &behind };
    if let Some(lone) = lone {
        lone.end(engine, &disposition).await;
    }
    let now = engine.broker.now();
    for inbound in &inbound {
        engine.meter.handled(inbound, disposition_of(inbound.input.sequence), began.elapsed(), now);
    }
    for delivery in &deliveries {
        // Whatever has run and come back is trusted when it comes again.
        if matches!(disposition_of(delivery.sequence), Disposition::Release { .. }) {
            engine.isolation.remember(delivery);
        }
        answer(&*engine.broker, delivery, disposition_of(delivery.sequence)).await;
    }
}

/// Runs the handler and commits its effects. Inputs behind the sequence `covered` are not among those that it covers.
async fn attempt<B: Broker>(engine: &Engine<B>, inbound: &[Inbound], covered: &mut u64) -> Disposition {
    for _ in 0..RERUNS_MAX {
        match run(engine, inbound).await {
            Ok((Outcome::Committed | Outcome::Already, upto)) => {
                *covered = upto;
                return Disposition::Ack { already: false };
            }
            Ok((Outcome::Stale, _)) => {}
            Ok((Outcome::Unavailable(why), _)) => return Disposition::Release { after: RELEASE_DELAY, why },
            Ok((outcome @ (Outcome::Full | Outcome::Exists(_) | Outcome::Dead(_)), _)) => {
                return Disposition::Release { after: RELEASE_DELAY, why: format!("{outcome:?}") };
            }
            // A trail has no holes: a batch that fails is given back whole, and comes again in order.
            Err(Failure { verdict, error }) => {
                let after = match verdict {
                    Verdict::Retry { after: Some(after) } | Verdict::Outage { after: Some(after) } => after,
                    Verdict::Retry { after: None }
                    | Verdict::Outage { after: None }
                    | Verdict::Release
                    | Verdict::Reject(_) => RELEASE_DELAY,
                };
                return Disposition::Release { after, why: error };
            }
        }
    }
    Disposition::Release { after: Duration::ZERO, why: "its state keeps changing".into() }
}

/// What became of the effects, and the last input that they cover.
async fn run<B: Broker>(engine: &Engine<B>, inbound: &[Inbound]) -> Result<(Outcome, u64), Failure> {
    let Some(first) = inbound.first() else { return Ok((Outcome::Committed, u64::MAX)) };
    let state = engine.view();
    let inputs = inbound.iter().map(|inbound| inbound.input.clone()).collect();
    let effects = bounded(engine.terms.time_limit, engine.handler.invoke(inputs, state.clone())).await?;
    let upto = effects.upto.unwrap_or(u64::MAX);
    let written =
        effects.writes.iter().map(|write| Subject::of_state(engine.terms.name, write.kind, &write.key));
    state.read_before_write(written.collect()).await?;
    let plan = plan_batch(&first.cause, effects, engine.broker.now(), engine.broker.message_bytes_max())?;
    Ok((engine.commit(plan, state.reads(), &mut Seat::default()).await, upto))
}
