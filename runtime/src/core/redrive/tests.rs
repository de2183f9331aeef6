use time::OffsetDateTime;

use super::*;
use crate::failure::Reason;
use crate::memory::Still;

const BODY: &str =
    r#"{"id":"e","type":"orders.placed","aggregate_id":"O 1","data":{},"timestamp":"2025-01-01T00:00:00Z"}"#;

fn letter(input: &str, body: &str) -> DeadLetter {
    let headers = [
        (headers::FUNCTION, "payment"),
        (headers::REASON, Reason::AttemptsExhausted.code()),
        (headers::SUBJECT, input),
        (headers::HEADERS, r#"[["X-Tenant","a"],["Nats-Schedule","@at now"]]"#),
        (headers::DROPPED, "headers 2"),
        (headers::TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let at = OffsetDateTime::UNIX_EPOCH;
    DeadLetter::read(7, "dlq.payment.x", at, headers, body.to_owned().into()).unwrap()
}

#[tokio::test]
async fn a_redrive_goes_to_its_function_alone_is_noted_and_happens_once() {
    let broker = Still::new();
    let letter = letter("orders.placed.O%201.e", BODY);
    for _ in 0..2 {
        redrive(&broker, &letter, "ann").await.unwrap();
    }
    broker.with(|server, _| {
        let again: Vec<_> = server.log(Stream::Retry).history().collect();
        assert_eq!(again.len(), 1);
        let again = &again[0].stored;
        assert_eq!(again.subject, Subject::of_retry("payment", &letter.redrive_id(), 1));
        assert_eq!(again.header(headers::SUBJECT), Some("orders.placed.O%201.e"));
        assert_eq!(again.header(headers::ATTEMPT), Some("1"));
        assert!(again.header(headers::REDRIVE).is_some() && again.header(headers::TRACEPARENT).is_some());
        assert_eq!(again.payload, BODY);
        for name in [headers::HEADERS, headers::DROPPED] {
            assert_eq!(again.header(name), letter.header(name), "what it first came with comes back");
        }
        let notes: Vec<_> = server.log(Stream::Events).history().collect();
        assert_eq!(notes.len(), 1);
        let note = &notes[0].stored;
        assert_eq!(note.subject, Subject::of_receipt("payment", "O 1", &letter.redrive_id()));
        let noted = String::from_utf8_lossy(&note.payload).into_owned();
        assert!(noted.contains(r#""by":"ann""#) && noted.contains(r#""dead_letter":7"#), "{noted}");
    });
}

#[tokio::test]
async fn what_was_never_admitted_knocks_at_the_same_door_again() {
    let broker = Still::new();
    redrive(&broker, &letter("orders.placed", BODY), "ann").await.unwrap();
    broker.with(|server, _| {
        assert_eq!(server.log(Stream::Events).history().count(), 0);
        let again: Vec<_> = server.log(Stream::Intake).history().collect();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].stored.subject.as_str(), "orders.placed");
        assert_eq!(again[0].stored.headers.len(), 3);
    });
}

#[tokio::test]
async fn other_bytes_must_be_the_same_event() {
    let broker = Still::new();
    let refused = async |input, body| redrive(&broker, &letter(input, body), "ann").await.unwrap_err();
    assert!(matches!(refused("orders.placed.O%201.e", "{").await, NotRedriven::NotAnEvent(_)));
    let other = BODY.replace("\"e\"", "\"f\"");
    assert!(matches!(refused("orders.placed.O%201.e", &other).await, NotRedriven::AnotherEvent(..)));
    broker.with(|server, _| assert_eq!(server.log(Stream::Retry).history().count(), 0));
}
