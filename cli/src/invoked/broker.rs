//! One event through a real broker to the function that runs, and what that made of it.

use std::time::Duration;

use jetlag::invoke::{Committed, Delivered, Disposition, Report};
use jetlag::jetstream::{Operator, OperatorError, ReadMessage};
use jetlag::topology::{DEAD_LETTERS, EVENTS, RETRY};
use jetlag::{Attempt, Envelope, Subject, derive, headers};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::problem::{Exit, Problem};
use crate::streams::Source;

/// How long the function may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the broker is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// The most events that one commit can have.
const EVENTS_MAX: usize = 1000;

/// An input that is on its way.
struct Input<'i> {
    operator: Operator,
    function: &'i str,
    subject: Subject,
    aggregate_id: String,
    /// What the function derives of it first: everything that becomes of it is found by this.
    id: String,
}

/// Sends `event` to `function` alone, as a redrive does, and waits for its end; then once more, if it `is_duplicate`.
///
/// # Errors
/// It is no event (65), no such function is there (66), there is no broker (66, 69), or nothing has become of it (69).
pub(crate) async fn through(function: &str, event: &str, is_duplicate: bool) -> Result<Report, Problem> {
    let envelope = Envelope::read(event.as_bytes())
        .map_err(|error| Problem::new(Exit::Data, "what is to be sent is no event").because(error))?;
    let (operator, url) = Source::default().connect().await?;
    let unanswered = |error: OperatorError| {
        Problem::new(Exit::Unavailable, format!("the broker at {url} did not answer")).because(error)
    };
    if operator.progress_of(RETRY, function).await.map_err(unanswered)?.is_none() {
        let what =
            format!("no function `{function}` takes single events at {url}: it has no consumer on {RETRY}");
        return Err(
            Problem::new(Exit::NoInput, what).remedy("`jetlag status` names the functions that are there")
        );
    }
    let subject = envelope.subject();
    let id = derive(&[function, subject.as_str(), "", "0"]);
    let input = Input { operator, function, subject, aggregate_id: envelope.aggregate_id.clone(), id };
    let mut report = Report {
        function: function.to_owned(),
        event: event.to_owned(),
        trace_id: Some(envelope.trace_id),
        deliveries: Vec::new(),
        state: [].into(),
    };
    let began = OffsetDateTime::now_utc();
    let is_known = input.delivered(&mut report, began).await.map_err(unanswered)?;
    let is_acknowledged = |last: &Delivered| matches!(last.disposition, Disposition::Ack { .. });
    if is_known && is_duplicate && report.deliveries.last().is_some_and(is_acknowledged) {
        let mut again = Report { deliveries: Vec::new(), ..report.clone() };
        input.delivered(&mut again, began).await.map_err(unanswered)?;
        report.deliveries.extend(again.deliveries.into_iter().map(|last| Delivered { delivery: 2, ..last }));
    }
    if report.deliveries.is_empty() { Err(input.nothing(&url)) } else { Ok(report) }
}

