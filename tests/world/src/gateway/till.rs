//! The till: the one place where a request becomes an execution, once for each idempotency key.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    DeclineRules,
    execution::{Execution, KeyedRequest},
    ledger::{Ledger, Statement},
    operation::Operation,
    refusal::Refusal,
};
use crate::{
    clock,
    journal::{Journal, JournalError},
};

/// Shared by all requests.
#[derive(Debug)]
pub(crate) struct Till {
    rules: DeclineRules,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    ledger: Ledger,
    journal: Journal<Execution>,
    /// The fingerprint of the request that runs under each key at this moment.
    in_flight: HashMap<String, String>,
    /// Answers given again since this process started.
    replays: u64,
}

/// How a request may go on.
#[derive(Debug)]
pub(crate) enum Opening {
    /// It was carried out before: answer the same again.
    Replay(Arc<Execution>),
    /// It is the only one under its key: carry it out.
    Begin(Claim),
}

/// The right to carry out one request. While it lives, its key is in flight.
#[derive(Debug)]
pub(crate) struct Claim {
    till: Arc<Till>,
    request: Option<KeyedRequest>,
}

impl Till {
    /// Reads the books back from `data`, if there is such a file.
    pub(crate) fn open(data: Option<&Path>, rules: DeclineRules) -> Result<Arc<Self>, JournalError> {
        let mut ledger = Ledger::default();
        let journal = Journal::open(data, |execution| ledger.apply(Arc::new(execution)))?;
        let books = Books { ledger, journal, in_flight: HashMap::new(), replays: 0 };
        Ok(Arc::new(Till { rules, books: Mutex::new(books) }))
    }

    /// Decides what becomes of a request, by its idempotency key if it has one.
    pub(crate) fn open_request(self: &Arc<Self>, request: Option<KeyedRequest>) -> Result<Opening, Refusal> {
        let Some(request) = request else {
            return Ok(Opening::Begin(Claim { till: Arc::clone(self), request: None }));
        };
        let mut books = self.books();
        if let Some(before) = books.ledger.remembered(&request.key).cloned() {
            if before.request.as_ref() != Some(&request) {
                return Err(Refusal::KeyReused(request.key));
            }
            books.replays += 1;
            return Ok(Opening::Replay(before));
        }
        match books.in_flight.get(&request.key) {
            Some(fingerprint) if *fingerprint != request.fingerprint => Err(Refusal::KeyReused(request.key)),
            Some(_) => Err(Refusal::KeyInFlight(request.key)),
            None => {
                books.in_flight.insert(request.key.clone(), request.fingerprint.clone());
                Ok(Opening::Begin(Claim { till: Arc::clone(self), request: Some(request) }))
            }
        }
    }

    /// What was last done to an intent.
    pub(crate) fn last_execution(&self, intent: &str) -> Option<Arc<Execution>> {
        self.books().ledger.last_execution(intent).cloned()
    }

    /// The books as they stand.
    pub(crate) fn statement(&self) -> Statement {
        let books = self.books();
        books.ledger.statement(books.replays)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // The journal is written before the ledger, and the ledger cannot fail, so even a thread
        // that died here left nothing half done.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Carries the request out: into the journal first, then into the ledger.
    pub(crate) fn execute(self, operation: Operation) -> Result<Arc<Execution>, Refusal> {
        let mut guard = self.till.books();
        let books = &mut *guard;
        let now_s = clock::unix_s();
        let (intent, decline) = operation.outcome(&books.ledger, &self.till.rules, now_s)?;
        let execution = Execution { at_s: now_s, intent, decline, request: self.request.clone() };
        books.journal.append(&execution).map_err(Refusal::Journal)?;
        let execution = Arc::new(execution);
        books.ledger.apply(Arc::clone(&execution));
        Ok(execution)
    }
}

impl Drop for Claim {
    /// Frees the key whichever way the request ended. By now a success is remembered, so nobody
    /// can slip in between.
    fn drop(&mut self) {
        if let Some(request) = &self.request {
            self.till.books().in_flight.remove(&request.key);
        }
    }
}
