//! Many inputs at once through one function: for what is counted rather than looked at.

use std::sync::Arc;

use futures::future::join_all;

use super::{Harness, envelope, message};
use crate::Payload;
use crate::core::broker::{Delivery, Stream};
use crate::core::life::live;
use crate::memory::server::Receipt;
use crate::subject::Subject;

/// Inputs that were delivered and are not worked on yet.
pub struct Delivered(Vec<Delivery<Receipt>>);

impl Harness {
    /// Stores an event of each of `payloads`, and delivers them.
    ///
    /// # Panics
    /// A payload does not serialise.
    pub fn delivered<P: Payload>(&self, payloads: impl IntoIterator<Item = P>) -> Delivered {
        for payload in payloads {
            self.put(message(&envelope(&payload, &self.broker)));
        }
        // All of them are of one type, which is two tokens of the subject, and the function emits none of that.
        let inputs = vec![Subject::from_broker(&format!("{}.*.*", P::TYPE))];
        Delivered(self.broker.with(|server, now| {
            let inputs = server.subscribe(Stream::Events, inputs, usize::MAX);
            std::iter::from_fn(|| server.fetch(inputs, now)).collect()
        }))
    }

    /// Works on the first `most` of `delivered`, `together` of them at a time; how many messages the stream of events has
    /// more than before.
    pub async fn work_on(&self, delivered: Delivered, most: usize, together: usize) -> u64 {
        let last = || self.broker.with(|server, _| server.log(Stream::Events).last_sequence());
        let before = last();
        let mut left = delivered.0.into_iter().take(most).peekable();
        while left.peek().is_some() {
            let some = left.by_ref().take(together.max(1));
            join_all(some.map(|delivery| live(Arc::clone(&self.engine), delivery, None))).await;
        }
        last() - before
    }
}
