//! A failed attempt on its way back: a message that waits in the broker and comes up when it is due.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::datetime;

use crate::core::baggage::{Baggage, TooLarge};
use crate::core::broker::{Broker, Delivery, Expect, Message, PublishError, Schedule, Stream};
use crate::core::commit::provenance;
use crate::core::inbound::Inbound;
use crate::core::originals::Originals;
use crate::headers;
use crate::subject::Subject;

/// The latest moment that RFC 3339 can write, and so the latest to which a retry can be put off.
const LATEST: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

/// Why the next attempt is not on its way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotScheduled {
    /// It could not be published: the input stays with the broker.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// No attempt can follow, ever.
    #[error("it cannot be tried again")]
    TooLarge(#[from] TooLarge),
}

/// Publishes the next attempt of `inbound`, to come up after `delay`. `Ok` also if an earlier run had done so.
pub(crate) async fn schedule<B: Broker>(
    broker: &B,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
    delay: Duration,
    error: &str,
) -> Result<(), NotScheduled> {
    let function = inbound.cause.function;
    let attempt = inbound.input.attempt.saturating_add(1);
    // The id under which it waits: the input's own, and the redrive's where it has one.
    let id = inbound.cause.id(0);
    let now = broker.now();
    let mut message = Message::new(Subject::of_schedule(function, &id, attempt), delivery.payload.clone());
    message.headers = provenance(&inbound.cause);
    message.headers.retain(|(name, _)| *name != headers::ATTEMPT && *name != headers::CAUSE);
    message.headers.push((headers::SUBJECT, inbound.cause.subject.to_string()));
    message.headers.push((headers::ATTEMPT, attempt.to_string()));
    if let Some(redrive) = &inbound.cause.redrive {
        message.headers.push((headers::REDRIVE, redrive.clone()));
    }
    message.expect = Some(Expect { sequence: 0, scope: None });
    let at = now.checked_add(delay.try_into().unwrap_or(time::Duration::MAX)).unwrap_or(LATEST).min(LATEST);
    message.schedule = Some(Schedule { at, target: Subject::of_retry(function, &id, attempt) });
    let history = Some(inbound.history_with(now, error));
    Baggage { originals: Originals::of(delivery), history, error: None }
        .load(&mut message, broker.message_bytes_max())?;
    match broker.publish(Stream::Retry, vec![message]).await {
        Ok(_) | Err(PublishError::Refused) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
