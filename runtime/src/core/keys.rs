//! One at a time for each key, in the order of arrival.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

/// The keys that are being worked on in this process.
#[derive(Debug, Default, Clone)]
pub(crate) struct Keys {
    lines: Arc<Mutex<HashMap<String, Line>>>,
}

#[derive(Debug)]
struct Line {
    turns: Arc<Turns<()>>,
    waiting: usize,
}

/// A place in a key's line, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    keys: Keys,
    key: String,
    turns: Arc<Turns<()>>,
}

/// The right to work on a key, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // Dropped in this order: the next in line may go before the line is taken away.
    _guard: OwnedMutexGuard<()>,
    _place: Place,
}

impl Keys {
    /// Takes a place in the line for `key`, at once: lines are in the order of these calls.
    pub(crate) fn line_up(&self, key: &str) -> Place {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(key.to_owned()).or_insert_with(|| Line { turns: Arc::default(), waiting: 0 });
        line.waiting += 1;
        Place { keys: self.clone(), key: key.to_owned(), turns: Arc::clone(&line.turns) }
    }
}

impl Place {
    /// Waits for everyone who lined up before.
    pub(crate) async fn turn(self) -> Turn {
        let guard = Arc::clone(&self.turns).lock_owned().await;
        Turn { _guard: guard, _place: self }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.keys.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&self.key) {
            line.waiting -= 1;
            if line.waiting == 0 {
                lines.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_key_is_given_to_one_at_a_time_and_other_keys_do_not_wait() {
        let keys = Keys::default();
        let first = keys.line_up("a").turn().await;
        let mut second = Box::pin(keys.line_up("a").turn());
        assert!((&mut second).now_or_never().is_none());
        assert!(keys.line_up("b").turn().now_or_never().is_some());
        drop(first);
        drop(second.await);
        assert!(keys.lines.lock().unwrap().is_empty());
    }
}
