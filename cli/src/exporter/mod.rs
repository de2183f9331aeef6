//! What the broker tells of all functions, in Prometheus' text form: also of those of which no process runs.

mod monitor;
mod serve;
mod sheet;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jetlag::jetstream::{Operator, OperatorError};
use jetlag::telemetry::names;
use time::OffsetDateTime;

pub use monitor::Monitor;
pub use serve::serve;
use sheet::Sheet;

use crate::sealed;
use crate::status::{Function, Look, Severity, Snapshot};

/// How long a look may take until the broker counts as silent.
const LOOK_MAX: Duration = Duration::from_secs(8);

/// Looks at a broker, and writes down what it sees.
#[derive(Debug)]
pub struct Exporter {
    look: Look,
    monitor: Option<Monitor>,
    audit: Verified,
}

/// What the last verification of the audit trail found, and when it ended.
#[derive(Debug, Clone, Default)]
pub struct Verified(Arc<Mutex<Option<(u64, OffsetDateTime)>>>);

impl Verified {
    /// Reads the whole trail, and remembers what came of it.
    ///
    /// # Errors
    /// The broker does not answer; then what was found before still stands.
    pub async fn verify(&self, operator: &Operator) -> Result<(), OperatorError> {
        let sealed = sealed::verify(operator, |_, _, _| {}).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((sealed.faults, OffsetDateTime::now_utc()));
        Ok(())
    }

    fn last(&self) -> Option<(u64, OffsetDateTime)> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exporter {
    /// By `look`; `monitor` is the server's monitoring endpoint, and `audit` what somebody else finds in the audit trail.
    pub const fn new(look: Look, monitor: Option<Monitor>, audit: Verified) -> Self {
        Self { look, monitor, audit }
    }

    /// Every metric, now, and why the broker could not be looked at, if it could not.
    pub async fn text(&mut self) -> (String, Option<OperatorError>) {
        let mut sheet = Sheet::default();
        // At the same time: together they would take longer than Prometheus waits (10 s) when the server is silent.
        let (looked, load) = tokio::join!(tokio::time::timeout(LOOK_MAX, self.look.snapshot()), async {
            self.monitor.as_ref()?.ask().await
        });
        let looked =
            looked.unwrap_or_else(|_| Err(OperatorError::NoAnswer(format!("no answer within {LOOK_MAX:?}"))));
        sheet.tell(names::BROKER_ANSWERS, &[], u64::from(looked.is_ok()));
        if let Ok(snapshot) = &looked {
            of_snapshot(&mut sheet, snapshot);
        }
        if let Some(load) = load {
            sheet.tell(names::BROKER_MEMORY, &[], load.memory);
            if let Some(percent) = load.storage_percent() {
                sheet.tell(names::BROKER_STORAGE_FILL, &[], percent);
            }
        }
        if let Some((faults, at)) = self.audit.last() {
            sheet.tell(names::AUDIT_FAULTS, &[], faults);
            sheet.tell(names::AUDIT_VERIFIED, &[], seconds(at));
        }
        (sheet.text(), looked.err())
    }
}

fn of_snapshot(sheet: &mut Sheet, snapshot: &Snapshot) {
    for function in &snapshot.functions {
        of_function(sheet, function, snapshot.at);
    }
    for stream in &snapshot.streams {
        let labels = [("stream", stream.name.as_str())];
        sheet.tell(names::STREAM_MESSAGES, &labels, stream.messages);
        sheet.tell(names::STREAM_BYTES, &labels, stream.bytes);
        let percent = stream.bytes_max.and_then(|most| (stream.bytes * 100).checked_div(most));
        if let Some(percent) = percent {
            sheet.tell(names::STREAM_FILL, &labels, percent);
        }
    }
    let wrong = snapshot.findings.iter().filter(|finding| finding.severity == Severity::Wrong);
    for finding in wrong {
        sheet.tell(names::FINDING, &[("kind", finding.kind), ("place", &finding.place)], 1);
    }
}

fn of_function(sheet: &mut Sheet, function: &Function, now: OffsetDateTime) {
    let name = function.name.as_str();
    for lane in &function.lanes {
        let labels = [("function", name), ("stream", lane.stream.as_str())];
        sheet.tell(names::LAG, &labels, lane.lag);
        sheet.tell(names::LAG_IN_FLIGHT, &labels, lane.in_flight);
        sheet.tell(names::LAG_AGAIN, &labels, lane.redelivered);
        sheet.tell(names::PULLS_WAITING, &labels, lane.pulls);
    }
    let labels = [("function", name)];
    let age = function.oldest.map_or(0, |oldest| (now - oldest).whole_seconds().max(0).unsigned_abs());
    sheet.tell(names::OLDEST, &labels, age);
    sheet.tell(names::RETRIES_WAITING, &labels, function.retries.waiting);
    sheet.tell(names::DEAD_LETTERS_KEPT, &labels, function.dead_letters.count);
    if let Some(breaker) = &function.breaker {
        let since = if breaker.is_open { seconds(breaker.since) } else { 0 };
        sheet.tell(names::BREAKER_OPENED, &labels, since);
    }
}

fn seconds(at: OffsetDateTime) -> u64 {
    at.unix_timestamp().max(0).unsigned_abs()
}

#[cfg(test)]
mod tests;
