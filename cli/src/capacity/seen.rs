//! What a broker says of itself.

use futures::future::try_join_all;
use jetlag::jetstream::{Operator, OperatorError};
use jetlag::topology::{AUDIT, EVENTS};

use super::store::{Seen, SeenStream};

impl Seen {
    /// Asks the broker for the account's limits, and for the streams that grow.
    ///
    /// # Errors
    /// It does not answer, or denies this user something.
    pub async fn at(operator: &Operator) -> Result<Self, OperatorError> {
        let account = operator.account_facts().await?;
        let streams = try_join_all([EVENTS, AUDIT].map(|name| operator.stream_facts(name))).await?;
        let streams = streams.into_iter().flatten().map(|facts| {
            let stream = SeenStream {
                messages: facts.messages,
                bytes: facts.bytes,
                bytes_max: facts.bytes_max,
                kept_s: facts.age_max,
            };
            (facts.name, stream)
        });
        Ok(Self {
            version: account.version,
            storage_max: account.storage_max,
            storage_used: account.storage_used,
            streams: streams.collect(),
        })
    }
}
