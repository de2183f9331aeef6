//! Events that a function listens to and has not answered for.

use std::collections::BTreeSet;

use jetlag::jetstream::Progress;
use jetlag::topology::EVENTS;
use serde::Serialize;

use super::{DeadLetter, Retry, Step};

/// An event that a function has not answered for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The function.
    pub function: String,
    /// The event's subject.
    pub input: String,
    /// Where it is.
    pub place: Place,
}

/// Where an unanswered event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the queue: it was given to no process yet.
    Queue {
        /// How many events wait for the function in all.
        pending: u64,
    },
    /// With a process, or just answered: the broker tells exactly only up to the oldest unanswered one.
    Delivered,
}

/// What waits for whom. `progress` is from before the steps, the dead letters and the retries were read: whatever a function
/// had answered for by then has left its mark in them.
pub(super) fn waiting(
    progress: &[Progress],
    steps: &[Step],
    letters: &[DeadLetter],
    retries: &[Retry],
) -> Vec<Waiting> {
    let answered: BTreeSet<(&str, &str)> = steps
        .iter()
        .filter_map(|step| Some((step.function.as_deref()?, step.cause.as_deref()?)))
        .chain(letters.iter().map(|letter| (letter.function.as_str(), letter.input.as_str())))
        .chain(retries.iter().map(|retry| (retry.function.as_str(), retry.input.as_str())))
        .collect();
    let mut waiting = Vec::new();
    for step in steps.iter().filter(|step| step.stream == EVENTS) {
        for function in progress.iter().filter(|function| function.listens_to(&step.kind)) {
            let is_behind = step.sequence > function.answered;
            if is_behind && !answered.contains(&(function.function.as_str(), step.subject.as_str())) {
                let is_delivered = step.sequence <= function.delivered;
                waiting.push(Waiting {
                    function: function.function.clone(),
                    input: step.subject.clone(),
                    place: if is_delivered {
                        Place::Delivered
                    } else {
                        Place::Queue { pending: function.pending }
                    },
                });
            }
        }
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetlag::jetstream::ReadMessage;

    fn step(subject: &str, sequence: u64, headers: &[(&str, &str)]) -> Step {
        let message = ReadMessage {
            subject: subject.to_owned(),
            sequence,
            stored_at: time::OffsetDateTime::UNIX_EPOCH,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            payload: bytes::Bytes::new(),
        };
        Step::of(EVENTS, &message).unwrap()
    }

    fn payment(delivered: u64, answered: u64) -> Progress {
        Progress {
            function: "payment".into(),
            filters: vec!["inventory.reserved.*.*".into()],
            delivered,
            answered,
            pending: 3,
        }
    }

    #[test]
    fn an_event_waits_until_its_function_has_answered_or_left_a_mark() {
        let reserved = || step("inventory.reserved.1.b", 7, &[]);
        let placed = step("orders.placed.1.a", 6, &[]);
        let place = |progress: Progress, steps: &[Step]| {
            let waiting = waiting(&[progress], steps, &[], &[]);
            assert!(waiting.len() <= 1 && waiting.iter().all(|one| one.input == "inventory.reserved.1.b"));
            waiting.first().map(|one| one.place)
        };
        assert_eq!(place(payment(6, 6), &[placed.clone(), reserved()]), Some(Place::Queue { pending: 3 }));
        assert_eq!(place(payment(9, 6), &[reserved()]), Some(Place::Delivered));
        assert_eq!(place(payment(9, 7), &[reserved()]), None);
        let charged = [("Jetlag-Function", "payment"), ("Jetlag-Cause", "inventory.reserved.1.b")];
        let charged = step("payments.processed.1.c", 8, &charged);
        assert_eq!(place(payment(9, 6), &[reserved(), charged]), None);
        assert_eq!(place(payment(0, 0), &[placed]), None);
    }
}
