use proptest::prelude::*;
use time::format_description::well_known::Rfc3339;

use super::*;
use crate::core::broker::{Expect, Schedule};

fn moment() -> impl Strategy<Value = OffsetDateTime> {
    (0i64..253_402_300_799, 0u32..1_000_000_000).prop_map(|(seconds, nanos)| {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap().replace_nanosecond(nanos).unwrap()
    })
}

proptest! {
    /// Text from outside in a header's value stays there: it makes no line, and no instruction, of its own.
    #[test]
    fn no_value_adds_a_line_to_the_head(
        error in ".{0,40}(\r|\n|\r\n)?(Nats-Schedule: @at now|Nats-Rollup: all)?.{0,10}", scope in any::<bool>(),
        at in moment(), keep in 0u64..100_000, sequence: u64,
    ) {
        let mut message = Message::new(Subject::of_event("a.b", &error, "e"), Bytes::new());
        message.headers = vec![(crate::headers::ERROR, error.clone()), (crate::headers::FUNCTION, error)];
        message.expect = Some(Expect { sequence, scope: scope.then(|| Subject::any_under_id("A", "e")) });
        message.keep = Keep::For(Duration::from_millis(keep));
        message.schedule = Some(Schedule { at, target: Subject::of_retry("f", "e", 1) });
        let head = headers(message, None);
        let values: Vec<&str> = head.iter().flat_map(|(_, values)| values).map(|value| value.as_str()).collect();
        prop_assert_eq!(values.len(), 2 + 1 + usize::from(scope) + 1 + 2, "{:?}", values);
        prop_assert!(values.iter().all(|value| !value.contains(['\r', '\n'])));
        let told = |name: &str| head.get(name).map(|value| value.as_str().to_owned()).unwrap();
        let due = told("Nats-Schedule");
        let due = due.strip_prefix("@at ").unwrap();
        prop_assert_eq!(OffsetDateTime::parse(due, &Rfc3339), Ok(at));
        prop_assert_eq!(told("Nats-Expected-Last-Subject-Sequence"), sequence.to_string());
        let ttl: u64 = told("Nats-TTL").strip_suffix('s').unwrap().parse().unwrap();
        prop_assert!(ttl >= 1 && ttl <= keep / 1000 + 1, "a TTL of nothing is refused by the broker");
    }

    #[test]
    fn headers_read_back_by_name_and_in_order(values in prop::collection::vec(("[A-C]", "[ -~&&[^ ]]{0,8}"), 0..12)) {
        let mut map = HeaderMap::new();
        for (name, value) in &values {
            map.append(name.as_str(), value.as_str());
        }
        let mut expected = values;
        expected.sort_by(|(one, _), (other, _)| one.cmp(other));
        prop_assert_eq!(list(Some(&map)), expected);
    }

    #[test]
    fn no_answer_is_read_with_harm(json in prop_oneof![".{0,60}", "\\{\"(seq|error)\": ?.{0,20}\\}"]) {
        let _ = acknowledged(json.as_bytes());
    }
}

#[test]
fn each_of_the_brokers_codes_is_told_as_what_it_means_for_a_commit() {
    let answer = |code: u64| {
        acknowledged(
            serde_json::json!({"error": {"code": 400, "err_code": code, "description": "why"}})
                .to_string()
                .as_bytes(),
        )
    };
    // The second code is the one of a batch with two messages that insist on one subject.
    for code in [10071, 10164] {
        assert_eq!(answer(code), Err(PublishError::Refused), "{code}");
    }
    for code in [10077, 10023] {
        assert_eq!(answer(code), Err(PublishError::Full), "{code}");
    }
    // A batch with a gap, idle for too long or one too many at a time; batches not allowed; a duplicate id; too large.
    for code in [10176, 10174, 10201, 10199, 10054] {
        assert!(matches!(answer(code), Err(PublishError::Rejected(_))), "{code}");
    }
    assert_eq!(acknowledged(br#"{"stream":"EVENTS","seq":7}"#), Ok(7));
    assert!(matches!(acknowledged(b"not JSON"), Err(PublishError::Ambiguous(_))));
    assert!(matches!(acknowledged(br#"{"stream":"EVENTS"}"#), Err(PublishError::Ambiguous(_))));
}

#[test]
fn a_message_at_the_leader_is_read_whole_or_not_at_all() {
    let found = br#"{"message": {"subject": "a.b.c.d", "seq": 9, "data": "eA==",
        "hdrs": "TkFUUy8xLjANCkE6IGINCg0K", "time": "2026-01-01T00:00:00Z"}}"#;
    let found = stored_at_leader(found).unwrap().unwrap();
    assert_eq!((found.sequence, found.header("A"), found.payload.as_ref()), (9, Some("b"), b"x".as_ref()));
    let none = br#"{"error": {"code": 404, "err_code": 10037, "description": "no message found"}}"#;
    assert!(stored_at_leader(none).unwrap().is_none());
    // What is not known to be missing is not taken for missing.
    for odd in
        [&br#"{"error": {"code": 503, "err_code": 10008, "description": "unavailable"}}"#[..], b"{}", b"x"]
    {
        assert!(stored_at_leader(odd).is_err());
    }
}
