//! The inputs of a replay and what became of each, as far as the streams still tell.

use std::collections::BTreeMap;

use jetlag::jetstream::{Operator, OperatorError, Progress, ReadMessage};
use jetlag::topology::{EVENTS, RETRY};
use jetlag::{Description, Envelope, RawValue, Subject, headers};
use serde_json::Value;

use super::{Emitted, Outcome};
use crate::moment::Place;

/// Which events are run again.
#[derive(Debug)]
pub(crate) struct Span {
    /// From here on.
    pub(crate) from: Place,
    /// Up to here, inclusive; to the end if it is not said.
    pub(crate) to: Option<Place>,
    /// Only those about this.
    pub(crate) key: Option<String>,
    /// At most so many.
    pub(crate) limit: usize,
}

impl Span {
    fn has(&self, message: &ReadMessage) -> bool {
        let after = match self.from {
            Place::Sequence(sequence) => message.sequence >= sequence,
            Place::Time(at) => message.stored_at >= at,
        };
        let before = match self.to {
            None => true,
            Some(Place::Sequence(sequence)) => message.sequence <= sequence,
            Some(Place::Time(at)) => message.stored_at <= at,
        };
        after && before
    }
}

/// An event that a function was given.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    /// Its bytes as they are in the stream.
    pub(crate) event: String,
    /// What became of it then.
    pub(crate) outcome: Outcome,
    /// What its function committed then.
    pub(crate) emitted: Vec<Emitted>,
    /// Whether it was sent again as a dead letter, maybe with other data than the stream has.
    pub(crate) is_redriven: bool,
}

/// The broker's name for what was committed together.
const BATCH: &str = "Nats-Batch-Id";

/// A value of state, and the input that it was written for.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) value: Value,
    /// Its subject.
    pub(crate) input: String,
}

/// What a function was given, and what it did with it.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) inputs: Vec<Input>,
    /// The state that these inputs left: `<kind>/<key>` to the value, where none of them was written for another input later.
    pub(crate) left: BTreeMap<String, Left>,
    /// Whether there are more than the limit allows.
    pub(crate) has_more: bool,
}

/// What is known of one input while the stream is read.
#[derive(Debug, Default)]
struct Traces {
    emitted: Vec<Emitted>,
    is_committed: bool,
    is_redriven: bool,
    dead: Option<String>,
}

impl History {
    /// Reads the events of `span` that `function` listens to, and what follows from them.
    ///
    /// # Errors
    /// The stream is not there, or the broker does not answer.
    pub(crate) async fn read(
        operator: &Operator,
        function: &Description,
        span: &Span,
    ) -> Result<Self, OperatorError> {
        let progress = operator.progress_of(EVENTS, &function.name).await?;
        let retries = retries(operator, &function.name).await?;
        let listens =
            |kind: &str| function.listens_to.iter().any(|known| known.name == kind || known.name == "*.*");
        let first = if let Place::Sequence(sequence) = span.from { sequence } else { 1 };
        let (mut inputs, mut traces) = (Vec::new(), BTreeMap::<String, Traces>::new());
        let mut commits = BTreeMap::<String, String>::new();
        let mut has_more = false;
        let mut next = first;
        loop {
            let page = operator.page(EVENTS, "*.*.*.*", next).await?;
            let Some(last) = page.last() else { break };
            next = last.sequence + 1;
            for message in &page {
                if let Some(input) = note(&mut traces, &function.name, message) {
                    commits.extend(message.header(BATCH).map(|batch| (batch.to_owned(), input)));
                }
                let Some(parts) = Subject::from_broker(&message.subject).parse_event() else { continue };
                let is_about = span.key.as_ref().is_none_or(|key| *key == parts.aggregate_id);
                if !span.has(message) || !is_about || !listens(&parts.kind) {
                    continue;
                }
                if inputs.len() == span.limit {
                    has_more = true;
                    continue;
                }
                traces.entry(message.subject.clone()).or_default();
                inputs.push(Input {
                    sequence: message.sequence,
                    subject: message.subject.clone(),
                    event: String::from_utf8_lossy(&message.payload).into_owned(),
                    outcome: Outcome::Unknown,
                    emitted: Vec::new(),
                    is_redriven: false,
                });
            }
        }
        for input in &mut inputs {
            let traces = traces.remove(&input.subject).unwrap_or_default();
            input.outcome = outcome(&traces, retries.get(&input.subject), progress.as_ref(), input.sequence);
            input.is_redriven = traces.is_redriven;
            input.emitted = traces.emitted;
        }
        let left = left(operator, function, first, &commits).await?;
        Ok(Self { inputs, left, has_more })
    }

    /// The function's state as it is now: `<kind>/<key>` to value.
    ///
    /// # Errors
    /// The stream is not there, or the broker does not answer.
    pub(crate) async fn state_now(
        operator: &Operator,
        function: &Description,
    ) -> Result<BTreeMap<String, Box<RawValue>>, OperatorError> {
        let stored = operator.read(EVENTS, &format!("state.{}.*", function.name), 1).await?;
        let value = |message| Some((key(function, message)?, serde_json::from_slice(&message.payload).ok()?));
        Ok(stored.iter().filter_map(value).collect())
    }
}

