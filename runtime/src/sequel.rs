//! What the HTTP side needs of a broker, beyond what the core does.

use crate::core::broker::{Broker, Stored, Stream};
use crate::core::engine::Engine;
use crate::core::inbound::Inbound;
use crate::core::judge::Disposition;
use crate::core::life;
use crate::state::Unavailable;

/// A broker that can be asked for a message by its sequence: the messages of one commit stand one behind the other.
pub(crate) trait Sequel: Broker {
    /// The message under `sequence`, as the stream's leader has it; nothing if there is none, or none any more.
    fn at(
        &self,
        stream: Stream,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<Stored>, Unavailable>> + Send;

    /// Takes an input that was pushed here to its end: through the core, unless there is no broker to commit to.
    fn handle(engine: &Engine<Self>, inbound: &Inbound) -> impl Future<Output = Disposition> + Send
    where
        Self: Sized,
    {
        life::handle(engine, inbound, None)
    }
}
