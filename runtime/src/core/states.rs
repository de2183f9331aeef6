//! State in the hands of this process: read once for all who use it at the same time, written ahead of the broker.
//!
//! A value stays here only while an input that read it is in flight. A handler sees what an earlier one in this process
//! decided, even before the broker has it; the group commit then publishes only the last value of a key. If the broker
//! refuses, everything that was decided on a refused value is decided again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::StreamExt;

use crate::core::broker::{Broker, Stream};
use crate::core::commit::StateWrite;
use crate::state::{Load, Loaded, Unavailable};
use crate::subject::Subject;

/// How many values are asked for at a time.
const LOADS_IN_FLIGHT_MAX: usize = 64;

/// The values in use.
pub(crate) struct States<B> {
    broker: Arc<B>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: HashMap<Subject, Entry>,
    versions: u64,
}

#[derive(Debug, Default)]
struct Entry {
    users: usize,
    /// The version under which it was last read from the broker: older versions were decided on another reading.
    read_as: u64,
    /// What the next handler sees; nothing after a refusal, until it is read again.
    current: Option<Current>,
    /// What the broker has.
    committed: Option<Committed>,
}

#[derive(Debug, Clone)]
struct Current {
    version: u64,
    value: Option<Bytes>,
}

/// The version that the broker has, and the sequence under which it has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) version: u64,
    pub(crate) sequence: u64,
}

impl Entry {
    fn forget(&mut self) {
        self.current = None;
        self.committed = None;
        self.read_as = u64::MAX;
    }
}

/// Something that was read has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stale;

impl<B: Broker> States<B> {
    pub(crate) fn new(broker: Arc<B>) -> Self {
        Self { broker, table: Mutex::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the broker still has what was read, version by version. What it has not is forgotten.
    pub(crate) async fn are_current(&self, reads: Vec<(Subject, u64)>) -> Result<bool, Unavailable> {
        let known: Vec<_> = {
            let table = self.lock();
            let sequence = |subject: &Subject, version| {
                table.committed(subject).filter(|committed| committed.version == version).map(|c| c.sequence)
            };
            reads
                .into_iter()
                .map(|(subject, version)| (sequence(&subject, version), subject, version))
                .collect()
        };
        let looked = futures::stream::iter(known)
            .map(async |(known, subject, version)| {
                let (subject, _, sequence) = self.fetch(subject, true).await?;
                let is_current = known == Some(sequence);
                if !is_current {
                    self.lock().forget(&subject, version);
                }
                Ok(is_current)
            })
            .buffered(LOADS_IN_FLIGHT_MAX)
            .collect::<Vec<_>>()
            .await;
        looked.into_iter().try_fold(true, |all, one| Ok(all && one?))
    }

    /// What the broker has under `subject`. Any replica will do for a value that is written back, since its sequence is
    /// checked then; one that decides something as it is comes from the leader.
    async fn fetch(
        &self,
        subject: Subject,
        at_leader: bool,
    ) -> Result<(Subject, Option<Bytes>, u64), Unavailable> {
        let stored = if at_leader {
            self.broker.last_at_leader(Stream::Events, &subject).await?
        } else {
            self.broker.last(Stream::Events, &subject).await?
        };
        let sequence = stored.as_ref().map_or(0, |stored| stored.sequence);
        Ok((subject, stored.map(|stored| stored.payload), sequence))
    }
}

impl<B: Broker> Load for States<B> {
    fn load(
        &self,
        subjects: Vec<Subject>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<Loaded>, Unavailable>> + Send + '_>> {
        Box::pin(async move {
            // What is known is pinned at once, so that it cannot go away while the rest is fetched.
            let mut loaded = self.lock().pin_known(&subjects);
            let known = subjects.iter().zip(&loaded).filter(|(_, loaded)| loaded.is_some());
            let mut pins =
                Pins { states: self, subjects: known.map(|(subject, _)| subject.clone()).collect() };
            let missing = subjects.iter().zip(&loaded).filter(|(_, loaded)| loaded.is_none());
            let missing: Vec<(Subject, bool)> = {
                let table = self.lock();
                missing.map(|(subject, _)| (subject.clone(), table.was_refused(subject))).collect()
            };
            let fetched: Result<Vec<_>, _> = futures::stream::iter(missing)
                .map(|(subject, was_refused)| self.fetch(subject, was_refused))
                .buffered(LOADS_IN_FLIGHT_MAX)
                .collect::<Vec<_>>()
                .await
                .into_iter()
                .collect();
            let mut fetched = fetched?.into_iter();
            // From here on they are the caller's to release.
            pins.subjects.clear();
            let mut table = self.lock();
            for loaded in loaded.iter_mut().filter(|loaded| loaded.is_none()) {
                *loaded =
                    fetched.next().map(|(subject, value, sequence)| table.pin(subject, value, sequence));
            }
            Ok(loaded.into_iter().flatten().collect())
        })
    }

    fn release(&self, subjects: &mut dyn Iterator<Item = &Subject>) {
        let mut table = self.lock();
        for subject in subjects {
            table.unpin(subject);
        }
    }
}

/// What a load has pinned so far: given up if the load fails, or is given up itself.
struct Pins<'s, B: Broker> {
    states: &'s States<B>,
    subjects: Vec<Subject>,
}

impl<B: Broker> Drop for Pins<'_, B> {
    fn drop(&mut self) {
        self.states.release(&mut self.subjects.iter());
    }
}

