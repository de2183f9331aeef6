//! What is decoded from outside, each as a function of bytes that must never panic: for the fuzzer, and for its corpus.
//!
//! Beside not panicking, each holds what it reads against what it is promised to be.

use bytes::Bytes;
use time::OffsetDateTime;

use crate::core::baggage::Baggage;
use crate::core::broker::{Delivery, Message, Stream};
use crate::core::inbound::Inbound;
use crate::core::originals::Originals;
use crate::dead_letter::DeadLetter;
use crate::event::{Envelope, check_id};
use crate::subject::Subject;
use crate::telemetry::traceparent::{Traceparent, tracestate};
use crate::{AnyEvent, Contract, Nothing, token};

const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("fuzz", "Is given anything.");

/// Reads an event; one that is read can be written, and reads back the same.
///
/// # Panics
/// It does not.
pub fn event(bytes: &[u8]) {
    let Ok(event) = Envelope::read(bytes) else { return };
    check(&event);
    // Years before 0 and after 9999 are not RFC 3339.
    let Ok(written) = event.write() else { return };
    let again = Envelope::read(&written);
    assert!(
        again.is_ok_and(|again| {
            again.data.get() == event.data.get()
                && again.subject() == event.subject()
                && again.trace_id == event.trace_id
                && again.timestamp == event.timestamp
        }),
        "an event that was written does not read back"
    );
}

fn check(event: &Envelope) {
    assert!(check_id("id", &event.id).is_ok() && check_id("aggregate_id", &event.aggregate_id).is_ok());
    assert_eq!(event.trace_id.len(), 32);
    let subject = event.subject();
    let parts = subject.parse_event();
    assert!(
        parts.is_some_and(|parts| {
            parts.kind == event.kind && parts.aggregate_id == event.aggregate_id && parts.event_id == event.id
        }),
        "{subject} does not tell its event"
    );
}

/// Reads CloudEvents: lines of headers, an empty line, and the body; what is read goes out and comes in again the same.
///
/// # Panics
/// What is read is not an event that the runtime takes.
pub fn cloud_event(bytes: &[u8]) {
    let (head, body) = message(bytes);
    let now = OffsetDateTime::UNIX_EPOCH;
    for envelope in crate::http::cloud_events(&head, &body, now) {
        let written = envelope.write();
        assert!(written.is_ok_and(|json| Envelope::read(&json).is_ok()), "it cannot go on as an event");
        let again = crate::http::out_and_in(&envelope);
        assert!(
            again.is_some_and(|both| both.iter().all(|one| {
                one.subject() == envelope.subject()
                    && one.data.get() == envelope.data.get()
                    && one.timestamp == envelope.timestamp
            })),
            "an event that went out does not come in again"
        );
    }
}

/// Reads a subject and its tokens; what is read makes the same again.
///
/// # Panics
/// It does not.
pub fn subject(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(parts) = Subject::from_broker(text).parse_event() {
        assert_eq!(Subject::of_event(&parts.kind, &parts.aggregate_id, &parts.event_id).as_str(), text);
    }
    if let Some(decoded) = token::decode(text) {
        assert_eq!(token::encode(&decoded), text);
    }
    let encoded = token::encode(text);
    assert!(!encoded.contains(['.', '*', '>', ' ']) && !encoded.is_empty());
    assert_eq!(token::decode(&encoded).as_deref(), Some(text));
}

/// Reads a dead letter: lines of headers, an empty line, and the input's bytes.
///
/// # Panics
/// It holds other bytes than those.
pub fn dead_letter(bytes: &[u8]) {
    let (head, body) = message(bytes);
    let at = OffsetDateTime::UNIX_EPOCH;
    if let Ok(letter) = DeadLetter::read(1, "dlq.fuzz.x", at, head, body.clone()) {
        assert_eq!(letter.payload, body);
        let _ = (letter.original_headers(), letter.redrive_id());
        if let Some(envelope) = letter.envelope() {
            check(&envelope);
        }
    }
}

/// Reads a message as it is delivered: the first letter of its stream (`E`, `R`, `I` or `A`), its sequence as a second
/// byte, and then lines of headers, an empty line, and its bytes.
///
/// # Panics
/// A stranger's headers instruct the runtime, or what it carries does not fit where it must.
pub fn delivery(bytes: &[u8]) {
    const MOST: usize = 64 * 1024;
    let [stream, sequence, rest @ ..] = bytes else { return };
    let stream = match stream {
        b'E' => Stream::Events,
        b'R' => Stream::Retry,
        b'I' => Stream::Intake,
        _ => Stream::Audit,
    };
    let (headers, payload) = message(rest);
    let own = Envelope::read(&payload).map(|event| event.subject());
    let delivery = Delivery {
        stream,
        subject: own.unwrap_or_else(|_| Subject::from_broker("orders.placed")),
        headers,
        payload,
        sequence: (*sequence).into(),
        time: OffsetDateTime::UNIX_EPOCH,
        delivered: 1,
        receipt: (),
    };
    let terms = CONTRACT.terms();
    let recorded = Inbound::record(&terms, &delivery);
    assert!(recorded.input.attempt >= 1);
    let originals = Originals::of(&delivery);
    let mut history = None;
    if let Ok(inbound) = Inbound::read(&terms, &delivery) {
        if stream != Stream::Retry {
            let is_plain = inbound.cause.redrive.is_none() && inbound.history.is_empty();
            assert!(is_plain && inbound.cause.attempt == 1, "a stranger has told how often it was tried");
        }
        assert!(inbound.cause.subject.parse_event().is_some());
        assert_eq!(inbound.cause.scope().as_str().split('.').count(), 4);
        history = Some(inbound.history_with(OffsetDateTime::UNIX_EPOCH, "x"));
    }
    let mut letter = Message::new(Subject::of_dead_letter("fuzz", "x"), delivery.payload);
    let baggage = Baggage { originals, history, error: Some("x".into()) };
    if baggage.load(&mut letter, MOST).is_ok() {
        assert!(letter.size() <= MOST);
        let values = letter.headers.iter().map(|(_, value)| value);
        assert!(values.clone().all(|value| !value.contains(['\r', '\n'])), "a header makes lines");
    }
}

/// Reads a `traceparent` and a `tracestate`.
///
/// # Panics
/// What is valid does not read back.
pub fn traceparent(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(read) = text.parse::<Traceparent>() {
        assert_eq!(read.to_string().parse(), Ok(read));
        assert_eq!(Traceparent::of_span(&read.remote()), Some(read));
    }
    if let Some(state) = tracestate(text) {
        assert!(!state.contains(['\r', '\n']));
    }
}

/// Lines of `name: value` up to an empty line, and what follows it.
fn message(bytes: &[u8]) -> (Vec<(String, String)>, Bytes) {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match at {
        Some(at) => bytes.split_at(at),
        None => (bytes, &b""[..]),
    };
    let head = String::from_utf8_lossy(head);
    let pairs = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    });
    (pairs.collect(), Bytes::copy_from_slice(body.get(2..).unwrap_or_default()))
}
