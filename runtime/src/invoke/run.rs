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

use crate::core::broker::{Delivery, Message, Stored, Stream};
use crate::effects::Erased;
use crate::event::Envelope;
use crate::failure::Failure;
use crate::function::{EXIT_USAGE, say};
use crate::handler::{self, Bindings, Invoke, Running, Takes};
use crate::invoke::process::{Process, committed};
use crate::invoke::{Disposition, Refused, Report, Request, input};
use crate::memory::Still;
use crate::memory::server::Receipt;
use crate::state::State;
use crate::subject::Subject;
use crate::{Source, Terms, headers};

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
        let at = desk.elapsed();
        let delivered = process.deliver(&still, at, vec![delivery]).await;
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

    fn elapsed(&self) -> Duration {
        self.still.with(|_, now| now).saturating_sub(self.began)
    }
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

#[cfg(test)]
mod tests;
