//! What stands right behind a message in its stream.

use crate::core::broker::{Broker, Stored, Stream};
use crate::state::Unavailable;

/// A broker that can be asked for a message by its sequence: the messages of one commit stand one behind the other.
pub(crate) trait Sequel: Broker {
    /// The message under `sequence`, as the stream's leader has it; nothing if there is none, or none any more.
    fn at(
        &self,
        stream: Stream,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<Stored>, Unavailable>> + Send;
}
