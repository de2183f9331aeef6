//! The way in for publishers outside: an event on its bare type is checked, and put on its own subject once.

use std::sync::Arc;

use crate::core::broker::{Broker, Delivery, Expect, Message, PublishError, Stream};
use crate::core::commit::provenance;
use crate::core::engine::{Engine, FULL_DELAY, RELEASE_DELAY};
use crate::core::inbound::{Cause, Inbound, Unreadable};
use crate::core::judge::Disposition;
use crate::core::life::{answer, reject};
use crate::event::Envelope;
use crate::failure::{Reason, chain};
use crate::subject::Subject;
use crate::{EventKind, Terms};

/// Takes `delivery`, which came from outside, to its own subject or to the dead letters, and answers the broker.
pub(crate) async fn admit<B: Broker>(engine: Arc<Engine<B>>, delivery: Delivery<B::Receipt>) {
    let _held = engine.pulse.hold(delivery.receipt.clone());
    let disposition = match check(&engine.terms, &delivery) {
        Ok((inbound, kind)) => {
            let message = admission(&inbound.cause, &inbound.input.envelope, kind, delivery.payload.clone());
            match publish_once(&*engine.broker, message).await {
                Ok(Admission::Now | Admission::Again) => Disposition::Ack { already: false },
                Ok(Admission::Taken(by)) => {
                    let error = format!("{} is there once, and {by} came first", kind.name);
                    reject(&engine, &delivery, Unreadable { reason: Reason::AlreadyExists, error }).await
                }
                Err(PublishError::Full) => {
                    Disposition::Release { after: FULL_DELAY, why: "the stream of events is full".into() }
                }
                Err(error) => Disposition::Release { after: RELEASE_DELAY, why: chain(&error) },
            }
        }
        Err(unreadable) => reject(&engine, &delivery, unreadable).await,
    };
    engine.meter.admitted(delivery.subject.as_str(), &disposition);
    answer(&*engine.broker, &delivery, &disposition).await;
}

/// What became of an event that is to be there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is there now.
    Now,
    /// It was there already, under this id.
    Again,
    /// Another event has its place.
    Taken(Subject),
}

/// Publishes `message`, which insists on being the first in its scope.
pub(crate) async fn publish_once<B: Broker>(broker: &B, message: Message) -> Result<Admission, PublishError> {
    let subject = message.subject.clone();
    let scope =
        message.expect.as_ref().and_then(|expect| expect.scope.clone()).unwrap_or_else(|| subject.clone());
    let error = match broker.publish(Stream::Events, vec![message]).await {
        Ok(_) => return Ok(Admission::Now),
        Err(error @ (PublishError::Refused | PublishError::Ambiguous(_))) => error,
        Err(error) => return Err(error),
    };
    match broker.last_at_leader(Stream::Events, &scope).await {
        Ok(Some(found)) if found.subject == subject => Ok(Admission::Again),
        Ok(Some(found)) => Ok(Admission::Taken(found.subject)),
        Ok(None) => Err(error),
        Err(unavailable) => Err(PublishError::Ambiguous(unavailable.to_string())),
    }
}

/// The message that puts an event from outside on its own subject.
pub(crate) fn admission(
    cause: &Cause,
    envelope: &Envelope,
    kind: &EventKind,
    payload: bytes::Bytes,
) -> Message {
    let mut message = Message::new(cause.subject.clone(), payload);
    message.headers = provenance(cause);
    let scope = kind.once_per_aggregate.then(|| Subject::any_of_type(kind.name, &envelope.aggregate_id));
    message.expect = Some(Expect { sequence: 0, scope });
    message
}

fn check<'t, R>(terms: &'t Terms, delivery: &Delivery<R>) -> Result<(Inbound, &'t EventKind), Unreadable> {
    let inbound = Inbound::read(terms, delivery)?;
    let envelope = &inbound.input.envelope;
    let unreadable = |reason, error| Unreadable { reason, error };
    let kind = terms.admits.iter().find(|kind| kind.name == envelope.kind).ok_or_else(|| {
        unreadable(
            Reason::UnknownType,
            format!("{:?} is none of the types that are admitted here", envelope.kind),
        )
    })?;
    if delivery.subject.as_str() != kind.name {
        let error = format!("an event of type {} came on {}", kind.name, delivery.subject);
        return Err(unreadable(Reason::NotAnEvent, error));
    }
    let aggregate_id =
        (kind.check)(&envelope.data).map_err(|error| unreadable(Reason::InvalidData, chain(&error)))?;
    if aggregate_id != envelope.aggregate_id {
        let error =
            format!("aggregate_id is {:?}, and the data is about {aggregate_id:?}", envelope.aggregate_id);
        return Err(unreadable(Reason::InvalidData, error));
    }
    Ok((inbound, kind))
}

#[cfg(test)]
mod tests;