/// The `<kind>/<key>` of a value of state, if `function` keeps such.
fn key(function: &Description, message: &ReadMessage) -> Option<String> {
    let (kind, key) = Subject::from_broker(&message.subject).parse_state()?;
    function.keeps.contains(&kind).then(|| format!("{kind}/{key}"))
}

/// The values of state that came with one of `commits`, of which the input is known, and are the last of their keys. The
/// stream has no others; what wrote them is told by what was committed with them.
async fn left(
    operator: &Operator,
    function: &Description,
    first: u64,
    commits: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Left>, OperatorError> {
    let filter = format!("state.{}.*", function.name);
    let (mut left, mut next) = (BTreeMap::new(), first);
    let known = |message: &ReadMessage| {
        let input = commits.get(message.header(BATCH)?)?.clone();
        let value = serde_json::from_slice(&message.payload).ok()?;
        Some((key(function, message)?, Left { value, input }))
    };
    loop {
        let page = operator.page(EVENTS, &filter, next).await?;
        let Some(last) = page.last() else { return Ok(left) };
        next = last.sequence + 1;
        left.extend(page.iter().filter_map(known));
    }
}

/// Takes up what `message` tells of an input, if `function` committed it because of one that is run again: that one.
fn note(traces: &mut BTreeMap<String, Traces>, function: &str, message: &ReadMessage) -> Option<String> {
    let cause =
        message.header(headers::CAUSE).filter(|_| message.header(headers::FUNCTION) == Some(function))?;
    let traces = traces.get_mut(cause)?;
    let event = Envelope::read(&message.payload).ok()?;
    if let Some(reason) = message.header(headers::REASON) {
        traces.dead = Some(reason.to_owned());
    } else if event.kind.starts_with("done.") {
        // The note of a redrive says nothing of what came of it.
        match message.header(headers::REDRIVE) {
            Some(_) => traces.is_redriven = true,
            None => traces.is_committed = true,
        }
    } else {
        traces.is_committed = true;
        let data = serde_json::from_str(event.data.get()).unwrap_or_default();
        traces.emitted.push(Emitted { kind: event.kind, aggregate_id: event.aggregate_id, data });
    }
    Some(cause.to_owned())
}

/// What became of the input with `sequence`. What was redriven and committed was given up before that.
fn outcome(traces: &Traces, retry: Option<&String>, progress: Option<&Progress>, sequence: u64) -> Outcome {
    if traces.is_committed {
        return Outcome::Acknowledged;
    }
    if let Some(error) = retry {
        return Outcome::Failed { error: error.clone() };
    }
    if let Some(reason) = &traces.dead {
        return Outcome::DeadLetter { reason: reason.clone(), error: None };
    }
    // Nothing was committed, and everything up to there was answered for: it was answered with nothing.
    match progress {
        Some(progress) if sequence <= progress.answered => Outcome::Acknowledged,
        _ => Outcome::Unknown,
    }
}

/// What went wrong last with each input of `function` that waits to be tried again.
async fn retries(operator: &Operator, function: &str) -> Result<BTreeMap<String, String>, OperatorError> {
    let mut retries = BTreeMap::new();
    let mut next = 1;
    loop {
        let page = operator.page(RETRY, Subject::any_retry(function).as_str(), next).await?;
        let Some(last) = page.last() else { return Ok(retries) };
        next = last.sequence + 1;
        for message in &page {
            let history = message.header(headers::HISTORY);
            let history = history.and_then(|json| serde_json::from_str::<Vec<jetlag::Attempt>>(json).ok());
            let error = history.and_then(|mut history| history.pop()).map(|attempt| attempt.error);
            if let Some(input) = message.header(headers::SUBJECT) {
                retries.insert(input.to_owned(), error.unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    #[test]
    fn what_became_of_an_input_is_told_by_what_it_left() {
        let progress = |answered| Progress {
            function: "f".into(),
            filters: Vec::new(),
            delivered: 9,
            answered,
            pending: 0,
        };
        let none = Traces::default();
        assert_eq!(outcome(&none, None, None, 5), Outcome::Unknown);
        assert_eq!(outcome(&none, None, Some(&progress(4)), 5), Outcome::Unknown);
        assert_eq!(outcome(&none, None, Some(&progress(5)), 5), Outcome::Acknowledged);
        let dead = Traces { dead: Some("rejected".into()), ..Traces::default() };
        assert!(matches!(outcome(&dead, None, None, 5), Outcome::DeadLetter { .. }));
        let redriven = Traces { is_committed: true, ..dead };
        assert_eq!(outcome(&redriven, None, None, 5), Outcome::Acknowledged);
    }

    #[test]
    fn a_span_has_both_its_ends() {
        let message = |sequence| ReadMessage {
            subject: "a.b.c.d".into(),
            sequence,
            stored_at: OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(sequence.cast_signed()),
            headers: Vec::new(),
            payload: bytes::Bytes::new(),
        };
        let at = |seconds| Place::Time(OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds));
        for (from, to) in
            [(Place::Sequence(2), Place::Sequence(3)), (at(2), at(3)), (Place::Sequence(2), at(3))]
        {
            let span = Span { from, to: Some(to), key: None, limit: 1 };
            let has: Vec<u64> = (1..=4).filter(|sequence| span.has(&message(*sequence))).collect();
            assert_eq!(has, [2, 3]);
        }
    }
}
