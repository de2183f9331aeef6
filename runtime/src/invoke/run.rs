//! Delivers a request's event to the production core until it comes to an end, and tells what became of it each time.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::core::admit::admit;
use crate::core::batch::live_batch;
use crate::core::broker::{Delivery, Message, Stored, Stream};
use crate::core::each::live_each;
use crate::core::engine::Engine;
use crate::core::inbound::Inbound;
use crate::core::life::live;
use crate::dead_letter::Attempt;
use crate::effects::Erased;
use crate::event::Envelope;
use crate::failure::Failure;
use crate::function::{EXIT_USAGE, say};
use crate::handler::{self, Bindings, Invoke, Running, Takes};
use crate::invoke::doom::Doomed;
use crate::invoke::{Committed, Crash, Delivered, Disposition, Refused, Report, Request, input};
use crate::memory::Still;
use crate::memory::server::Receipt;
use crate::state::State;
use crate::subject::Subject;
use crate::{Source, Terms, headers, token};

/// The most bytes that a request may have.
pub(super) const REQUEST_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// More deliveries than this nobody looks at.
const DELIVERIES_MAX: usize = 100;

/// Reads a request from standard input, runs it, and prints the report on standard output.
///
/// Exit codes: 0 with a report, whatever became of the input; 64 if nothing was run.
pub(crate) fn run(bindings: Bindings) -> ExitCode {
    let name = bindings.terms.name;
    match read().and_then(|request| block_on(bindings, request)) {
        Ok(report) => {
            let json = serde_json::to_string(&report).unwrap_or_default();
            print(&json);
            ExitCode::SUCCESS
        }
        Err(refused) => {
            say(&format!("{name}: {refused}"));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn read() -> Result<Request, Refused> {
    let unreadable = |error: &dyn std::fmt::Display| Refused::Request(error.to_string());
    let mut json = String::new();
    let mut stdin = std::io::stdin().lock().take(REQUEST_BYTES_MAX);
    stdin.read_to_string(&mut json).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&json).map_err(|error| unreadable(&error))
}

fn block_on(bindings: Bindings, request: Request) -> Result<Report, Refused> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refused::Request(error.to_string()))?;
    runtime.block_on(report(bindings, request))
}

#[allow(clippy::print_stdout, reason = "the answer to a question on the command line")]
pub(super) fn print(text: &str) {
    println!("{text}");
}

/// Runs `request` to its end.
pub(crate) async fn report(mut bindings: Bindings, request: Request) -> Result<Report, Refused> {
    let still = Arc::new(Still::at(OffsetDateTime::now_utc()));
    if let Some(limit) = request.time_limit_ms {
        bindings.terms.time_limit = Duration::from_millis(limit);
    }
    let left = Arc::new(AtomicU32::new(request.fail_first));
    bindings.handler = Arc::new(Failing { handler: bindings.handler, left: Arc::clone(&left) });
    let terms = bindings.terms;
    for (key, value) in request.state {
        put_state(&still, &terms, &key, &value)?;
    }
    let event = input::bytes(&terms, request.input, still.time_after(Duration::ZERO))?;
    let mut desk = Desk::open(Arc::clone(&still), terms, &event, request.attempt.max(1));
    let mut process = Process::start(bindings.clone(), &still, request.crash);
    let (mut deliveries, mut is_duplicated) = (Vec::new(), !request.duplicate);
    while let Some(delivery) = desk.next() {
        if deliveries.len() == DELIVERIES_MAX {
            break;
        }
        let delivered = process.deliver(&desk, delivery).await;
        let failed_on_purpose = left.load(Ordering::Relaxed) > 0
            || deliveries.len() < usize::try_from(request.fail_first).unwrap_or(usize::MAX);
        let disposition = delivered.disposition.clone();
        deliveries.push(delivered);
        match disposition {
            // Another process takes its place. It is not to die again.
            Disposition::Crash => process = Process::start(bindings.clone(), &still, None),
            Disposition::Retry { .. } if failed_on_purpose => {}
            Disposition::Ack { .. } if !is_duplicated => {
                is_duplicated = true;
                desk.deliver_again();
            }
            _ => break,
        }
    }
    Ok(Report {
        function: terms.name.to_owned(),
        trace_id: Envelope::read(&event).ok().map(|envelope| envelope.trace_id),
        event: String::from_utf8_lossy(&event).into_owned(),
        deliveries,
        state: state_of(&still, &terms),
    })
}

/// A handler that fails on purpose at first.
struct Failing {
    handler: Arc<dyn Invoke>,
    left: Arc<AtomicU32>,
}

