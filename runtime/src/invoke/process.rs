//! A process of a function, on a broker in memory: takes what is delivered, and tells what became of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::Terms;
use crate::core::admit::admit;
use crate::core::batch::live_batch;
use crate::core::broker::{Delivery, Stored, Stream};
use crate::core::each::live_each;
use crate::core::engine::Engine;
use crate::core::inbound::Inbound;
use crate::core::life::live;
use crate::dead_letter::Attempt;
use crate::event::Envelope;
use crate::handler::{Bindings, Takes};
use crate::headers;
use crate::invoke::doom::Doomed;
use crate::invoke::{Committed, Crash, Delivered, Disposition};
use crate::memory::Still;
use crate::memory::server::Receipt;
use crate::subject::Subject;
use crate::token;

/// One process of one function.
pub(crate) struct Process {
    engine: Arc<Engine<Doomed>>,
    broker: Arc<Doomed>,
    _publishing: AbortOnDropHandle<()>,
}

impl Process {
    /// A process that dies once, at this point.
    pub(crate) fn start(bindings: Bindings, still: &Arc<Still>, crash: Option<Crash>) -> Self {
        let broker = Arc::new(Doomed::new(Arc::clone(still), crash));
        let (engine, publishing) = Engine::new(bindings, Arc::clone(&broker), CancellationToken::new());
        Self { engine, broker, _publishing: AbortOnDropHandle::new(tokio::spawn(publishing)) }
    }

    /// From now on it dies at this point.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn arm(&self, crash: Crash) {
        self.broker.arm(crash);
    }

    /// Takes `deliveries`, which are one unless the function reads batches, from their arrival to their answer, or to the
    /// death of the process.
    pub(crate) async fn deliver(
        &self,
        still: &Still,
        at: Duration,
        deliveries: Vec<Delivery<Receipt>>,
    ) -> Delivered {
        let terms = self.engine.terms;
        let [events, retries, letters] = last_sequences(still);
        let receipts: Vec<Receipt> = deliveries.iter().map(|delivery| delivery.receipt).collect();
        let first = deliveries.first();
        let delivery = first.map_or(1, |first| first.delivered);
        let inbound = first.and_then(|first| Inbound::read(&terms, first).ok());
        let was_committed = inbound.as_ref().is_some_and(|inbound| {
            let scope = inbound.cause.scope();
            still.with(|server, _| server.log(Stream::Events).last(&scope).is_some())
        });
        let began = Instant::now();
        let has_died = tokio::select! {
            () = self.live(deliveries) => false,
            () = self.broker.died.cancelled() => true,
        };
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (events, state) = committed(&terms, &stored_since(still, Stream::Events, events));
        let disposition = if has_died {
            Disposition::Crash
        } else {
            let retry = stored_since(still, Stream::Retry, retries).pop();
            let letter = stored_since(still, Stream::DeadLetters, letters).pop();
            disposition(still, &receipts, retry, letter, was_committed)
        };
        Delivered {
            attempt: inbound.map_or(1, |inbound| inbound.input.attempt),
            delivery,
            at_ms: millis(at),
            took_us,
            disposition,
            events,
            state,
        }
    }

    async fn live(&self, mut deliveries: Vec<Delivery<Receipt>>) {
        let engine = Arc::clone(&self.engine);
        let takes = engine.handler.takes();
        if takes == Takes::Batch && deliveries.iter().all(|delivery| delivery.stream != Stream::Intake) {
            return live_batch(engine, deliveries).await;
        }
        let Some(delivery) = deliveries.pop() else { return };
        match takes {
            _ if delivery.stream == Stream::Intake => admit(engine, delivery).await,
            Takes::Each if delivery.delivered == 1 => live_each(engine, vec![delivery]).await,
            Takes::Batch | Takes::Each | Takes::One => live(engine, delivery, None).await,
        }
    }
}

/// How far the streams of events, retries and dead letters reach.
fn last_sequences(still: &Still) -> [u64; 3] {
    let streams = [Stream::Events, Stream::Retry, Stream::DeadLetters];
    still.with(|server, _| streams.map(|stream| server.log(stream).last_sequence()))
}

fn stored_since(still: &Still, stream: Stream, mark: u64) -> Vec<Stored> {
    still.with(|server, _| {
        let later = server.log(stream).history().filter(|entry| entry.stored.sequence > mark);
        later.map(|entry| entry.stored.clone()).collect()
    })
}

fn disposition(
    still: &Still,
    receipts: &[Receipt],
    retry: Option<Stored>,
    letter: Option<Stored>,
    was_committed: bool,
) -> Disposition {
    if let Some(letter) = letter {
        let header = |name| letter.header(name).unwrap_or_default().to_owned();
        return Disposition::DeadLetter { reason: header(headers::REASON), error: header(headers::ERROR) };
    }
    if let Some(retry) = retry {
        let history = retry.header(headers::HISTORY).and_then(|json| serde_json::from_str(json).ok());
        let last = history.and_then(|mut history: Vec<Attempt>| history.pop());
        let wait =
            still.with(|server, now| server.due_of_retry(retry.sequence).unwrap_or(now).saturating_sub(now));
        return Disposition::Retry {
            after_ms: millis(wait),
            error: last.map(|attempt| attempt.error).unwrap_or_default(),
        };
    }
    let is_held = |receipt: &Receipt| {
        still.with(|server, _| {
            server.consumer(receipt.consumer).is_some_and(|consumer| consumer.holds(receipt.sequence))
        })
    };
    // Of a batch, what is behind a gap comes again, and the rest is done with.
    if receipts.iter().all(is_held) {
        Disposition::Release
    } else {
        Disposition::Ack { already: was_committed }
    }
}

/// Events and state among `stored`; receipts are bookkeeping.
pub(crate) fn committed(terms: &Terms, stored: &[Stored]) -> (Vec<Committed>, Vec<Committed>) {
    let (mut events, mut state) = (Vec::new(), Vec::new());
    for message in stored {
        let subject = message.subject.to_string();
        if let Some((kind, key)) = state_key(terms, &message.subject) {
            let data = serde_json::from_slice(&message.payload).unwrap_or_else(|_| RawValue::NULL.to_owned());
            state.push(Committed { subject, kind, key, data });
        } else if let Some(envelope) =
            Envelope::read(&message.payload).ok().filter(|_| !subject.starts_with("done."))
        {
            let Envelope { kind, aggregate_id: key, data, .. } = envelope;
            events.push(Committed { subject, kind, key, data });
        }
    }
    (events, state)
}

/// The kind and the key that a subject of the function's own state names.
fn state_key(terms: &Terms, subject: &Subject) -> Option<(String, String)> {
    let token = subject.as_str().strip_prefix("state.")?.strip_prefix(terms.name)?.strip_prefix('.')?;
    let whole = token::decode(token)?;
    let (kind, key) = whole.split_once('/')?;
    terms.keeps.contains(&kind).then(|| (kind.to_owned(), key.to_owned()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