impl Input<'_> {
    /// Sends it and notes what becomes of it, until it has ended: false if that takes too long.
    async fn delivered(&self, report: &mut Report, began: OffsetDateTime) -> Result<bool, OperatorError> {
        let before = self.committed().await?;
        self.send(&report.event).await?;
        let until = Instant::now() + PATIENCE;
        loop {
            self.note_retries(report, began).await?;
            let attempt = report.deliveries.len() + 1;
            if let Some((at, disposition, events)) = self.ended(&before).await? {
                report.deliveries.push(delivered(attempt, began, at, disposition, events));
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn send(&self, event: &str) -> Result<(), OperatorError> {
        let named = [
            (headers::FUNCTION, self.function),
            (headers::SUBJECT, self.subject.as_str()),
            (headers::ATTEMPT, "1"),
        ];
        let subject = Subject::of_retry(self.function, &self.id, 1);
        self.operator.publish_with(subject.as_str(), &named, event.to_owned().into()).await
    }

    /// What was committed for it: events and receipts.
    async fn committed(&self) -> Result<Vec<ReadMessage>, OperatorError> {
        let first = Subject::any_under_id(&self.aggregate_id, &self.id);
        let mut found = self.operator.read(EVENTS, first.as_str(), 1).await?;
        if found.is_empty() {
            return Ok(found);
        }
        // The others may be about anything.
        for index in 0..EVENTS_MAX {
            let id = derive(&[self.function, self.subject.as_str(), "", &index.to_string()]);
            let more = self.operator.read(EVENTS, &format!("*.*.*.{id}"), 1).await?;
            if more.is_empty() && index > 0 {
                break;
            }
            found.extend(more);
        }
        found.sort_by_key(|message| message.sequence);
        found.dedup_by_key(|message| message.sequence);
        Ok(found)
    }

    /// How it has ended, if it has.
    async fn ended(
        &self,
        before: &[ReadMessage],
    ) -> Result<Option<(OffsetDateTime, Disposition, Vec<Committed>)>, OperatorError> {
        let letter = Subject::of_dead_letter(self.function, &self.id);
        if let Some(letter) = self.operator.read(DEAD_LETTERS, letter.as_str(), 1).await?.pop() {
            let told = |name| letter.header(name).unwrap_or_default().to_owned();
            let (reason, error) = (told(headers::REASON), told(headers::ERROR));
            return Ok(Some((letter.stored_at, Disposition::DeadLetter { reason, error }, Vec::new())));
        }
        let found = self.committed().await?;
        // Its dead letter is about to be written.
        if found.iter().any(is_burial) {
            return Ok(None);
        }
        let Some(last) = found.last() else { return Ok(None) };
        let already = !before.is_empty();
        // Committed before: the end of this delivery is that it is no longer on its way.
        let waiting = Subject::any_attempt(self.function, &self.id);
        if already && !self.operator.read(RETRY, waiting.as_str(), 1).await?.is_empty() {
            return Ok(None);
        }
        let at = if already { OffsetDateTime::now_utc() } else { last.stored_at };
        let events = if already { Vec::new() } else { found.iter().filter_map(event).collect() };
        Ok(Some((at, Disposition::Ack { already }, events)))
    }

    /// Notes the attempts that have failed meanwhile.
    async fn note_retries(&self, report: &mut Report, sent: OffsetDateTime) -> Result<(), OperatorError> {
        let waiting = Subject::any_attempt(self.function, &self.id);
        for message in self.operator.read(RETRY, waiting.as_str(), 1).await? {
            let history = message.header(headers::HISTORY).and_then(|json| serde_json::from_str(json).ok());
            let history: Vec<Attempt> = history.unwrap_or_default();
            for failed in history.into_iter().skip(report.deliveries.len()) {
                let disposition = Disposition::Retry { after_ms: 0, error: failed.error };
                let attempt = report.deliveries.len() + 1;
                report.deliveries.push(delivered(attempt, sent, failed.at, disposition, Vec::new()));
            }
        }
        Ok(())
    }

    fn nothing(&self, url: &str) -> Problem {
        let (function, seconds) = (self.function, PATIENCE.as_secs());
        Problem::new(Exit::Unavailable, format!("{function} has made nothing of it within {seconds} s"))
            .remedy(format!(
                "it is on its way at {url}: see whether {function} runs, and whether its breaker is open"
            ))
    }
}

/// Whether a receipt says that the input was given up.
fn is_burial(message: &ReadMessage) -> bool {
    let data =
        Envelope::read(&message.payload).ok().and_then(|e| serde_json::from_str::<Value>(e.data.get()).ok());
    message.subject.starts_with("done.")
        && data.is_some_and(|data| data.get("outcome").is_some_and(|outcome| outcome == "dead_letter"))
}

fn event(message: &ReadMessage) -> Option<Committed> {
    let Envelope { kind, aggregate_id, data, .. } =
        Envelope::read(&message.payload).ok().filter(|_| !message.subject.starts_with("done."))?;
    Some(Committed { subject: message.subject.clone(), kind, key: aggregate_id, data })
}

fn delivered(
    attempt: usize,
    sent: OffsetDateTime,
    at: OffsetDateTime,
    disposition: Disposition,
    events: Vec<Committed>,
) -> Delivered {
    let after = at - sent;
    Delivered {
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        delivery: 1,
        at_ms: u64::try_from(after.whole_milliseconds()).unwrap_or_default(),
        took_us: u64::try_from(after.whole_microseconds()).unwrap_or_default(),
        disposition,
        events,
        state: Vec::new(),
    }
}
