use super::*;
use crate::core::broker::Message;
use crate::memory::Still;

const BODY: &str =
    r#"{"id":"e","type":"orders.placed","aggregate_id":"O 1","data":{},"timestamp":"2025-01-01T00:00:00Z"}"#;

fn stored(subject: &str, body: &str, headers: &[(&str, &str)]) -> Stored {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Stored { subject: Subject::from_broker(subject), sequence: 7, headers, payload: body.to_owned().into() }
}

#[test]
fn an_input_is_the_same_one_on_every_way() {
    let event = Known::of("payment", Stream::Events, &stored("orders.placed.O%201.e", BODY, &[]));
    let headers = [(headers::SUBJECT, "orders.placed.O%201.e"), (headers::ATTEMPT, "3")];
    let retry = Known::of("payment", Stream::Retry, &stored("retry.payment.x.3", BODY, &headers));
    let outside = Known::of("payment", Stream::Intake, &stored("orders.placed", BODY, &[]));
    assert_eq!((&retry.id, &retry.subject, retry.attempt), (&event.id, &event.subject, 3));
    assert_eq!((&outside.id, &outside.subject, outside.attempt), (&event.id, &event.subject, 1));
    let other = Known::of("order", Stream::Events, &stored("orders.placed.O%201.e", BODY, &[]));
    assert_ne!(other.id, event.id, "each function answers for itself");
}

#[test]
fn a_redriven_one_is_another_one_and_a_stranger_cannot_say_so() {
    let headers = [(headers::SUBJECT, "orders.placed.O%201.e"), (headers::REDRIVE, "1")];
    let event = Known::of("payment", Stream::Events, &stored("orders.placed.O%201.e", BODY, &headers));
    let bare = Known::of("payment", Stream::Events, &stored("orders.placed.O%201.e", BODY, &[]));
    let redriven = Known::of("payment", Stream::Retry, &stored("retry.payment.x.1", BODY, &headers));
    assert_eq!(event.id, bare.id);
    assert_ne!(redriven.id, bare.id);
}

#[test]
fn what_is_not_an_event_is_known_by_its_place() {
    for (subject, body) in [("orders.placed.O%201.e", "{"), ("orders.placed.elsewhere.e", BODY)] {
        let known = Known::of("payment", Stream::Events, &stored(subject, body, &[]));
        assert_eq!((known.id.as_str(), known.guard.is_none()), ("events-7", true));
    }
}

#[tokio::test]
async fn whether_it_was_answered_for_is_read_from_what_a_run_leaves() {
    let broker = Still::new();
    let known = Known::of("payment", Stream::Events, &stored("orders.placed.O%201.e", BODY, &[]));
    let answered = async || known.answered(&broker, "payment").await.unwrap();
    assert_eq!(answered().await, Answered::No);
    let mut receipt = Message::new(Subject::of_receipt("payment", "O 1", &known.id), "{}".into());
    receipt.headers.push((headers::REASON, Reason::Rejected.code().to_owned()));
    broker.publish_now(Stream::Events, &[receipt]).unwrap();
    assert_eq!(answered().await, Answered::HalfDead(Reason::Rejected));
    let letter = Message::new(Subject::of_dead_letter("payment", &known.id), "".into());
    broker.publish_now(Stream::DeadLetters, &[letter]).unwrap();
    assert_eq!(answered().await, Answered::Yes);

    let known = Known::of("order", Stream::Events, &stored("orders.placed.O%201.e", BODY, &[]));
    let done = Message::new(Subject::of_event("orders.confirmed", "O 1", &known.id), "{}".into());
    broker.publish_now(Stream::Events, &[done]).unwrap();
    assert_eq!(known.answered(&broker, "order").await.unwrap(), Answered::Yes);
    assert!(!known.is_under_way(&broker, "order").await.unwrap());
    let waits = Message::new(Subject::of_schedule("order", &known.id, 2), "".into());
    broker.publish_now(Stream::Retry, &[waits]).unwrap();
    assert!(known.is_under_way(&broker, "order").await.unwrap());
}

#[tokio::test]
async fn what_a_lagging_replica_does_not_show_is_known_all_the_same() {
    let broker = Still::new();
    let payload = r#"{"id": "1", "type": "a.b", "aggregate_id": "A", "data": {}, "timestamp": "2025-01-01T00:00:00Z", "trace_id": ""}"#;
    let stored = Stored {
        subject: Subject::of_event("a.b", "A", "1"),
        sequence: 1,
        headers: Default::default(),
        payload: bytes::Bytes::from_static(payload.as_bytes()),
    };
    let known = Known::of("f", Stream::Events, &stored);
    assert!(known.guard.is_some(), "it is an event");
    broker.fall_behind();
    let publish = |stream, subject, reason: Option<Reason>| {
        let mut message = Message::new(subject, bytes::Bytes::new());
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
