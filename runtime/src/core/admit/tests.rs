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
