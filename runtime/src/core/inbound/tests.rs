use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{AnyEvent, Contract, Nothing};

const EVENT: &str =
    r#"{"id":"e","type":"orders.placed","aggregate_id":"O","data":{},"timestamp":"2026-01-01T00:00:00Z"}"#;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn terms() -> Terms {
    const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("f", "Tests.");
    CONTRACT.terms()
}

fn delivery(stream: Stream, headers: &[(&str, &str)]) -> Delivery<()> {
    Delivery {
        stream,
        subject: Subject::of_event("orders.placed", "O", "e"),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        payload: Bytes::from_static(EVENT.as_bytes()),
        sequence: 7,
        time: OffsetDateTime::UNIX_EPOCH,
        delivered: 1,
        receipt: (),
    }
}

const HOSTILE: &[(&str, &str)] = &[
    (headers::REDRIVE, "again"),
    (headers::ATTEMPT, "8"),
    (headers::SUBJECT, "state.inventory.stock%2FA"),
    (headers::HISTORY, r#"[{"attempt":7,"at":"2026-01-01T00:00:00Z","error":"x"}]"#),
    (headers::REASON, "rejected"),
    (headers::CAUSE, "orders.placed.X.x"),
    ("Nats-Schedule", "@at 2026-01-01T00:00:00Z"),
    ("Nats-Expected-Last-Subject-Sequence", "77"),
];

#[test]
fn instructions_in_a_strangers_headers_say_nothing() {
    for stream in [Stream::Events, Stream::Intake] {
        let plain = Inbound::read(&terms(), &delivery(stream, &[])).unwrap();
        let hostile = Inbound::read(&terms(), &delivery(stream, HOSTILE)).unwrap();
        assert_eq!(hostile.cause.scope(), plain.cause.scope(), "it is the same cause");
        assert_eq!((hostile.cause.attempt, hostile.input.attempt), (1, 1));
        assert_eq!((hostile.history.len(), hostile.cause.redrive), (0, None));
        assert_eq!(hostile.cause.subject, plain.cause.subject);
    }
    let redriven = [(headers::REDRIVE, "r"), (headers::ATTEMPT, "3")];
    let own = Inbound::read(&terms(), &delivery(Stream::Retry, &redriven)).unwrap();
    assert_eq!((own.cause.redrive.as_deref(), own.input.attempt), (Some("r"), 3), "on a retry they are ours");
}

#[test]
fn what_another_function_has_scheduled_is_no_retry() {
    let read =
        |stream, scheduler| Inbound::read(&terms(), &delivery(stream, &[("Nats-Scheduler", scheduler)]));
    assert!(read(Stream::Retry, "schedule.f.e.2").is_ok());
    for other in ["schedule.payment.e.2", "schedule.ff.e.2", "f.e.2", ""] {
        assert_eq!(read(Stream::Retry, other).unwrap_err().reason, Reason::NotAnEvent, "{other}");
    }
    assert!(read(Stream::Events, "schedule.payment.e.2").is_ok(), "elsewhere it is a stranger's word");
}

#[test]
fn the_state_of_a_trace_goes_with_its_parent_and_not_without() {
    let read = |list: &[(&str, &str)]| {
        Inbound::read(&terms(), &delivery(Stream::Events, list)).unwrap().cause.tracestate
    };
    let (parent, state) = ((headers::TRACEPARENT, PARENT), (headers::TRACESTATE, "vendor=1,other=2"));
    assert_eq!(read(&[parent, state]).as_deref(), Some("vendor=1,other=2"));
    assert_eq!(read(&[state]), None);
    assert_eq!(read(&[parent, (headers::TRACESTATE, "a\tb")]), None);
    assert_eq!(read(&[parent, (headers::TRACESTATE, &"x".repeat(513))]), None);
}

proptest! {
    #[test]
    fn any_headers_and_bytes_are_read_without_harm(
        values in prop::collection::vec(".{0,60}", 6),
        payload in prop_oneof![Just(EVENT.as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 0..80)],
        stream in prop::sample::select(vec![Stream::Events, Stream::Retry, Stream::Intake, Stream::Audit]),
    ) {
        let names = [
            headers::REDRIVE, headers::ATTEMPT, headers::HISTORY, headers::TRACEPARENT, headers::TRACESTATE,
            "Nats-Stream-Source",
        ];
        let mut delivery = delivery(stream, &[]);
        delivery.headers = names.iter().map(|name| (*name).to_owned()).zip(values).collect();
        delivery.payload = payload.into();
        let recorded = Inbound::record(&terms(), &delivery);
        prop_assert!(recorded.input.attempt >= 1);
        if let Ok(inbound) = Inbound::read(&terms(), &delivery) {
            prop_assert_eq!(inbound.cause.subject.parse_event().unwrap().event_id, "e");
            prop_assert!(inbound.cause.scope().as_str().starts_with("*.*.O."));
        }
    }
}