impl Failing {
    fn fails(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// A failure on purpose.
fn failed<T: Send + 'static>() -> Running<'static, T> {
    Box::pin(std::future::ready(Err(Failure::retry("failed on purpose"))))
}

impl Invoke for Failing {
    fn takes(&self) -> Takes {
        self.handler.takes()
    }

    fn invoke(&self, inputs: Vec<handler::Input>, state: State) -> Running<'_, Erased> {
        if self.fails() { failed() } else { self.handler.invoke(inputs, state) }
    }

    fn invoke_each(&self, inputs: Vec<handler::Input>) -> Running<'_, Vec<Result<Erased, Failure>>> {
        if self.fails() { failed() } else { self.handler.invoke_each(inputs) }
    }
}

/// The broker's side: what is delivered next.
struct Desk {
    still: Arc<Still>,
    terms: Terms,
    subject: Subject,
    /// The consumers that the function reads, the newest first.
    consumers: Vec<usize>,
    /// How long the first delivery had to wait: from then on time is counted.
    began: Duration,
}

impl Desk {
    /// Puts `event` where the function finds it.
    fn open(still: Arc<Still>, terms: Terms, event: &[u8], attempt: u32) -> Self {
        let envelope = Envelope::read(event).ok();
        let first = terms.listens_to.iter().chain(terms.admits).map(|kind| kind.name).next();
        let kind = envelope.as_ref().map_or_else(|| first.unwrap_or("unknown.unknown"), |e| e.kind.as_str());
        // What is not an event has to come from somewhere.
        let subject =
            envelope.as_ref().map_or_else(|| Subject::of_event(kind, "unknown", "invoke"), Envelope::subject);
        let is = |kinds: &[crate::EventKind]| kinds.iter().any(|known| known.name == kind);
        let is_admitted = is(terms.admits) && !is(terms.listens_to);
        let retries = Subject::from_broker(&format!("retry.{}.>", terms.name));
        let id = envelope.as_ref().map_or("invoke", |event| event.id.as_str());
        let mut message = Message::new(subject.clone(), Bytes::copy_from_slice(event));
        let stream = if is_admitted {
            message.subject = Subject::from_broker(kind);
            Stream::Intake
        } else if attempt > 1 {
            message.subject = Subject::of_retry(terms.name, id, attempt);
            message.headers =
                vec![(headers::SUBJECT, subject.to_string()), (headers::ATTEMPT, attempt.to_string())];
            Stream::Retry
        } else {
            Stream::Events
        };
        let came_on = message.subject.clone();
        // Nothing is refused by a stream that has no limits and nothing on this subject.
        let _ = still.publish_now(stream, &[message]);
        let consumers = still.with(|server, now| {
            let mut consumers = vec![server.subscribe(Stream::Retry, vec![retries], usize::MAX)];
            match (stream, terms.reads) {
                (Stream::Retry, _) => {}
                (Stream::Events, Source::Audit) => {
                    server.copy_to_audit(now);
                    let trail = vec![Subject::from_broker("audit.>")];
                    consumers.insert(0, server.subscribe(Stream::Audit, trail, usize::MAX));
                }
                _ => consumers.insert(0, server.subscribe(stream, vec![came_on.clone()], usize::MAX)),
            }
            consumers
        });
        Self { still, terms, subject: came_on, consumers, began: Duration::ZERO }
    }

    /// The next delivery; if none is ready, time moves on to when one is.
    fn next(&mut self) -> Option<Delivery<Receipt>> {
        let fetch = |desk: &Self| {
            desk.still.with(|server, now| desk.consumers.iter().find_map(|&number| server.fetch(number, now)))
        };
        fetch(self).or_else(|| {
            let due = self.still.with(|server, _| server.next_due())?;
            self.still.pass(due);
            fetch(self)
        })
    }

    /// The same input comes once more, as after a lost acknowledgement.
    fn deliver_again(&mut self) {
        let stream = if self.terms.reads == Source::Audit { Stream::Audit } else { Stream::Events };
        let filter = if stream == Stream::Audit { "audit.>" } else { self.subject.as_str() };
        let filter = Subject::from_broker(filter);
        let again = self.still.with(|server, _| server.subscribe(stream, vec![filter], usize::MAX));
        self.consumers.insert(0, again);
    }

    fn last_sequences(&self) -> [u64; 3] {
        let streams = [Stream::Events, Stream::Retry, Stream::DeadLetters];
        self.still.with(|server, _| streams.map(|stream| server.log(stream).last_sequence()))
    }

