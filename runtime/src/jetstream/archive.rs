//! Looking through the real broker's streams, and weeding them.

use time::OffsetDateTime;

use crate::core::broker::{Archive, Kept, Stored, Stream};
use crate::jetstream::broker::JetStream;
use crate::jetstream::operator::{ReadMessage, delete, read_batch};
use crate::state::Unavailable;
use crate::subject::Subject;

impl Archive for JetStream {
    async fn page(&self, stream: Stream, filter: &Subject, from: u64) -> Result<Vec<Kept>, Unavailable> {
        let read = read_batch(self.caller(), Self::name(stream), filter.as_str(), from.max(1)).await;
        let read = read.map_err(|error| Unavailable(error.to_string()))?;
        Ok(read.into_iter().map(kept).collect())
    }

    async fn remove(&self, stream: Stream, sequence: u64) -> Result<(), Unavailable> {
        let removed = delete(self.caller(), Self::name(stream), sequence).await;
        removed.map_err(|error| Unavailable(error.to_string()))
    }
}

/// A message that was read, as the core has it.
pub(super) fn kept(message: ReadMessage) -> Kept {
    let ReadMessage { subject, sequence, stored_at, headers, payload } = message;
    let stored = Stored { subject: Subject::from_broker(&subject), sequence, headers, payload };
    let time: OffsetDateTime = stored_at;
    Kept { stored, time }
}
