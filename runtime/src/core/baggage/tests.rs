use bytes::Bytes;
use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::core::broker::{Delivery, Stream};
use crate::failure::ERROR_BYTES_MAX;
use crate::subject::Subject;

fn originals(list: Vec<(String, String)>) -> Originals {
    let subject = Subject::from_broker("a.b.c.d");
    let payload = Bytes::new();
    let stream = Stream::Intake;
    Originals::of(&Delivery {
        stream,
        subject,
        headers: list,
        payload,
        sequence: 1,
        time: OffsetDateTime::UNIX_EPOCH,
        delivered: 1,
        receipt: (),
    })
}

fn attempts(errors: &[String]) -> Vec<Attempt> {
    let at = OffsetDateTime::UNIX_EPOCH;
    errors.iter().zip(1..).map(|(error, attempt)| Attempt { attempt, at, error: error.clone() }).collect()
}

fn letter(payload: usize) -> Message {
    let mut message = Message::new(Subject::of_dead_letter("f", "e"), Bytes::from(vec![b'x'; payload]));
    message.headers = vec![(headers::FUNCTION, "f".into())];
    message
}

fn header<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    message.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}

#[test]
fn what_is_least_needed_is_left_behind_first_and_a_mark_tells_what() {
    let baggage = Baggage {
        originals: originals(vec![("X".into(), "y".repeat(100)), ("Z".into(), "z".into())]),
        history: Some(attempts(&["e".repeat(200)])),
        error: Some("e".repeat(300)),
    };
    let loaded = |most: usize| {
        let mut message = letter(1_000);
        let result = baggage.clone().load(&mut message, most);
        result.map(|()| {
            assert!(message.size() <= most);
            assert_eq!(message.payload.len(), 1_000, "the bytes of the input stay");
            let has = |name| header(&message, name).is_some();
            let dropped = header(&message, headers::DROPPED).map(str::to_owned);
            (has(headers::HEADERS), has(headers::HISTORY), has(headers::ERROR), dropped)
        })
    };
    let mark = |text: &str| Some(text.to_owned());
    assert_eq!(loaded(10_000), Ok((true, true, true, None)));
    assert_eq!(loaded(2_000), Ok((false, true, true, mark("headers 2"))));
    assert_eq!(loaded(1_750), Ok((false, false, true, mark("headers 2, history 1"))));
    assert_eq!(loaded(1_400), Ok((false, false, false, mark("headers 2, history 1, error"))));
    assert!(loaded(1_000).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_history_is_bounded_and_keeps_the_newest(
        errors in prop::collection::vec(prop_oneof![".{0,80}", "[\\x00-\\x1f]".prop_map(|text| text.repeat(600)), "\\PC".prop_map(|text| text.repeat(150))], 1..40),
    ) {
        let history = attempts(&errors);
        let json = bounded(&history);
        let read: Vec<Attempt> = serde_json::from_str(&json).unwrap();
        prop_assert!(!read.is_empty() && read.len() <= HISTORY_MAX && history.ends_with(&read));
        prop_assert!(json.len() <= HISTORY_BYTES_MAX, "{} bytes", json.len());
        if read.len() < history.len().min(HISTORY_MAX) {
            let one_more = serde_json::to_string(&history[history.len() - read.len() - 1..]).unwrap();
            prop_assert!(one_more.len() > HISTORY_BYTES_MAX, "more would have fitted");
        }
    }

    /// What every event leaves room for is enough, whatever an input carries.
    #[test]
    fn an_event_that_leaves_room_loses_nothing(
        list in prop::collection::vec(("[!-9;-~]{1,20}", ".{0,20}".prop_map(|text| text.repeat(100))), 0..20),
        errors in prop::collection::vec("[\\x00-\\x7f]{0,20}".prop_map(|text| text.repeat(30)), 1..20),
        id in "\\PC{1,42}",
    ) {
        const MOST: usize = 1024 * 1024;
        let mut event = letter(0);
        event.payload = Bytes::from(vec![0; MOST - ROOM_BYTES - event.size()]);
        let mut message = Message::new(Subject::of_dead_letter(&"f".repeat(40), &id), event.payload);
        let subject = Subject::of_event(&"t".repeat(96), &id, &id).to_string();
        message.headers = vec![
            (headers::FUNCTION, "f".repeat(40)),
            (headers::REASON, "attempts_exhausted".into()),
            (headers::SUBJECT, subject.clone()),
            (headers::CAUSE, subject),
            (headers::ORIGIN, format!("DeadLetters {}", u64::MAX)),
            (headers::REDRIVE, "r".repeat(64)),
            (headers::TRACEPARENT, "t".repeat(55)),
            (headers::TRACESTATE, "t".repeat(512)),
        ];
        let originals = originals(list);
        let marked = originals.dropped() > 0;
        let error = errors.last().map(|error| error.chars().take(ERROR_BYTES_MAX).collect());
        let baggage = Baggage { originals: originals.clone(), history: Some(attempts(&errors)), error };
        prop_assert_eq!(baggage.load(&mut message, MOST), Ok(()));
        prop_assert_eq!(header(&message, headers::HEADERS).map(str::to_owned), originals.json());
        prop_assert!(header(&message, headers::HISTORY).is_some() && header(&message, headers::ERROR).is_some());
        prop_assert_eq!(header(&message, headers::DROPPED).is_some(), marked);
    }
}
