//! The life of one aggregate, such as an order: what happened, what was given up, what waits to be tried again.
//!
//! [`Trail::of`] reads it; `step` makes a line of a message and knows no broker.

pub(crate) mod follow;
pub(crate) mod seal;
mod step;
mod tree;
mod waiting;

use std::collections::BTreeSet;

use jetlag::Subject;
use jetlag::jetstream::{Operator, OperatorError, ReadMessage};
use jetlag::topology::{AUDIT, DEAD_LETTERS, EVENTS, RETRY};
use serde::Serialize;

pub use step::{DeadLetter, Retry, Step};
pub use waiting::{Place, Waiting};

use crate::streams::Origin;

/// Everything that is known of one aggregate.
#[derive(Debug, Clone, Serialize)]
pub struct Trail {
    /// Its id.
    pub aggregate: String,
    /// Everything that happened to it, receipts included, in order.
    pub steps: Vec<Step>,
    /// Inputs about it that were given up.
    pub dead_letters: Vec<DeadLetter>,
    /// Failed attempts about it that wait, or are due and not yet handled.
    pub retries: Vec<Retry>,
    /// Events about it that a function listens to and has not answered for.
    pub waiting: Vec<Waiting>,
    /// Whether nothing more comes by itself: every function has answered for everything, and no retry waits.
    pub at_rest: bool,
}

impl Trail {
    /// Reads the trail of `aggregate`. Where EVENTS does not reach back to its beginning any more, AUDIT is read from
    /// end to end as well, which takes as long as the trail of everything is.
    ///
    /// # Errors
    /// A stream is not there, or the broker does not answer.
    pub async fn of(operator: &Operator, aggregate: &str) -> Result<Self, OperatorError> {
        // In this order: what a function had answered for when it was asked has left its mark in what is read after that.
        let progress = operator.progress(EVENTS).await?;
        let waiting = matching(operator, RETRY, ">", |message| {
            Retry::of(message).is_some_and(|retry| is_about(aggregate, &retry.input))
        });
        let retries: Vec<Retry> = waiting.await?.iter().filter_map(Retry::of).collect();
        let about = Subject::any_about(aggregate);
        let events = operator.read(EVENTS, about.as_str(), 1).await?;
        let mut steps: Vec<Step> = events.iter().filter_map(|event| Step::of(EVENTS, event)).collect();
        if !reaches_back(aggregate, &steps) {
            let known: BTreeSet<String> = steps.iter().map(|step| step.subject.clone()).collect();
            let copies = matching(operator, AUDIT, "audit.*", |entry| {
                let subject = Origin::of(entry).subject;
                is_about(aggregate, &subject) && !known.contains(&subject)
            });
            let mut older: Vec<Step> =
                copies.await?.iter().filter_map(|entry| Step::of(AUDIT, entry)).collect();
            older.append(&mut steps);
            steps = older;
        }
        step::time_between(&mut steps);
        step::time_taken(&mut steps);
        let letters = matching(operator, DEAD_LETTERS, "dlq.*.*", |letter| {
            DeadLetter::of(letter).is_some_and(|letter| is_about(aggregate, &letter.input))
        });
        let dead_letters: Vec<DeadLetter> = letters.await?.iter().filter_map(DeadLetter::of).collect();
        let waiting = waiting::waiting(&progress, &steps, &dead_letters, &retries);
        let at_rest = waiting.is_empty() && retries.is_empty();
        Ok(Self { aggregate: aggregate.to_owned(), steps, dead_letters, retries, waiting, at_rest })
    }

    /// Whether nothing at all is known.
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.dead_letters.is_empty() && self.retries.is_empty()
    }
}

/// Whether the steps are all there: each follows from nothing, from another aggregate, or from one that is there too.
fn reaches_back(aggregate: &str, steps: &[Step]) -> bool {
    let known: BTreeSet<&str> = steps.iter().map(|step| step.subject.as_str()).collect();
    let causes = steps.iter().filter_map(|step| step.cause.as_deref());
    let mut own = causes.filter(|cause| is_about(aggregate, cause));
    !steps.is_empty() && own.all(|cause| known.contains(cause))
}

fn is_about(aggregate: &str, subject: &str) -> bool {
    let parts = Subject::from_broker(subject).parse_event();
    parts.is_some_and(|parts| parts.aggregate_id == aggregate)
}

/// The messages that `wanted` picks, read page by page: a stream may be longer than memory.
async fn matching(
    operator: &Operator,
    stream: &str,
    filter: &str,
    wanted: impl Fn(&ReadMessage) -> bool,
) -> Result<Vec<ReadMessage>, OperatorError> {
    let mut found = Vec::new();
    let mut next = 1;
    loop {
        let page = operator.page(stream, filter, next).await?;
        let Some(last) = page.last() else { return Ok(found) };
        next = last.sequence + 1;
        found.extend(page.into_iter().filter(&wanted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(subject: &str, cause: Option<&str>) -> Step {
        let mut message = ReadMessage {
            subject: subject.to_owned(),
            sequence: 1,
            stored_at: time::OffsetDateTime::UNIX_EPOCH,
            headers: Vec::new(),
            payload: bytes::Bytes::new(),
        };
        let cause = cause.map(|cause| (jetlag::headers::CAUSE.to_owned(), cause.to_owned()));
        message.headers.extend(cause);
        Step::of(EVENTS, &message).unwrap()
    }

    #[test]
    fn a_step_whose_cause_is_gone_shows_that_the_beginning_is_missing() {
        let placed = "orders.placed.1.a";
        let reserved = || step("inventory.reserved.1.b", Some(placed));
        assert!(!reaches_back("1", &[]));
        assert!(!reaches_back("1", &[reserved()]));
        assert!(reaches_back("1", &[step(placed, None), reserved()]));
        assert!(reaches_back("1", &[step("parcels.sent.1.c", Some("trucks.left.7.d"))]));
    }
}
