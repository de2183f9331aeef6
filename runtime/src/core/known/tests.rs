use bytes::Bytes;

use super::*;
use crate::core::broker::Message;
use crate::memory::Still;

#[tokio::test]
async fn what_a_lagging_replica_does_not_show_is_known_all_the_same() {
    let broker = Still::new();
    let payload = r#"{"id": "1", "type": "a.b", "aggregate_id": "A", "data": {}, "timestamp": "2025-01-01T00:00:00Z", "trace_id": ""}"#;
    let stored = Stored {
        subject: Subject::of_event("a.b", "A", "1"),
        sequence: 1,
        headers: Default::default(),
        payload: Bytes::from_static(payload.as_bytes()),
    };
    let known = Known::of("f", Stream::Events, &stored);
    assert!(known.guard.is_some(), "it is an event");
    broker.fall_behind();
    let publish = |stream, subject, reason: Option<Reason>| {
        let mut message = Message::new(subject, Bytes::new());
        message.headers.extend(reason.map(|reason| (headers::REASON, reason.code().into())));
        broker.publish_now(stream, &[message]).unwrap();
    };
    assert!(!known.is_under_way(&broker, "f").await.unwrap());
    assert_eq!(known.answered(&broker, "f").await.unwrap(), Answered::No);
    publish(Stream::Retry, Subject::of_retry("f", &known.id, 2), None);
    assert!(known.is_under_way(&broker, "f").await.unwrap());
    publish(Stream::Events, Subject::of_receipt("f", "A", &known.id), Some(Reason::Rejected));
    assert_eq!(known.answered(&broker, "f").await.unwrap(), Answered::HalfDead(Reason::Rejected));
    publish(Stream::DeadLetters, Subject::of_dead_letter("f", &known.id), None);
    assert_eq!(known.answered(&broker, "f").await.unwrap(), Answered::Yes);
}
