use std::time::Duration as Wait;

use jetlag::jetstream::Peer;
use time::macros::datetime;

use super::super::{Breaker, DeadLetters, Retries};
use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-22 00:00:00 UTC);

fn ago(seconds: i64) -> Option<OffsetDateTime> {
    Some(NOW - Duration::seconds(seconds))
}

fn stream(name: &str) -> StreamFacts {
    StreamFacts { name: name.to_owned(), is_led: true, last_at: Some(NOW), ..StreamFacts::default() }
}

fn streams() -> Vec<StreamFacts> {
    let mut streams: Vec<_> = NEEDED.into_iter().map(stream).collect();
    streams[0].age_max = Some(Wait::from_secs(3_600));
    streams
}

fn lane(stream: &str) -> Lane {
    Lane { stream: stream.to_owned(), pulls: 1, ..Lane::default() }
}

/// A function at rest.
fn payment() -> Function {
    Function {
        name: "payment".to_owned(),
        lanes: vec![lane(EVENTS), lane(RETRY)],
        last_active: ago(1),
        ..Function::default()
    }
}

fn found(streams: &[StreamFacts], functions: &[Function], consumers: &[ConsumerFacts]) -> Vec<Finding> {
    let evidence = Evidence {
        at: NOW,
        streams,
        consumers,
        functions,
        letters_seen: 9,
        letters_unseen: 0,
        target: " --context prod",
    };
    all(&evidence)
}

fn of(function: Function) -> Vec<Finding> {
    found(&streams(), &[function], &[])
}

/// The kinds, with the command of each.
fn kinds(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().map(|finding| (finding.kind, finding.command.as_deref().unwrap_or_default())).collect()
}

#[test]
fn at_rest_nothing_is_found_and_at_work_neither() {
    assert_eq!(of(payment()), []);
    let mut busy = payment();
    busy.lanes[0] = Lane { lag: 900, in_flight: 64, pulls: 0, oldest: ago(50), ..lane(EVENTS) };
    assert_eq!(of(busy), [], "it asks for nothing because its slots are taken");
    let mut starting = payment();
    starting.lanes[0] = Lane { lag: 3, pulls: 0, oldest: ago(4), ..lane(EVENTS) };
    assert_eq!(of(starting), [], "a process is being started");
}

#[test]
fn inputs_that_nobody_asks_for_are_found_unless_the_breaker_keeps_them() {
    let mut away = payment();
    away.lanes[0] = Lane { lag: 3, pulls: 0, oldest: ago(90), ..lane(EVENTS) };
    let findings = of(away.clone());
    assert_eq!(
        kinds(&findings),
        [("nobody_pulls", "kubectl describe scaledobject/payment deployment/payment")]
    );
    assert!(findings[0].what.contains("3 inputs wait on EVENTS, the oldest for 1 m 30 s"));
    // A process that died with inputs asks for nothing either, and is silent.
    let mut died = payment();
    died.lanes[0] = Lane { lag: 3, in_flight: 3, pulls: 0, oldest: ago(90), ..lane(EVENTS) };
    died.last_active = ago(80);
    assert_eq!(kinds(&of(died))[0].0, "nobody_pulls");
    let breaker =
        Breaker { is_open: true, since: NOW - Duration::minutes(2), next_try: ago(-12), probe: None };
    let findings = of(Function { breaker: Some(breaker), ..away });
    assert_eq!(kinds(&findings), [("breaker_open", "")]);
    assert!(findings[0].what.contains("open for 2 m:") && findings[0].what.contains("tries in 12 s"));
    let breaker = Breaker { is_open: true, since: NOW, next_try: ago(60), probe: None };
    let idle = Function { breaker: Some(breaker), ..payment() };
    assert_eq!(of(idle.clone()), [], "nothing waits for it");
    let retries = Retries { waiting: 1, ..Retries::default() };
    assert_eq!(kinds(&of(Function { retries, ..idle })), [("breaker_open", "")]);
}

