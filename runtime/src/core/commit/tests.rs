use std::time::Duration;

use serde_json::value::to_raw_value;

use super::*;
use crate::{EventKind, Outbound};

const BYTES_MAX: usize = 1024 * 1024;

fn cause() -> Cause {
    Cause {
        function: "f",
        subject: Subject::of_event("orders.placed", "O-1", "e"),
        aggregate_id: "O-1".into(),
        redrive: None,
        attempt: 1,
        trace_id: String::new(),
        traceparent: None,
    }
}

fn event(kind: &'static str, aggregate_id: &str, once_per_aggregate: bool) -> Outbound {
    let kind = EventKind {
        name: kind,
        aggregate: "order",
        once_per_aggregate,
        example: || None,
        check: |_| Ok(String::new()),
    };
    Outbound { kind, aggregate_id: aggregate_id.into(), data: to_raw_value("data").unwrap() }
}

fn write(key: &str, bytes: usize) -> Write {
    let value = to_raw_value(&"x".repeat(bytes)).unwrap();
    Write { kind: "k", key: key.into(), value, keep: Some(Duration::from_secs(60)) }
}

fn planned(events: Vec<Outbound>, writes: Vec<Write>) -> Result<Plan, Failure> {
    plan(&cause(), Erased { events, writes, upto: None }, OffsetDateTime::UNIX_EPOCH, BYTES_MAX)
}

fn scope(message: &Message) -> Option<Subject> {
    let expect = message.expect.as_ref().expect("every event insists");
    assert_eq!(expect.sequence, 0);
    expect.scope.clone()
}

#[test]
fn an_event_about_the_inputs_aggregate_carries_the_guard_and_goes_first() {
    let plan = planned(vec![event("a.b", "other", false), event("c.d", "O-1", false)], vec![]).unwrap();
    let [first, second] = plan.events.as_slice() else { panic!("two events and no receipt") };
    assert_eq!(first.subject, Subject::of_event("c.d", "O-1", &cause().id(0)));
    assert_eq!((scope(first), scope(second)), (Some(cause().scope()), None));
    assert_eq!(plan.guard, Some(cause().scope()));
}

#[test]
fn a_receipt_carries_the_guard_where_no_event_can() {
    for events in [vec![], vec![event("a.b", "other", false)], vec![event("a.b", "O-1", true)]] {
        let count = events.len();
        let plan = planned(events, vec![write("x", 1)]).unwrap();
        assert_eq!(plan.events.len(), count + 1);
        let receipt = plan.events.first().unwrap();
        assert_eq!(receipt.subject, Subject::of_receipt("f", "O-1", &cause().id(0)));
        assert_eq!(scope(receipt), Some(cause().scope()));
    }
    let once = planned(vec![event("a.b", "O-1", true)], vec![]).unwrap();
    assert_eq!(scope(&once.events[1]), Some(Subject::any_of_type("a.b", "O-1")));
}

#[test]
fn no_effects_are_no_messages() {
    let plan = planned(vec![], vec![]).unwrap();
    assert!(plan.is_empty() && plan.guard.is_none());
}

#[test]
fn a_redriven_input_is_another_cause_and_an_attempt_is_not() {
    let redriven = Cause { redrive: Some("again".into()), ..cause() };
    let retried = Cause { attempt: 7, ..cause() };
    assert_ne!(cause().scope(), redriven.scope());
    assert_eq!(cause().scope(), retried.scope());
}

#[test]
fn effects_beyond_the_limits_are_refused_before_anything_is_published() {
    let refused = |events, writes| planned(events, writes).unwrap_err().verdict;
    let too_large = crate::failure::Verdict::Reject(Reason::EffectsTooLarge);
    let many = (0..GROUP_MESSAGES_MAX).map(|n| write(&n.to_string(), 1)).collect();
    assert_eq!(refused(vec![], many), too_large, "with the receipt it is one too many");
    assert_eq!(refused(vec![], vec![write("x", BYTES_MAX)]), too_large);
    let all = (0..10).map(|n| write(&n.to_string(), BYTES_MAX - 1024)).collect();
    assert_eq!(refused(vec![], all), too_large);
}

#[test]
fn a_batch_that_emits_must_write_state() {
    let plan = |writes| {
        let effects = Erased { events: vec![event("a.b", "O-1", false)], writes, upto: None };
        plan_batch(&cause(), effects, OffsetDateTime::UNIX_EPOCH, BYTES_MAX)
    };
    assert!(plan(vec![]).is_err());
    let plan = plan(vec![write("x", 1)]).unwrap();
    assert_eq!((plan.guard, plan.writes.len()), (None, 1));
    assert_eq!(plan.writes[0].keep, Keep::For(Duration::from_secs(60)));
}
