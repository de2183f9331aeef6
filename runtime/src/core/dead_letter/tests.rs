use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use super::*;
use crate::core::broker::Stored;
use crate::state::Unavailable;
use crate::{AnyEvent, Contract, Nothing};

/// A leader that is none any more, and does not know it yet: something refuses the receipt, and it has nothing to show.
struct Former;

impl Broker for Former {
    type Receipt = ();

    async fn publish(&self, stream: Stream, messages: Vec<Message>) -> Result<u64, PublishError> {
        assert_eq!(stream, Stream::Events, "{messages:?}");
        Err(PublishError::Refused)
    }

    async fn last(&self, _: Stream, _: &Subject) -> Result<Option<Stored>, Unavailable> {
        Ok(None)
    }

    async fn last_at_leader(&self, _: Stream, _: &Subject) -> Result<Option<Stored>, Unavailable> {
        Ok(None)
    }

    async fn ack(&self, (): &()) {}

    async fn give_back(&self, (): &(), _: Duration) {}

    async fn in_progress(&self, (): &()) {}

    fn message_bytes_max(&self) -> usize {
        1024 * 1024
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }
}

#[tokio::test]
async fn a_refusal_that_nothing_explains_is_taken_for_neither_a_commit_nor_a_burial() {
    const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("f", "Tests.");
    let delivery = Delivery {
        stream: Stream::Events,
        subject: Subject::of_event("orders.placed", "O", "e"),
        headers: Vec::new(),
        payload: Bytes::from_static(
            br#"{"id":"e","type":"orders.placed","aggregate_id":"O","data":{},"timestamp":"2026-01-01T00:00:00Z"}"#,
        ),
        sequence: 7,
        time: OffsetDateTime::UNIX_EPOCH,
        delivered: 1,
        receipt: (),
    };
    let inbound = Inbound::read(&CONTRACT.terms(), &delivery).unwrap();
    let burial = bury(&Former, &delivery, &inbound, Reason::Rejected, "no").await;
    assert!(matches!(burial, Err(NotBuried::Unknown(_))), "{burial:?}");
}
