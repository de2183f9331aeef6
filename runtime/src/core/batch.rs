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
use crate::core::judge::Disposition;
use crate::core::life::{answer, bounded};
use crate::failure::{Failure, Verdict};
use crate::subject::Subject;
use crate::telemetry::spans;

/// Takes `deliveries`, oldest first, from their arrival to the answers to the broker.
pub(crate) async fn live_batch<B: Broker>(engine: Arc<Engine<B>>, deliveries: Vec<Delivery<B::Receipt>>) {
    let _held: Vec<_> =
        deliveries.iter().map(|delivery| engine.pulse.hold(delivery.receipt.clone())).collect();
    let mut inbound: Vec<Inbound> =
        deliveries.iter().map(|delivery| Inbound::record(&engine.terms, delivery)).collect();
    inbound.sort_by_key(|inbound| inbound.input.sequence);
    let Some(first) = inbound.first_mut() else { return };
    let span = spans::process(&engine.terms, first);
    let began = Instant::now();
    let mut covered = u64::MAX;
    let disposition = attempt(&engine, &inbound, &mut covered).instrument(span).await;
    let behind =
        Disposition::Release { after: RELEASE_DELAY, why: "what comes before it has yet to come".into() };
    let disposition_of = |sequence| if sequence <= covered { &disposition } else { &behind };
    let now = engine.broker.now();
    for inbound in &inbound {
        engine.meter.handled(inbound, disposition_of(inbound.input.sequence), began.elapsed(), now);
    }
    for delivery in &deliveries {
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
    Ok((engine.commit(plan, state.reads()).await, upto))
}
