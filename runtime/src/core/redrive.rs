//! Sending a dead letter to its function again: to that function alone, and as another cause than the one that died.

use time::OffsetDateTime;

use crate::core::broker::{Broker, Expect, Message, PublishError, Stream};
use crate::dead_letter::DeadLetter;
use crate::event::Envelope;
use crate::subject::Subject;
use crate::{event, headers};

/// Why a dead letter cannot be sent again.
#[derive(Debug, thiserror::Error)]
pub enum NotRedriven {
    /// Its bytes are not an event: the function would give it up again at once.
    #[error("send it again with bytes that are an event, or purge it")]
    NotAnEvent(#[from] event::EnvelopeError),
    /// Its bytes are another event than the one that died.
    #[error("its bytes are the event {0}, and what died is {1}: only the data may be changed")]
    AnotherEvent(Subject, Subject),
    /// The broker did not take it. It is still in the dead letter stream, and the same redrive can be done again.
    #[error("the broker did not take it: {0}")]
    NotTaken(String),
}

/// Notes in the stream of events that `letter` is redriven by `who`, and sends it. It stays in the dead letter stream:
/// taking it out is the next step, so that nothing is lost in between.
pub(crate) async fn redrive<B: Broker>(
    broker: &B,
    letter: &DeadLetter,
    who: &str,
) -> Result<(), NotRedriven> {
    let (stream, again) = again(letter)?;
    if let Some(note) = note(letter, who, broker.now())? {
        insist(broker, Stream::Events, note).await?;
    }
    insist(broker, stream, again).await
}

/// Publishes what may be there already, of an earlier redrive of the same letter.
async fn insist<B: Broker>(broker: &B, stream: Stream, message: Message) -> Result<(), NotRedriven> {
    match broker.publish(stream, vec![message]).await {
        Ok(_) | Err(PublishError::Refused) => Ok(()),
        Err(error) => Err(NotRedriven::NotTaken(error.to_string())),
    }
}

/// What the function is given.
fn again(letter: &DeadLetter) -> Result<(Stream, Message), NotRedriven> {
    let envelope = Envelope::read(&letter.payload)?;
    let id = letter.redrive_id();
    // What was never admitted knocks at the same door again, by the type that it says it is.
    if letter.input.parse_event().is_none() {
        let mut message = Message::new(Subject::from_broker(&envelope.kind), letter.payload.clone());
        message.headers = vec![("Nats-Msg-Id", id)];
        carry(letter, &mut message, &[headers::HEADERS, headers::DROPPED]);
        return Ok((Stream::Intake, message));
    }
    if envelope.subject() != letter.input {
        return Err(NotRedriven::AnotherEvent(envelope.subject(), letter.input.clone()));
    }
    let mut message = Message::new(Subject::of_retry(&letter.function, &id, 1), letter.payload.clone());
    message.headers = vec![
        (headers::FUNCTION, letter.function.clone()),
        (headers::SUBJECT, letter.input.to_string()),
        (headers::ATTEMPT, "1".to_owned()),
        (headers::REDRIVE, id),
    ];
    let context = [headers::TRACEPARENT, headers::TRACESTATE];
    carry(
        letter,
        &mut message,
        &[&context[..], &[headers::HISTORY, headers::HEADERS, headers::DROPPED]].concat(),
    );
    message.expect = Some(Expect { sequence: 0, scope: None });
    Ok((Stream::Retry, message))
}

/// Puts those of the letter's headers on `message` that are about its input.
fn carry(letter: &DeadLetter, message: &mut Message, names: &[&'static str]) {
    for name in names {
        message.headers.extend(letter.header(name).map(|value| (*name, value.to_owned())));
    }
}

/// The entry in the trail of what the letter is about; none for what never became an event.
fn note(letter: &DeadLetter, who: &str, now: OffsetDateTime) -> Result<Option<Message>, NotRedriven> {
    if letter.input.parse_event().is_none() {
        return Ok(None);
    }
    let died = Envelope::read(&letter.payload)?;
    let data = serde_json::json!({
        "outcome": "redriven",
        "reason": letter.reason,
        "dead_letter": letter.sequence,
        "by": who,
    });
    let invalid = |error| NotRedriven::NotAnEvent(event::EnvelopeError::Malformed(error));
    let envelope = Envelope {
        id: letter.redrive_id(),
        kind: format!("done.{}", letter.function),
        aggregate_id: died.aggregate_id,
        data: serde_json::value::to_raw_value(&data).map_err(invalid)?,
        timestamp: now,
        trace_id: died.trace_id,
    };
    let mut message = Message::new(envelope.subject(), envelope.write().map_err(invalid)?.into());
    message.headers = vec![
        (headers::FUNCTION, letter.function.clone()),
        (headers::CAUSE, letter.input.to_string()),
        (headers::REDRIVE, envelope.id),
    ];
    message.expect = Some(Expect { sequence: 0, scope: None });
    Ok(Some(message))
}

#[cfg(test)]
mod tests;
