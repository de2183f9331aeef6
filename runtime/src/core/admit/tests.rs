use bytes::Bytes;

use super::*;
use crate::memory::Still;

fn placed(id: &str, scope: Option<Subject>) -> Message {
    let mut message = Message::new(Subject::of_event("orders.placed", "O-1", id), Bytes::new());
    message.expect = Some(Expect { sequence: 0, scope });
    message
}

#[tokio::test]
async fn an_event_that_is_there_once_is_admitted_once() {
    let broker = Still::new();
    let any = || Some(Subject::any_of_type("orders.placed", "O-1"));
    let first = Subject::of_event("orders.placed", "O-1", "a");
    assert_eq!(publish_once(&broker, placed("a", any())).await, Ok(Admission::Now));
    assert_eq!(publish_once(&broker, placed("a", any())).await, Ok(Admission::Again));
    assert_eq!(publish_once(&broker, placed("b", any())).await, Ok(Admission::Taken(first)));
}

#[tokio::test]
async fn events_of_other_types_are_told_apart_by_their_ids() {
    let broker = Still::new();
    for (id, admission) in [("a", Admission::Now), ("b", Admission::Now), ("a", Admission::Again)] {
        assert_eq!(publish_once(&broker, placed(id, None)).await, Ok(admission));
    }
    broker.with(|server, _| server.is_full = true);
    assert_eq!(publish_once(&broker, placed("c", None)).await, Err(PublishError::Full));
    assert_eq!(publish_once(&broker, placed("a", None)).await, Ok(Admission::Again));
}

#[tokio::test]
async fn an_event_from_outside_is_admitted_with_its_headers_as_data() {
    use crate::core::broker::Delivery;
    use crate::headers;

    let subject = Subject::from_broker("orders.placed");
    let headers: Vec<(String, String)> =
        [("Nats-Msg-Id", "m"), ("Jetlag-Redrive", "again"), ("Nats-TTL", "1s"), ("X", "1"), ("X", "2")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
    let payload = Bytes::from_static(
        br#"{"id":"e","type":"orders.placed","aggregate_id":"O","data":{},"timestamp":"2026-01-01T00:00:00Z"}"#,
    );
    let stream = Stream::Intake;
    let delivery = Delivery {
        stream,
        subject,
        headers,
        payload,
        sequence: 1,
        time: time::OffsetDateTime::UNIX_EPOCH,
        delivered: 1,
        receipt: (),
    };
    const CONTRACT: crate::Contract<crate::AnyEvent, crate::Nothing> = crate::Contract::new("f", "Tests.");
    let inbound = Inbound::read(&CONTRACT.terms(), &delivery).unwrap();
    let kind = EventKind {
        name: "orders.placed",
        aggregate: "order",
        once_per_aggregate: true,
        example: || None,
        check: |_| Ok("O".into()),
    };
    let mut message = admission(&inbound.cause, &inbound.input.envelope, &kind, delivery.payload.clone());
    let baggage = Baggage { originals: Originals::of(&delivery), ..Baggage::default() };
    assert_eq!(baggage.load(&mut message, 1 << 20), Ok(()));
    let names: Vec<&str> = message.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [headers::FUNCTION, headers::CAUSE, headers::ATTEMPT, headers::HEADERS]);
    // And a function that gives the admitted event up finds them there.
    let admitted: Vec<(String, String)> =
        message.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let events = Delivery { stream: Stream::Events, headers: admitted, ..delivery.clone() };
    assert_eq!(Originals::of(&events).list(), delivery.headers);
}
