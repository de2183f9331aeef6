//! Everything that happened: the events of the trail, which is long, and of EVENTS, which has the times.

use std::collections::{BTreeMap, BTreeSet};

use jetlag::Envelope;
use jetlag::jetstream::ReadMessage;
use jetlag::topology::{AUDIT, EVENTS};
use time::OffsetDateTime;

use super::finding::Finding;
use crate::streams::Origin;

/// Every event, once, in the order in which it was committed.
#[derive(Debug)]
pub(super) struct History {
    pub(super) happenings: Vec<Happening>,
    /// How many events of EVENTS are in the trail too.
    pub(super) copied: u64,
}

/// One event.
#[derive(Debug)]
pub(super) struct Happening {
    pub(super) envelope: Envelope,
    /// Its sequence in EVENTS; 0 if only the trail has it, which does not say when it was committed.
    pub(super) sequence: u64,
    /// When the broker stored it.
    pub(super) at: OffsetDateTime,
}

impl History {
    /// The history that `events` and `trail` tell together. Events of the one that are not in the other are found.
    pub(super) fn of(events: &[ReadMessage], trail: &[ReadMessage], findings: &mut Vec<Finding>) -> Self {
        let origins: Vec<Origin> = trail.iter().map(Origin::of).collect();
        let mut copied: BTreeSet<&str> = BTreeSet::new();
        for origin in &origins {
            if !copied.insert(&origin.subject) {
                findings.push(Finding::TwiceInTrail { subject: origin.subject.clone() });
            }
        }
        let current: BTreeMap<&str, &ReadMessage> =
            events.iter().map(|message| (message.subject.as_str(), message)).collect();
        let mut history = Self { happenings: Vec::new(), copied: 0 };
        let expired =
            origins.iter().zip(trail).filter(|(origin, _)| !current.contains_key(origin.subject.as_str()));
        for (_, message) in expired {
            history.note(AUDIT, message, 0, findings);
        }
        for message in events {
            if copied.contains(message.subject.as_str()) {
                history.copied += 1;
            } else {
                findings.push(Finding::NotInTrail { subject: message.subject.clone() });
            }
            history.note(EVENTS, message, message.sequence, findings);
        }
        history
    }

    fn note(
        &mut self,
        stream: &'static str,
        message: &ReadMessage,
        sequence: u64,
        findings: &mut Vec<Finding>,
    ) {
        match Envelope::read(&message.payload) {
            Ok(envelope) => self.happenings.push(Happening { envelope, sequence, at: message.stored_at }),
            Err(error) => {
                let why = error.to_string();
                findings.push(Finding::Unreadable { stream, sequence: message.sequence, why });
            }
        }
    }
}
