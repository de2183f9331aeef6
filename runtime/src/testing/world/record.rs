//! What a simulation leaves behind, for a test to look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::core::broker::{Stored as Kept, Stream};
use crate::core::redrive::redrive;
use crate::dead_letter::DeadLetter as Letter;
use crate::event::Envelope;
use crate::handler::Bindings;
use crate::headers;
use crate::memory::server::log::Entry;
use crate::subject::Subject;
use crate::testing::network::connection::{Connection, Life};
use crate::testing::witness::Tally;
use crate::testing::witness::fate::Cause;
use crate::testing::{DeadLetter, World};
use crate::{Incoming, Payload, Stored};

/// The number of the process in which the operator works.
const OPERATOR: u32 = 0;

impl World {
    /// An operator redrives every dead letter with `reason`, some of them twice, and this tells how many there are. They are
    /// on their way when time goes on.
    pub fn redrive(&mut self, reason: &str) -> usize {
        let time_of_day = |at: Duration| self.network.epoch() + at;
        let letters: Vec<Letter> = {
            let wire = self.network.lock();
            let letters =
                wire.server.log(Stream::DeadLetters).history().filter_map(|Entry { stored, at, .. }| {
                    let Kept { subject, sequence, headers, payload } = stored.clone();
                    Letter::read(sequence, subject.as_str(), time_of_day(*at), headers, payload).ok()
                });
            letters.filter(|letter| letter.reason.code() == reason).collect()
        };
        let life = Arc::new(Life::new(OPERATOR, "operator", time::Duration::ZERO));
        let connection = Connection { network: Arc::clone(&self.network), life };
        for letter in &letters {
            let bindings = self.functions.iter().map(|(bindings, _)| bindings);
            let Some(Bindings { terms, .. }) = bindings.into_iter().find(|b| b.terms.name == letter.function)
            else {
                continue;
            };
            let cause = Cause {
                function: terms.name,
                subject: letter.input.clone(),
                redrive: Some(letter.redrive_id()),
            };
            self.network.lock().witness.redriven(cause);
            for _ in 0..=self.dice.below(2) {
                let (connection, letter) = (connection.clone(), letter.clone());
                tokio::spawn(async move { drop(redrive(&connection, &letter, "an operator").await) });
            }
        }
        letters.len()
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

    /// How many messages brought inputs about `aggregate_id` to `function`, by attempt. An attempt has several where the
    /// attempt before it ran twice: each is delivered a first time.
    pub fn messages(&self, function: &str, aggregate_id: &str) -> BTreeMap<u32, u32> {
        let wire = self.network.lock();
        let lane = format!("retry.{function}.");
        let retries = wire.server.log(Stream::Retry).history().filter(|entry| {
            let input = entry.stored.header(headers::SUBJECT).map(Subject::from_broker);
            let about = input.and_then(|input| input.parse_event()).map(|parts| parts.aggregate_id);
            entry.stored.subject.as_str().starts_with(&lane) && about.as_deref() == Some(aggregate_id)
        });
        let mut messages = BTreeMap::from([(1, 1)]);
        for retry in retries {
            let attempt = retry.stored.header(headers::ATTEMPT).and_then(|text| text.parse().ok());
            *messages.entry(attempt.unwrap_or(1)).or_default() += 1;
        }
        messages
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