impl Table {
    /// Pins those of `subjects` that are known, and gives their values.
    fn pin_known(&mut self, subjects: &[Subject]) -> Vec<Option<Loaded>> {
        let pin = |subject| {
            let entry: &mut Entry = self.entries.get_mut(subject)?;
            let current = entry.current.clone()?;
            entry.users += 1;
            Some(Loaded { value: current.value, version: current.version })
        };
        subjects.iter().map(pin).collect()
    }

    /// Whether a value of `subject` in use was refused: the replica that it came from may lag, and would give it again.
    fn was_refused(&self, subject: &Subject) -> bool {
        self.entries.get(subject).is_some_and(|entry| entry.current.is_none())
    }

    /// Pins `subject` and gives its value: what was fetched, or what somebody else has made of it meanwhile.
    fn pin(&mut self, subject: Subject, value: Option<Bytes>, sequence: u64) -> Loaded {
        self.versions += 1;
        let version = self.versions;
        let entry = self.entries.entry(subject).or_default();
        entry.users += 1;
        if entry.current.is_none() {
            entry.committed = Some(Committed { version, sequence });
            entry.read_as = version;
        }
        let current = entry.current.get_or_insert(Current { version, value });
        Loaded { value: current.value.clone(), version: current.version }
    }

    fn unpin(&mut self, subject: &Subject) {
        if let Some(entry) = self.entries.get_mut(subject) {
            entry.users = entry.users.saturating_sub(1);
            if entry.users == 0 {
                self.entries.remove(subject);
            }
        }
    }

    /// Accepts `writes` that were decided on `reads`: later handlers see them. Gives the versions of the writes.
    pub(crate) fn write_ahead(
        &mut self,
        reads: &[(Subject, u64)],
        writes: &[StateWrite],
    ) -> Result<Vec<u64>, Stale> {
        let is_current = |(subject, version): &(Subject, u64)| {
            let current = self.entries.get(subject).and_then(|entry| entry.current.as_ref());
            current.is_some_and(|current| current.version == *version)
        };
        if !reads.iter().all(is_current) {
            return Err(Stale);
        }
        Ok(writes
            .iter()
            .map(|write| {
                self.versions += 1;
                let version = self.versions;
                let entry = self.entries.entry(write.subject.clone()).or_default();
                entry.current = Some(Current { version, value: Some(write.value.clone()) });
                version
            })
            .collect())
    }

    /// What the broker has under `subject`.
    pub(crate) fn committed(&self, subject: &Subject) -> Option<Committed> {
        self.entries.get(subject).and_then(|entry| entry.committed)
    }

    /// The broker has `version` now, under `sequence`.
    pub(crate) fn commit(&mut self, subject: &Subject, committed: Committed) {
        let Some(entry) = self.entries.get_mut(subject) else { return };
        if entry.read_as <= committed.version {
            entry.committed = Some(committed);
        } else if entry.committed.is_some_and(|known| known.sequence < committed.sequence) {
            // Read anew while this was on its way, and too early to see it.
            entry.forget();
        }
    }

    /// `version` of `subject` will not come true, nor what was decided on it: the next handler reads it anew.
    pub(crate) fn forget(&mut self, subject: &Subject, version: u64) {
        if let Some(entry) = self.entries.get_mut(subject)
            && entry.read_as <= version
        {
            entry.forget();
        }
    }
}

#[cfg(test)]
mod tests;