#[test]
fn an_event_past_half_its_horizon_is_to_be_rescued() {
    let mut behind = payment();
    behind.lanes[0] = Lane { lag: 1, oldest: ago(1_801), ..lane(EVENTS) };
    let findings = of(behind.clone());
    assert_eq!(kinds(&findings), [("expiring", "jetlag rescue payment --once --context prod")]);
    assert!(findings[0].what.contains("29 m 59 s"), "{}", findings[0].what);
    behind.lanes[0].oldest = ago(1_800);
    assert_eq!(of(behind), []);
}

#[test]
fn dead_letters_are_told_by_reason_with_the_command_that_lists_them() {
    let by_reason = [("rejected".to_owned(), 2), ("attempts_exhausted".to_owned(), 1_000)].into();
    let function = Function { dead_letters: DeadLetters { count: 1_002, by_reason }, ..payment() };
    let findings = of(function);
    assert_eq!(
        kinds(&findings),
        [
            ("dead_letters", "jetlag dlq list --function payment --reason attempts_exhausted --context prod"),
            ("dead_letters", "jetlag dlq list --function payment --reason rejected --context prod"),
        ]
    );
    assert!(findings[0].what.starts_with("1,000 dead letters"));
}

#[test]
fn streams_that_are_missing_full_or_without_their_copies_are_found() {
    assert_eq!(kinds(&found(&[], &[], &[])), [("nothing_here", "")]);
    let mut some = streams();
    some.retain(|stream| stream.name != RETRY);
    some[0] = StreamFacts {
        bytes: 80,
        bytes_max: Some(100),
        peers: vec![
            Peer { name: "n2".to_owned(), current: true, offline: false },
            Peer { name: "n3".to_owned(), current: false, offline: true },
        ],
        ..stream(EVENTS)
    };
    some[2] = StreamFacts { source_lag: Some(7), last_at: ago(61), is_led: false, ..stream(AUDIT) };
    let findings = found(&some, &[], &[]);
    let kinds: Vec<_> = findings.iter().map(|finding| (finding.kind, finding.place.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("stream_missing", "RETRY"),
            ("copy_behind", "EVENTS"),
            ("nearly_full", "EVENTS"),
            ("no_leader", "AUDIT"),
            ("not_copied", "AUDIT"),
        ]
    );
}

#[test]
fn consumers_that_are_missing_or_were_changed_are_found() {
    let mut half = payment();
    half.lanes.pop();
    let own = |change: fn(&mut ConsumerFacts)| {
        let mut facts = ConsumerFacts {
            stream: EVENTS.to_owned(),
            durable: "payment".to_owned(),
            ..ConsumerFacts::default()
        };
        change(&mut facts);
        facts
    };
    let consumers = [own(|facts| facts.is_paused = true), own(|facts| facts.deliveries_max = Some(5))];
    let findings = found(&streams(), &[half], &consumers);
    let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["consumer_missing", "consumer_paused", "deliveries_limited"]);
    let trail = Function { name: "audit".to_owned(), lanes: vec![lane(AUDIT)], ..Function::default() };
    assert_eq!(of(trail), [], "a reader of the trail has no retries");
}

#[test]
fn processes_here_that_ended_are_told_with_their_log() {
    let process = |phase| Process {
        name: "payment".to_owned(),
        phase,
        url: None,
        log: "logs/payment.log".into(),
        restarts: 1,
        last_end: Some("exit code 78".to_owned()),
    };
    let with = |phase| Function { processes: Some(vec![process(phase)]), ..payment() };
    assert_eq!(of(with(Phase::Up)), []);
    let findings = of(with(Phase::Failed));
    assert_eq!(kinds(&findings), [("process_ended", "tail logs/payment.log")]);
    assert!(findings[0].what.contains("exit code 78"));
}

#[test]
fn what_may_mend_itself_is_a_note() {
    let mut again = payment();
    again.lanes[0].redelivered = 2;
    let mut told = streams();
    told[4].messages = 3;
    let findings = found(&told, &[again], &[]);
    let kinds: Vec<_> = findings.iter().map(|finding| (finding.kind, finding.severity)).collect();
    assert_eq!(kinds, [("redelivered", Severity::Note), ("given_up_by_broker", Severity::Note)]);
}