    fn stored_since(&self, stream: Stream, mark: u64) -> Vec<Stored> {
        self.still.with(|server, _| {
            let later = server.log(stream).history().filter(|entry| entry.stored.sequence > mark);
            later.map(|entry| entry.stored.clone()).collect()
        })
    }

    fn elapsed(&self) -> Duration {
        self.still.with(|_, now| now).saturating_sub(self.began)
    }
}

/// The function's side.
struct Process {
    engine: Arc<Engine<Doomed>>,
    died: CancellationToken,
    _publishing: AbortOnDropHandle<()>,
}

impl Process {
    fn start(bindings: Bindings, still: &Arc<Still>, crash: Option<Crash>) -> Self {
        let broker = Arc::new(Doomed::new(Arc::clone(still), crash));
        let died = broker.died.clone();
        let (engine, publishing) = Engine::new(bindings, broker, CancellationToken::new());
        Self { engine, died, _publishing: AbortOnDropHandle::new(tokio::spawn(publishing)) }
    }

    /// Takes `delivery` from its arrival to its answer, or to the death of the process.
    async fn deliver(&self, desk: &Desk, delivery: Delivery<Receipt>) -> Delivered {
        let terms = desk.terms;
        let mark = desk.last_sequences();
        let at = desk.elapsed();
        let (delivered, receipt) = (delivery.delivered, delivery.receipt);
        let inbound = Inbound::read(&terms, &delivery).ok();
        let was_committed = inbound.as_ref().is_some_and(|inbound| {
            let scope = inbound.cause.scope();
            desk.still.with(|server, _| server.log(Stream::Events).last(&scope).is_some())
        });
        let engine = Arc::clone(&self.engine);
        let life = async {
            match delivery.stream {
                Stream::Intake => admit(engine, delivery).await,
                _ => match self.engine.handler.takes() {
                    Takes::Batch => live_batch(engine, vec![delivery]).await,
                    Takes::Each if delivered == 1 => live_each(engine, vec![delivery]).await,
                    Takes::Each | Takes::One => live(engine, delivery).await,
                },
            }
        };
        let began = Instant::now();
        let has_died = tokio::select! {
            () = life => false,
            () = self.died.cancelled() => true,
        };
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let [events, retries, letters] = mark;
        let (events, state) = committed(&terms, &desk.stored_since(Stream::Events, events));
        let disposition = if has_died {
            Disposition::Crash
        } else {
            let retry = desk.stored_since(Stream::Retry, retries).pop();
            let letter = desk.stored_since(Stream::DeadLetters, letters).pop();
            disposition(desk, receipt, retry, letter, was_committed)
        };
        Delivered {
            attempt: inbound.map_or(1, |inbound| inbound.input.attempt),
            delivery: delivered,
            at_ms: millis(at),
            took_us,
            disposition,
            events,
            state,
        }
    }
}

fn disposition(
    desk: &Desk,
    receipt: Receipt,
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
        let due = desk.still.with(|server, now| server.next_retry().unwrap_or(now).saturating_sub(now));
        return Disposition::Retry {
            after_ms: millis(due),
            error: last.map(|attempt| attempt.error).unwrap_or_default(),
        };
    }
    let is_held = desk
        .still
        .with(|server, _| server.consumer(receipt.consumer).is_some_and(|consumer| consumer.in_flight() > 0));
    if is_held { Disposition::Release } else { Disposition::Ack { already: was_committed } }
}

/// Events and state among `stored`; receipts are bookkeeping.
fn committed(terms: &Terms, stored: &[Stored]) -> (Vec<Committed>, Vec<Committed>) {
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

fn put_state(still: &Still, terms: &Terms, key: &str, value: &RawValue) -> Result<(), Refused> {
    let known = key.split_once('/').filter(|(kind, _)| terms.keeps.contains(kind));
    let Some((kind, name)) = known else {
        let keeps = terms.keeps.iter().map(|kind| (*kind).to_owned()).collect();
        return Err(Refused::State { key: key.to_owned(), keeps });
    };
    let subject = Subject::of_state(terms.name, kind, name);
    let message = Message::new(subject, Bytes::copy_from_slice(value.get().as_bytes()));
    let _ = still.publish_now(Stream::Events, &[message]);
    Ok(())
}

fn state_of(still: &Still, terms: &Terms) -> BTreeMap<String, Box<RawValue>> {
    let stored: Vec<Stored> = still.with(|server, _| {
        let live = server.log(Stream::Events).history().filter(|entry| entry.is_live);
        live.map(|entry| entry.stored.clone()).collect()
    });
    let (_, state) = committed(terms, &stored);
    state.into_iter().map(|value| (format!("{}/{}", value.kind, value.key), value.data)).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
