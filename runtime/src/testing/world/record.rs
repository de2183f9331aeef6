//! What a simulation leaves behind, for a test to look at.

use std::time::Duration;

use bytes::Bytes;

use crate::core::broker::{Message, Stored as Kept, Stream};
use crate::event::Envelope;
use crate::subject::Subject;
use crate::testing::network::wire::LAG_MAX;
use crate::testing::server::log::Entry;
use crate::testing::witness::Tally;
use crate::testing::witness::fate::Cause;
use crate::testing::{DeadLetter, World};
use crate::{Incoming, Payload, Stored, headers};

impl World {
    /// Sends every dead letter with `reason` to its function again, as an operator does, and tells how many.
    pub fn redrive(&mut self, reason: &str) -> usize {
        let now = self.network.now();
        let mut wire = self.network.lock();
        let letters: Vec<Kept> =
            wire.server.log(Stream::DeadLetters).history().map(|e| e.stored.clone()).collect();
        let mut count = 0;
        for letter in letters.iter().filter(|letter| letter.header(headers::REASON) == Some(reason)) {
            let (Some(function), Some(cause)) =
                (letter.header(headers::FUNCTION), letter.header(headers::SUBJECT))
            else {
                continue;
            };
            let Some((bindings, _)) = self.functions.iter().find(|(b, _)| b.terms.name == function) else {
                continue;
            };
            count += 1;
            let name = bindings.terms.name;
            let redrive = format!("redrive-{count}");
            let mut message = Message::new(Subject::of_retry(name, &redrive, 1), letter.payload.clone());
            message.headers = vec![
                (headers::FUNCTION, name.to_owned()),
                (headers::SUBJECT, cause.to_owned()),
                (headers::ATTEMPT, "1".to_owned()),
                (headers::REDRIVE, redrive.clone()),
            ];
            let subject = Subject::from_broker(cause);
            wire.witness.redriven(Cause { function: name, subject, redrive: Some(redrive) });
            let _ = wire.server.publish(Stream::Retry, &[message], now, self.network.epoch());
        }
        count
    }

    /// Every event of type `P` that was ever committed, in order.
    pub fn committed<P: Payload>(&self) -> Vec<P> {
        self.committed_when().into_iter().map(|(_, payload)| payload).collect()
    }

    /// The same with the moment of each, counted from the beginning.
    pub fn committed_when<P: Payload>(&self) -> Vec<(Duration, P)> {
        let wire = self.network.lock();
        let prefix = format!("{}.", P::TYPE);
        let events = wire
            .server
            .log(Stream::Events)
            .history()
            .filter(|e| e.stored.subject.as_str().starts_with(&prefix));
        let payload = |entry: &Entry| {
            let envelope = Envelope::read(&entry.stored.payload).ok()?;
            Some((entry.at, P::decode(P::TYPE, &envelope.data).ok()?))
        };
        events.filter_map(payload).collect()
    }

    /// Every value that a piece of state ever had, in order.
    pub fn history<S: Stored>(&self, function: &str, key: &str) -> Vec<S> {
        self.history_when(function, key).into_iter().map(|(_, value)| value).collect()
    }

    /// The same with the moment of each, counted from the beginning.
    pub fn history_when<S: Stored>(&self, function: &str, key: &str) -> Vec<(Duration, S)> {
        let wire = self.network.lock();
        let subject = Subject::of_state(function, S::KIND, key);
        let values =
            wire.server.log(Stream::Events).history().filter(|entry| entry.stored.subject == subject);
        let value = |entry: &Entry| Some((entry.at, serde_json::from_slice(&entry.stored.payload).ok()?));
        values.filter_map(value).collect()
    }

    /// How far a replica lagged behind at most, zero where none ever did.
    pub fn lag_max(&self) -> Duration {
        if self.has_lagged { LAG_MAX } else { Duration::ZERO }
    }

    /// The bytes of the trail, in order.
    pub fn trail(&self) -> Vec<Bytes> {
        let wire = self.network.lock();
        wire.server.log(Stream::Audit).history().map(|entry| entry.stored.payload.clone()).collect()
    }

    /// Every dead letter, in order.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let wire = self.network.lock();
        wire.server.log(Stream::DeadLetters).history().map(|entry| DeadLetter::of(&entry.stored)).collect()
    }

    /// How much happened.
    pub fn tally(&self) -> Tally {
        self.network.lock().witness.tally
    }
}
