//! The broker of a function that has none: nothing is there, and nothing is stored.

use std::time::Duration;

use time::OffsetDateTime;

use crate::core::broker::{Broker, Message, PublishError, Stored, Stream};
use crate::core::commit::plan;
use crate::core::engine::Engine;
use crate::core::inbound::Inbound;
use crate::core::judge::{Disposition, health};
use crate::core::life::{bounded, judged};
use crate::sequel::Sequel;
use crate::sink::post::Post;
use crate::state::Unavailable;
use crate::subject::Subject;

/// The most bytes of an event: what Knative's brokers take, and JetStream's as it comes.
const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// How long whoever sent the input should wait until it is sent again, if the sink has not taken what followed from it.
const AGAIN_DELAY: Duration = Duration::from_secs(1);

/// No streams, and a sink for what would be in them.
pub(crate) struct Nowhere {
    pub(crate) post: Post,
}

impl Broker for Nowhere {
    type Receipt = ();

    /// Only the record of a circuit breaker would be written: each process has its own here.
    async fn publish(&self, _: Stream, _: Vec<Message>) -> Result<u64, PublishError> {
        Err(PublishError::Rejected("there is no stream".into()))
    }

    async fn last(&self, _: Stream, _: &Subject) -> Result<Option<Stored>, Unavailable> {
        Ok(None)
    }

    async fn last_at_leader(&self, _: Stream, _: &Subject) -> Result<Option<Stored>, Unavailable> {
        Ok(None)
    }

    async fn ack(&self, (): &()) {}

    async fn give_back(&self, (): &(), _: Duration) {}

    async fn in_progress(&self, (): &()) {}

    fn message_bytes_max(&self) -> usize {
        EVENT_BYTES_MAX
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

impl Sequel for Nowhere {
    async fn at(&self, _: Stream, _: u64) -> Result<Option<Stored>, Unavailable> {
        Ok(None)
    }

    /// Waits for the input's turn and for a slot, runs the handler, and sends what it emits. The ids are those that a commit
    /// would give, so that the same input again sends the same ones.
    async fn handle(engine: &Engine<Self>, inbound: &Inbound) -> Disposition {
        let place = engine.keys.line_up(&inbound.cause.aggregate_id);
        let turn_and_slot = async { (place.turn().await, engine.seats.take(None).await) };
        let (_turn, _slot) = tokio::select! {
            biased;
            () = engine.drain.cancelled() => {
                return Disposition::Release { after: Duration::ZERO, why: "the process is stopping".into() };
            }
            both = turn_and_slot => both,
        };
        let Some(pass) = engine.breaker.pass(&inbound.cause).await else {
            let after = engine.breaker.rest();
            return Disposition::Release { after, why: "the circuit breaker is open".into() };
        };
        let handler = engine.handler.invoke(vec![inbound.input.clone()], engine.view());
        let ran = bounded(engine.terms.time_limit, handler).await;
        let last_after = inbound.last_attempt_after(&engine.terms, engine.broker.now());
        let rest = engine.breaker.tell(pass, health(&ran, last_after)).await;
        let planned = ran.and_then(|effects| {
            plan(&inbound.cause, effects, engine.broker.now(), engine.broker.message_bytes_max())
        });
        match planned {
            Err(failure) => judged(engine, inbound, failure, rest),
            Ok(plan) => match engine.broker.post.all(plan.events).await {
                Ok(()) => Disposition::Ack { already: false },
                Err(error) => Disposition::Retry { after: AGAIN_DELAY, error: error.to_string() },
            },
        }
    }
}
