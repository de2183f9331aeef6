//! Contracts and the consumers that are made of them.

use std::time::Duration;

use jetlag::topology::Topology;

use super::*;

#[test]
fn nothing_is_wrong_with_a_contract_of_defaults() {
    assert_eq!(broken(&till()), []);
}

#[test]
fn each_setting_is_right_up_to_its_bound_and_wrong_beyond() {
    let cases: [(&str, u64, u64, Rule); 12] = [
        ("/time_limit_ms", 30_000, 30_001, Rule::TimeLimitAboveDrain),
        // Attempts of 30 s, and waits of 1 to 32 s, then 60 s, doubled by jitter: 580 attempts fit into 24 h.
        ("/retry/max_attempts", 580, 581, Rule::HorizonBelowRetries),
        ("/scaling/cooldown_ms", 60_000, 59_999, Rule::CooldownBelowBackoff),
        ("/breaker/open_for_ms", 60_000, 60_001, Rule::CooldownBelowBreaker),
        ("/scaling/polling_ms", 30_000, 30_001, Rule::PollingTooSlow),
        ("/scaling/polling_ms", 1_000, 0, Rule::PollingZero),
        ("/scaling/min", 10, 11, Rule::MinAboveMax),
        ("/scaling/max", 1, 0, Rule::MinAboveMax),
        // 64 in flight are no more than a tenth above a target of 59.
        ("/scaling/lag", 59, 58, Rule::ThresholdBelowHeld),
        // 20,000 may be unanswered, and a process holds 64 of them.
        ("/scaling/max", 312, 313, Rule::MaxAboveAckPending),
        ("/concurrency", 2_000, 2_001, Rule::MaxAboveAckPending),
        ("/retry/max_delay_ms", 60_000, 60_001, Rule::CooldownBelowBackoff),
    ];
    for (pointer, right, wrong, rule) in cases {
        assert_eq!(broken(&but(pointer, right)), [], "{pointer} of {right}");
        let found = broken(&but(pointer, wrong));
        assert!(
            found.contains(&rule) && found.iter().all(|found| *found == rule),
            "{pointer} of {wrong}: {found:?}"
        );
    }
}

#[test]
fn a_cooldown_below_the_polling_interval_is_one_look() {
    let mut function =
        but("/scaling", json!({"min": 0, "max": 10, "cooldown_ms": 5_000, "polling_ms": 5_000}));
    function["retry"]["max_delay_ms"] = 1_000.into();
    function["breaker"] = Value::Null;
    assert_eq!(broken(&function), []);
    function["scaling"]["polling_ms"] = 6_000.into();
    assert_eq!(broken(&function), [Rule::CooldownBelowPolling]);
    function["scaling"]["min"] = 1.into();
    assert_eq!(broken(&function), [], "without zero there is no cooldown");
}

#[test]
fn a_retry_that_never_comes_to_its_longest_wait_is_taken_at_its_word() {
    // Three attempts wait 1 s and 2 s, whatever the longest wait may be.
    let mut function =
        but("/retry", json!({"first_delay_ms": 1_000, "max_delay_ms": 600_000, "max_attempts": 3}));
    assert_eq!(broken(&function), []);
    function["retry"]["max_attempts"] = 8.into();
    assert_eq!(broken(&function), [Rule::CooldownBelowBackoff], "the seventh wait is of 64 s");
}

#[test]
fn names_are_bounded() {
    assert_eq!(broken(&but("/name", "n".repeat(40))), []);
    assert_eq!(broken(&but("/name", "n".repeat(41))), [Rule::NameTooLong]);
}

#[test]
fn the_trail_is_read_by_one() {
    let mut trail = but("/reads", "audit");
    trail["batch"] = 500.into();
    trail["concurrency"] = 1.into();
    trail["scaling"]["max"] = 1.into();
    trail["scaling"]["lag"] = 1_000.into();
    assert_eq!(broken(&trail), []);
    trail["scaling"]["max"] = 2.into();
    assert_eq!(broken(&trail), [Rule::TrailInParallel]);
    trail["scaling"] = json!({"min": 0, "max": 1, "cooldown_ms": 60_000, "polling_ms": 5_000});
    assert_eq!(broken(&trail), [Rule::ThresholdBelowHeld], "a lag of 2 for batches of 500");
}

#[test]
fn streams_are_sized_for_signals_and_for_retries() {
    let on = |ack_wait, horizon| {
        let horizon = Duration::from_secs(horizon);
        let ack_wait = Duration::from_secs(ack_wait);
        broken_on(&till(), &Sizing { ack_wait, horizon, ..Sizing::default() })
    };
    let day = 24 * 60 * 60;
    assert_eq!((on(5, day), on(120, day)), (vec![], vec![]));
    assert_eq!(on(4, day), [Rule::AckWaitTooShort]);
    assert_eq!(on(121, day), [Rule::AckWaitTooLong]);
    // Eight attempts of 30 s, and 246 s of waits.
    assert_eq!(on(15, 486), []);
    assert_eq!(on(15, 485), [Rule::HorizonBelowRetries]);
}

#[test]
fn the_consumers_of_contracts_deliver_without_limit() {
    let mut topology = Topology::of(&[described(&till())], &Sizing::default());
    let look = |topology: &Topology| {
        let mut findings = Findings::default();
        streams::look(topology, &mut findings);
        rules(&findings.0)
    };
    assert_eq!(look(&topology), []);
    topology.consumers[0].config["max_deliver"] = 5.into();
    topology.consumers[1].config["backoff"] = json!([1]);
    assert_eq!(look(&topology), [Rule::MaxDeliver, Rule::ServerBackoff]);
}

#[test]
fn a_finding_says_what_why_and_what_to_write() {
    let findings = lint(&[described(&but("/scaling/lag", 32))], &Sizing::default(), &[]);
    let first = serde_json::to_value(&findings[0]).unwrap();
    assert_eq!(first["severity"], "error");
    assert_eq!(first["rule"], "threshold-below-held");
    assert_eq!(first["place"], "till: contract");
    assert_eq!(first["what"], "one process for a lag of 32 on EVENTS, and a process holds up to 64");
    assert_eq!(first["instead"], ".scaling(Scaling::….lag(128)), twice what one holds");
}
