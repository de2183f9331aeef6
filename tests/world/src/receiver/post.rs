//! The post office: where both channels hand in what they received, and where it is written down
//! before anyone is told that it arrived.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::inbox::{Channel, Content, Delivery, Inbox, Message, Summary};
use crate::{
    clock,
    journal::{Journal, JournalError},
};

/// The longest delay that can be asked for, in milliseconds.
const MAX_LATENCY_MS: u64 = 60_000;
/// The longest message id, in bytes.
const MAX_ID_BYTES: usize = 512;
/// How much of a message is kept, in bytes.
const MAX_KEPT_BYTES: usize = 1024;

/// The state of the switches, which is also what `GET /control` answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::Args)]
pub struct Switches {
    /// Refuse notifications: 503 by HTTP, 421 by SMTP.
    #[arg(long)]
    pub outage: bool,
    /// Wait this long before each answer, after the message was counted; at most 60000.
    #[arg(long, value_name = "MS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(..=MAX_LATENCY_MS))]
    pub latency_ms: u64,
}

/// The body of `PUT /control`: whatever is absent stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    outage: Option<bool>,
    latency_ms: Option<u64>,
}

/// Why a message was not counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    /// It cannot be told apart from others.
    #[error("a message id must have 1 to {MAX_ID_BYTES} bytes")]
    Id,
    /// As many messages are kept as can be.
    #[error("the inbox is full")]
    Full,
    /// The data file refused the entry.
    #[error("the delivery could not be written down")]
    Journal(#[from] JournalError),
}

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct Post {
    shelves: Mutex<Shelves>,
    switches: Mutex<Switches>,
}

#[derive(Debug)]
struct Shelves {
    inbox: Inbox,
    journal: Journal<Delivery>,
}

impl Post {
    /// Reads the inbox back from `data`, if there is such a file.
    pub(crate) fn open(data: Option<&Path>, switches: Switches) -> Result<Self, JournalError> {
        let mut inbox = Inbox::default();
        let journal = Journal::open(data, |delivery| {
            inbox.apply(delivery);
        })?;
        Ok(Post { shelves: Mutex::new(Shelves { inbox, journal }), switches: Mutex::new(switches) })
    }

    /// Counts a message and returns how often it has come by now.
    pub(crate) fn deliver(&self, id: &str, channel: Channel, content: Content) -> Result<u64, Rejection> {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(Rejection::Id);
        }
        let mut guard = self.shelves();
        let Shelves { inbox, journal } = &mut *guard;
        if !inbox.has_room_for(id) {
            return Err(Rejection::Full);
        }
        let content = inbox.message(id).is_none().then_some(content);
        let delivery = Delivery { id: id.to_owned(), channel, received_ms: clock::unix_ms(), content };
        journal.append(&delivery)?;
        Ok(inbox.apply(delivery))
    }

    /// All that is known of one message.
    pub(crate) fn message(&self, id: &str) -> Option<Message> {
        self.shelves().inbox.message(id).cloned()
    }

    /// The counts as they stand.
    pub(crate) fn summary(&self) -> Summary {
        self.shelves().inbox.summary()
    }

    /// The switches as they stand.
    pub(crate) fn switches(&self) -> Switches {
        *self.lock_switches()
    }

    /// Changes the switches and returns them, or `None` if the change asks for more than
    /// [`MAX_LATENCY_MS`].
    pub(crate) fn change(&self, change: &Change) -> Option<Switches> {
        if change.latency_ms.is_some_and(|latency_ms| latency_ms > MAX_LATENCY_MS) {
            return None;
        }
        let mut switches = self.lock_switches();
        switches.outage = change.outage.unwrap_or(switches.outage);
        switches.latency_ms = change.latency_ms.unwrap_or(switches.latency_ms);
        Some(*switches)
    }

    /// Waits as long as the latency switch says. It comes after the count, so that a sender who
    /// loses patience has been heard all the same: the lost acknowledgement is the hard case.
    pub(crate) async fn delay(&self) {
        let latency_ms = self.switches().latency_ms;
        if latency_ms > 0 {
            sleep(Duration::from_millis(latency_ms)).await;
        }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // The journal is written before the inbox, and the inbox cannot fail, so even a thread
        // that died here left nothing half done.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_switches(&self) -> MutexGuard<'_, Switches> {
        // Plain flags: no thread can leave them half set.
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Keeps the beginning of a message, as text.
    pub(crate) fn of(from: Option<String>, to: Vec<String>, bytes: &[u8]) -> Self {
        let kept = bytes.get(..MAX_KEPT_BYTES).unwrap_or(bytes);
        let text = String::from_utf8_lossy(kept).into_owned();
        Content { from, to, text, truncated: kept.len() < bytes.len() }
    }
}
