//! A failed attempt on its way back: a message that waits in the broker and comes up when it is due.

use std::time::Duration;

use crate::core::broker::{Broker, Delivery, Expect, Message, PublishError, Schedule, Stream};
use crate::core::commit::provenance;
use crate::core::inbound::Inbound;
use crate::headers;
use crate::subject::Subject;

/// Publishes the next attempt of `inbound`, to come up after `delay`. `Ok` also if an earlier run had done so.
pub(crate) async fn schedule<B: Broker>(
    broker: &B,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
    delay: Duration,
    error: &str,
) -> Result<(), PublishError> {
    let function = inbound.cause.function;
    let attempt = inbound.input.attempt + 1;
    // The id under which it waits: the input's own, and the redrive's where it has one.
    let id = inbound.cause.id(0);
    let now = broker.now();
    let mut message = Message::new(Subject::of_schedule(function, &id, attempt), delivery.payload.clone());
    message.headers = provenance(&inbound.cause);
    message.headers.retain(|(name, _)| *name != headers::ATTEMPT && *name != headers::CAUSE);
    message.headers.push((headers::SUBJECT, inbound.cause.subject.to_string()));
    message.headers.push((headers::ATTEMPT, attempt.to_string()));
    let history = serde_json::to_string(&inbound.history_with(now, error)).unwrap_or_default();
    message.headers.push((headers::HISTORY, history));
    if let Some(redrive) = &inbound.cause.redrive {
        message.headers.push((headers::REDRIVE, redrive.clone()));
    }
    message.expect = Some(Expect { sequence: 0, scope: None });
    message.schedule = Some(Schedule { at: now + delay, target: Subject::of_retry(function, &id, attempt) });
    match broker.publish(Stream::Retry, vec![message]).await {
        Ok(_) | Err(PublishError::Refused) => Ok(()),
        Err(error) => Err(error),
    }
}
