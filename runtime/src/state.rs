//! State that a function owns, read by its handlers with the revision that a later write will insist on.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::Failure;
use crate::failure::Reason;
use crate::subject::Subject;

/// A kind of state: one value for each key, owned by one function, stored as JSON.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kind of state",
    note = "implement `jetlag::Stored` for it, and name it in the contract with `.keeps(&[kind_of::<{Self}>()])`"
)]
pub trait Stored: Serialize + DeserializeOwned {
    /// The kind's name: lower-case letters, digits and `-`.
    const KIND: &'static str;

    /// How long a value is kept at least after it was last written; `None` is for ever. State of something that ends (an
    /// order) should end too, well after the last event that could ask for it. A time longer than the horizon of the
    /// stream is kept for ever as well: the broker cannot end one message later than its stream ends all others.
    const KEEP: Option<Duration> = None;
}

/// The name of a kind of state, for [`Contract::keeps`](crate::Contract::keeps).
pub const fn kind_of<S: Stored>() -> &'static str {
    S::KIND
}

/// The state of a function, as one run of its handler sees it.
#[derive(Clone)]
pub struct State {
    view: Arc<View>,
}

struct View {
    function: &'static str,
    kinds: &'static [&'static str],
    store: Arc<dyn Load>,
    reads: Mutex<BTreeMap<Subject, u64>>,
}

/// One value as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) value: Option<Bytes>,
    /// Tells this value from every other that the key has or had.
    pub(crate) version: u64,
}

type Loading<'a> = Pin<Box<dyn Future<Output = Result<Vec<Loaded>, Unavailable>> + Send + 'a>>;

/// Where state comes from. A key that was loaded stays pinned until it is released.
pub(crate) trait Load: Send + Sync + 'static {
    fn load(&self, subjects: Vec<Subject>) -> Loading<'_>;
    fn release(&self, subjects: &mut dyn Iterator<Item = &Subject>);
}

/// The broker did not answer in time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("state cannot be read: {0}")]
pub(crate) struct Unavailable(pub(crate) String);

impl State {
    pub(crate) fn new(function: &'static str, kinds: &'static [&'static str], store: Arc<dyn Load>) -> Self {
        Self { view: Arc::new(View { function, kinds, store, reads: Mutex::default() }) }
    }

    /// The value under `key`, or `None` if there is none.
    ///
    /// # Errors
    /// The broker does not answer (tried again later), the value is not an `S`, or the contract does not name the
    /// kind.
    pub async fn get<S: Stored>(&self, key: &str) -> Result<Option<S>, Failure> {
        Ok(self.get_all([key]).await?.pop().flatten())
    }

    /// The values under `keys`, in their order, read together.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_all<'k, S: Stored>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<Vec<Option<S>>, Failure> {
        if !self.view.kinds.contains(&S::KIND) {
            let kind = S::KIND;
            return Err(Failure::because(
                Reason::EffectsInvalid,
                format_args!("the contract does not keep {kind:?}: add .keeps(&[…, jetlag::kind_of::<…>()])"),
            ));
        }
        let subjects: Vec<Subject> =
            keys.into_iter().map(|key| Subject::of_state(self.view.function, S::KIND, key)).collect();
        let loaded = self.view.read(subjects.clone()).await?;
        subjects
            .iter()
            .zip(loaded)
            .map(|(subject, loaded)| match loaded.value {
                None => Ok(None),
                Some(json) => serde_json::from_slice(&json)
                    .map(Some)
                    .map_err(|error| Failure::retry(format_args!("{subject} is not a {}: {error}", S::KIND))),
            })
            .collect()
    }

    /// The keys that were read so far, with the versions that were seen.
    pub(crate) fn reads(&self) -> Vec<(Subject, u64)> {
        self.view.seen().iter().map(|(subject, version)| (subject.clone(), *version)).collect()
    }

    /// Reads what is to be written and was not yet read, so that every write has a version to insist on.
    pub(crate) async fn read_before_write(&self, subjects: Vec<Subject>) -> Result<(), Failure> {
        let unread: Vec<Subject> = {
            let seen = self.view.seen();
            subjects.into_iter().filter(|subject| !seen.contains_key(subject)).collect()
        };
        if !unread.is_empty() {
            self.view.read(unread).await?;
        }
        Ok(())
    }
}

impl View {
    async fn read(&self, subjects: Vec<Subject>) -> Result<Vec<Loaded>, Failure> {
        let loaded = self.store.load(subjects.clone()).await.map_err(Failure::release)?;
        let mut again = Vec::new();
        {
            let mut seen = self.seen();
            for (subject, loaded) in subjects.into_iter().zip(&loaded) {
                // The first read counts: a value that changed in between must be noticed at the commit.
                match seen.entry(subject) {
                    Entry::Occupied(entry) => again.push(entry.key().clone()),
                    Entry::Vacant(entry) => drop(entry.insert(loaded.version)),
                }
            }
        }
        self.store.release(&mut again.iter());
        Ok(loaded)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<Subject, u64>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let seen = std::mem::take(self.reads.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.store.release(&mut seen.keys());
    }
}
