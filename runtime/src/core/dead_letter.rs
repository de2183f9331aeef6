//! Inputs that are given up: kept whole, with the reason, before the broker is told that they are done with.

use crate::core::baggage::Baggage;
use crate::core::broker::{Broker, Delivery, Expect, Message, PublishError, Stream};
use crate::core::commit::receipt;
use crate::core::inbound::Inbound;
use crate::core::known::{Known, unreadable_id};
use crate::core::originals::Originals;
use crate::dead_letter::Attempt;
use crate::failure::Reason;
use crate::headers;
use crate::subject::Subject;
use crate::telemetry::traceparent::Traceparent;

/// Why a dead letter could not be written: the input then stays with the broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotBuried {
    /// The receipt or the dead letter could not be published.
    #[error("the dead letter could not be written")]
    Publish(#[from] PublishError),
    /// Whether the input was committed could not be found out.
    #[error("{0}")]
    Unknown(String),
}

/// What became of an input that was to be buried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Burial {
    /// It is in the dead letter stream.
    Buried,
    /// An earlier run had committed it: there is nothing to bury.
    Committed,
}

/// Buries an input that was read. A receipt marked dead takes the same guard as a commit first, so that an input is
/// committed or dead and never both, whatever a straggling process still does.
pub(crate) async fn bury<B: Broker>(
    broker: &B,
    delivery: &Delivery<B::Receipt>,
    inbound: &Inbound,
    reason: Reason,
    error: &str,
) -> Result<Burial, NotBuried> {
    let now = broker.now();
    let receipt = receipt(&inbound.cause, Some(reason), now)
        .map_err(|failure| NotBuried::Unknown(failure.to_string()))?;
    match broker.publish(Stream::Events, vec![receipt]).await {
        Ok(_) => {}
        Err(PublishError::Refused) => {
            match broker.last_at_leader(Stream::Events, &inbound.cause.scope()).await {
                // The receipt of an earlier burial that did not come to its end.
                Ok(Some(found)) if found.header(headers::REASON).is_some() => {}
                Ok(Some(_)) => return Ok(Burial::Committed),
                // A leader that is none any more: it is not known what refused the receipt.
                Ok(None) => {
                    return Err(NotBuried::Unknown("what was committed for it cannot be read yet".into()));
                }
                Err(unavailable) => return Err(NotBuried::Unknown(unavailable.to_string())),
            }
        }
        Err(error) => return Err(error.into()),
    }
    // As unique as the receipt's: an event's own id only tells it from others of its type and aggregate.
    let id = inbound.cause.id(0);
    let mut names = vec![(headers::SUBJECT, inbound.cause.subject.to_string())];
    if let Some(redrive) = &inbound.cause.redrive {
        names.push((headers::REDRIVE, redrive.clone()));
    }
    let context = [
        (headers::TRACEPARENT, &inbound.cause.traceparent),
        (headers::TRACESTATE, &inbound.cause.tracestate),
    ];
    names.extend(context.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.to_string()))));
    let history = inbound.history_with(now, error);
    write(broker, delivery, inbound.cause.function, &id, (reason, error), history, names).await?;
    Ok(Burial::Buried)
}

/// Buries bytes that are not an event: nothing was, or ever will be, committed for them.
pub(crate) async fn bury_unreadable<B: Broker>(
    broker: &B,
    delivery: &Delivery<B::Receipt>,
    function: &'static str,
    reason: Reason,
    error: &str,
) -> Result<Burial, NotBuried> {
    let id = unreadable_id(delivery.stream, delivery.sequence);
    let mut names = vec![(headers::SUBJECT, delivery.subject.to_string())];
    if let Some(traceparent) = delivery.header(headers::TRACEPARENT).filter(|text| is_traceparent(text)) {
        names.push((headers::TRACEPARENT, traceparent.to_owned()));
    }
    write(broker, delivery, function, &id, (reason, error), Vec::new(), names).await?;
    Ok(Burial::Buried)
}

/// Writes the dead letter of an input whose receipt of death is there: whoever began to bury it died before the end.
pub(crate) async fn bury_the_rest<B: Broker>(
    broker: &B,
    delivery: &Delivery<()>,
    function: &str,
    known: &Known,
    reason: Reason,
) -> Result<(), PublishError> {
    let mut extra = vec![(headers::SUBJECT, known.subject.to_string())];
    if let Some(redrive) = delivery.header(headers::REDRIVE).filter(|_| delivery.stream == Stream::Retry) {
        extra.push((headers::REDRIVE, redrive.to_owned()));
    }
    let history = delivery.header(headers::HISTORY).filter(|_| delivery.stream == Stream::Retry);
    let history = history.and_then(|json| serde_json::from_str(json).ok());
    let history: Vec<Attempt> = history.unwrap_or_default();
    let error = "it was given up, and whoever did so did not come to the end of that";
    write(broker, delivery, function, &known.id, (reason, error), history, extra).await
}

async fn write<B: Broker, R>(
    broker: &B,
    delivery: &Delivery<R>,
    function: &str,
    id: &str,
    (reason, error): (Reason, &str),
    history: Vec<Attempt>,
    names: Vec<(&'static str, String)>,
) -> Result<(), PublishError> {
    let mut letter = Message::new(Subject::of_dead_letter(function, id), delivery.payload.clone());
    letter.headers = names;
    letter.headers.push((headers::FUNCTION, function.into()));
    letter.headers.push((headers::REASON, reason.code().into()));
    letter.headers.push((headers::ORIGIN, format!("{:?} {}", delivery.stream, delivery.sequence)));
    letter.expect = Some(Expect { sequence: 0, scope: None });
    let baggage =
        Baggage { originals: Originals::of(delivery), history: Some(history), error: Some(error.to_owned()) };
    if let Err(too_large) = baggage.load(&mut letter, broker.message_bytes_max()) {
        // The input's bytes come first: they came in one message, so they go into one that holds nothing else.
        tracing::error!(%too_large, subject = %letter.subject, %reason, error, "a dead letter holds only the input's bytes");
        letter = Message::new(letter.subject, letter.payload);
    }
    match broker.publish(Stream::DeadLetters, vec![letter]).await {
        // Refused: an earlier run wrote it and died before it could say so.
        Ok(_) | Err(PublishError::Refused) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_traceparent(text: &str) -> bool {
    text.parse::<Traceparent>().is_ok()
}

#[cfg(test)]
mod tests;
