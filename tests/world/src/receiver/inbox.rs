//! What was received, by message id: the sum of all deliveries.

use std::collections::{HashMap, hash_map::Entry};

use serde::{Deserialize, Serialize};

/// How many different messages are kept before new ones are refused.
const MAX_MESSAGES: usize = 1_000_000;
/// How many ids of repeated messages a summary names.
const MAX_DUPLICATES_NAMED: usize = 100;

/// How a message arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    Http,
    Smtp,
}

/// One arrival of one message: a line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) channel: Channel,
    /// Milliseconds since 1970.
    pub(crate) received_ms: u64,
    /// What it said; absent if it came before.
    pub(crate) content: Option<Content>,
}

/// A message as it first arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// The sender of the envelope; mail only.
    pub(crate) from: Option<String>,
    /// The recipients of the envelope; mail only.
    pub(crate) to: Vec<String>,
    /// The JSON body, or the mail with its headers, up to a limit.
    pub(crate) text: String,
    /// Whether the limit cut something off.
    pub(crate) truncated: bool,
}

/// Deliveries for each channel.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct ByChannel {
    http: u64,
    smtp: u64,
}

/// All that is known of one message; the answer to `GET /received/{id}`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Message {
    id: String,
    /// Deliveries of this message.
    count: u64,
    by_channel: ByChannel,
    first_received_ms: u64,
    last_received_ms: u64,
    content: Option<Content>,
}

/// The answer to `GET /received`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    total: u64,
    distinct: usize,
    duplicates: Vec<String>,
    by_channel: ByChannel,
}

/// Every message that arrived.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    messages: HashMap<String, Message>,
    by_channel: ByChannel,
    /// The first ids that came twice, in the order in which they did.
    duplicates: Vec<String>,
}

impl ByChannel {
    fn add(&mut self, channel: Channel) {
        match channel {
            Channel::Http => self.http += 1,
            Channel::Smtp => self.smtp += 1,
        }
    }
}

impl Inbox {
    /// Whether a message with this id would be one too many.
    pub(crate) fn has_room_for(&self, id: &str) -> bool {
        self.messages.len() < MAX_MESSAGES || self.messages.contains_key(id)
    }

    /// All that is known of one message.
    pub(crate) fn message(&self, id: &str) -> Option<&Message> {
        self.messages.get(id)
    }

    /// Adds a delivery and returns how often its message has come by now.
    pub(crate) fn apply(&mut self, delivery: Delivery) -> u64 {
        self.by_channel.add(delivery.channel);
        let message = match self.messages.entry(delivery.id) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(unseen) => {
                let id = unseen.key().clone();
                unseen.insert(Message {
                    id,
                    count: 0,
                    by_channel: ByChannel::default(),
                    first_received_ms: delivery.received_ms,
                    last_received_ms: delivery.received_ms,
                    content: delivery.content,
                })
            }
        };
        message.count += 1;
        message.by_channel.add(delivery.channel);
        message.last_received_ms = delivery.received_ms;
        if message.count == 2 && self.duplicates.len() < MAX_DUPLICATES_NAMED {
            self.duplicates.push(message.id.clone());
        }
        message.count
    }

    /// The counts as they stand.
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            total: self.by_channel.http + self.by_channel.smtp,
            distinct: self.messages.len(),
            duplicates: self.duplicates.clone(),
            by_channel: self.by_channel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: &str, channel: Channel) -> Delivery {
        Delivery { id: id.to_owned(), channel, received_ms: 0, content: None }
    }

    #[test]
    fn a_message_that_comes_three_times_is_one_duplicate() {
        let mut inbox = Inbox::default();
        for channel in [Channel::Http, Channel::Smtp, Channel::Http] {
            inbox.apply(delivery("a", channel));
        }
        inbox.apply(delivery("b", Channel::Http));
        let summary = inbox.summary();
        assert_eq!((summary.total, summary.distinct), (4, 2));
        assert_eq!((summary.by_channel.http, summary.by_channel.smtp), (3, 1));
        assert_eq!(summary.duplicates, ["a"]);
    }

    #[test]
    fn a_summary_names_no_more_duplicates_than_the_limit() {
        let mut inbox = Inbox::default();
        for number in 0..=MAX_DUPLICATES_NAMED {
            let id = number.to_string();
            inbox.apply(delivery(&id, Channel::Http));
            inbox.apply(delivery(&id, Channel::Http));
        }
        let summary = inbox.summary();
        assert_eq!(summary.duplicates.len(), MAX_DUPLICATES_NAMED);
        assert_eq!(summary.distinct, MAX_DUPLICATES_NAMED + 1);
    }
}
