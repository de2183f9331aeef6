use std::time::Duration;

use proptest::prelude::*;
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
        tracestate: None,
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

#[test]
fn a_commit_of_a_thousand_messages_is_whole_and_one_more_is_refused_with_its_number() {
    let events = |count: usize| (0..count).map(|n| event("a.b", &format!("O-{n}"), false)).collect();
    // One of them is about the input's aggregate, and carries the guard.
    let whole = planned(events(GROUP_MESSAGES_MAX), vec![]).unwrap();
    assert_eq!(whole.messages(), 1000);
    let one_more = planned(events(GROUP_MESSAGES_MAX + 1), vec![]).unwrap_err();
    assert_eq!(one_more.verdict, crate::failure::Verdict::Reject(Reason::EffectsTooLarge));
    assert_eq!(one_more.to_string(), "1001 events and values of state; one commit holds 1000");
}

#[test]
fn an_event_may_have_what_is_left_of_a_message_and_a_value_all_of_it() {
    let sized = |bytes: usize| Outbound {
        data: to_raw_value(&"x".repeat(bytes)).unwrap(),
        ..event("a.b", "O-1", false)
    };
    let bare = planned(vec![sized(0)], vec![]).unwrap().events[0].size();
    let most = event_bytes_max(BYTES_MAX) - bare;
    assert!(planned(vec![sized(most)], vec![]).is_ok());
    let why = planned(vec![sized(most + 1)], vec![]).unwrap_err().to_string();
    assert_eq!(
        why,
        format!("an event of {} bytes; it may have {}", BYTES_MAX - ROOM_BYTES + 1, BYTES_MAX - ROOM_BYTES)
    );
    let bare = planned(vec![], vec![write("x", 0)]).unwrap().writes[0].size();
    assert!(planned(vec![], vec![write("x", BYTES_MAX - bare)]).is_ok());
    let why = planned(vec![], vec![write("x", BYTES_MAX - bare + 1)]).unwrap_err().to_string();
    assert!(why.contains(&format!("{} bytes; the broker takes {BYTES_MAX}", BYTES_MAX + 1)), "{why}");
    // Eight megabytes in all, to the byte.
    let unit = planned(vec![], vec![write("00", 0)]).unwrap();
    let of_receipt = unit.bytes() - unit.writes[0].size();
    let share = (GROUP_BYTES_MAX - of_receipt) / 16 - unit.writes[0].size();
    let rest = (GROUP_BYTES_MAX - of_receipt) % 16;
    let all = |more: usize| {
        let size = |n: usize| if n == 0 { share + rest + more } else { share };
        planned(vec![], (0..16).map(|n| write(&format!("{n:02}"), size(n))).collect())
    };
    assert_eq!(all(0).unwrap().bytes(), GROUP_BYTES_MAX);
    let why = all(1).unwrap_err().to_string();
    assert_eq!(why, format!("{} bytes; one commit holds {GROUP_BYTES_MAX}", GROUP_BYTES_MAX + 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever effects are: within the limits, nothing missing, every id another, and the guard on the first message.
    #[test]
    fn every_plan_carries_its_guard_first_and_everything_once(
        kinds in prop::collection::vec((0usize..3, prop::sample::select(vec!["O-1", "O-2", "a.b *>"]), any::<bool>()), 0..12),
        keys in prop::collection::btree_set("[a-z.*> ]{0,4}", 0..6),
    ) {
        let events: Vec<_> =
            kinds.iter().map(|(kind, about, once)| event(["a.b", "c.d", "e.f"][*kind], about, *once)).collect();
        let writes: Vec<_> = keys.iter().map(|key| write(key, 10)).collect();
        let plan = planned(events, writes).unwrap();
        prop_assert_eq!(plan.is_empty(), kinds.is_empty() && keys.is_empty());
        prop_assert_eq!(plan.writes.len(), keys.len());
        let Some(first) = plan.events.first() else {
            prop_assert!(plan.is_empty() && plan.guard.is_none());
            return Ok(());
        };
        prop_assert_eq!(plan.guard.clone(), Some(cause().scope()));
        prop_assert_eq!(scope(first), Some(cause().scope()));
        // It is found where the guard looks: under the input's aggregate and the cause's own id.
        let found = first.subject.parse_event().unwrap();
        prop_assert_eq!((found.aggregate_id, found.event_id), (cause().aggregate_id, cause().id(0)));
        prop_assert!(plan.events.iter().skip(1).all(|message| scope(message) != Some(cause().scope())));
        let has_carrier = kinds.iter().any(|(_, about, once)| *about == "O-1" && !once);
        prop_assert_eq!(plan.events.len(), kinds.len() + usize::from(!has_carrier));
        let mut ids: Vec<_> = plan.events.iter().map(|m| m.subject.parse_event().unwrap().event_id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), plan.events.len(), "every id is another");
        let mut planned_kinds: Vec<_> = plan.events.iter().map(|m| {
            let parts = m.subject.parse_event().unwrap();
            (parts.kind, parts.aggregate_id)
        }).filter(|(kind, _)| !kind.starts_with("done.")).collect();
        let mut given: Vec<_> = kinds.iter().map(|(kind, about, _)| (["a.b", "c.d", "e.f"][*kind].to_owned(), (*about).to_owned())).collect();
        planned_kinds.sort_unstable();
        given.sort_unstable();
        prop_assert_eq!(planned_kinds, given);
    }
}
