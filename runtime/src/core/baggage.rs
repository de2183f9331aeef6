//! What travels with an input that goes on its way again, beside its own bytes: as much of it as fits.

use crate::core::broker::Message;
use crate::core::originals::Originals;
use crate::dead_letter::Attempt;
use crate::headers;

/// How many attempts a history remembers; older ones are dropped.
pub(crate) const HISTORY_MAX: usize = 16;
/// The most bytes of JSON that a history has; older attempts are dropped before that.
pub(crate) const HISTORY_BYTES_MAX: usize = 12 * 1024;
/// The room that every event leaves, so that its retry and its dead letter fit into a message with all that they carry:
/// original headers, history, and what names the input.
pub(crate) const ROOM_BYTES: usize = 32 * 1024;

/// What an input carries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Baggage {
    /// The headers with which it first came.
    pub(crate) originals: Originals,
    /// The attempts so far, oldest first.
    pub(crate) history: Option<Vec<Attempt>>,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// The input's own bytes leave no room for what has to go with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("with what it has to carry it has {bytes} bytes, and the broker takes {most}")]
pub(crate) struct TooLarge {
    pub(crate) bytes: usize,
    pub(crate) most: usize,
}

impl Baggage {
    /// Puts the baggage on `message`, which may have `most` bytes. What does not fit is left behind, the least needed
    /// first, and a mark tells what: original headers, then the history, then the error.
    pub(crate) fn load(mut self, message: &mut Message, most: usize) -> Result<(), TooLarge> {
        let bare = message.headers.len();
        let mut left_behind = Vec::new();
        for _ in 0..4 {
            message.headers.truncate(bare);
            self.put_on(message, &left_behind);
            if message.size() <= most {
                return Ok(());
            }
            if !self.originals.list().is_empty() {
                self.originals.drop_all();
            } else if let Some(history) = self.history.take() {
                left_behind.push(format!("history {}", history.len()));
            } else if self.error.take().is_some() {
                left_behind.push("error".to_owned());
            } else {
                break;
            }
        }
        Err(TooLarge { bytes: message.size(), most })
    }

    fn put_on(&self, message: &mut Message, left_behind: &[String]) {
        if let Some(error) = &self.error {
            message.headers.push((headers::ERROR, error.clone()));
        }
        if let Some(history) = &self.history {
            message.headers.push((headers::HISTORY, bounded(history)));
        }
        if let Some(json) = self.originals.json() {
            message.headers.push((headers::HEADERS, json));
        }
        let dropped = self.originals.dropped();
        let mut mark: Vec<String> = (dropped > 0).then(|| format!("headers {dropped}")).into_iter().collect();
        mark.extend_from_slice(left_behind);
        if !mark.is_empty() {
            message.headers.push((headers::DROPPED, mark.join(", ")));
        }
    }
}

/// The newest attempts of `history` that fit, as JSON; the last one always does.
fn bounded(history: &[Attempt]) -> String {
    let oldest = history.len().saturating_sub(HISTORY_MAX);
    let mut newest = history.get(oldest..).unwrap_or_default();
    loop {
        let json = serde_json::to_string(newest).unwrap_or_default();
        match newest {
            [_, rest @ ..] if json.len() > HISTORY_BYTES_MAX && !rest.is_empty() => newest = rest,
            _ => return json,
        }
    }
}

#[cfg(test)]
mod tests;
