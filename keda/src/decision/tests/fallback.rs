//! Triggers that cannot be read: a missing consumer, a monitoring endpoint that does not answer.

use super::*;

fn with_fallback(threshold: u32, replicas: u32) -> Settings {
    let behaviour = FallbackBehaviour::Static;
    Settings { fallback: Some(Fallback { threshold, replicas, behaviour }), ..settings() }
}

fn poll_failed(scaler: &mut Scaler, now: u64, replicas: u32) -> Verdict {
    scaler.poll(at(now), Replicas::settled(replicas), &[Reading::Failed])
}

fn sync_failed(scaler: &mut Scaler, now: u64, replicas: u32) -> Verdict {
    scaler.sync(at(now), Replicas::settled(replicas), &[Reading::Failed])
}

#[test]
fn a_missing_consumer_without_a_fallback_keeps_everything_as_it_is_for_ever() {
    let mut scaler = scaler(settings());
    for now in (0..NOW).step_by(100) {
        assert_eq!(poll_failed(&mut scaler, now, 0), verdict(0, Reason::Failed));
    }
    assert_eq!(poll_failed(&mut scaler, NOW, 3), verdict(3, Reason::Failed), "nor is anything stopped");
    assert_eq!(sync_failed(&mut scaler, NOW, 3), verdict(3, Reason::Unmeasured));
}

#[test]
fn the_fallback_is_on_after_more_failures_than_its_threshold_from_zero_too() {
    let mut scaler = scaler(with_fallback(3, 4));
    for _ in 0..3 {
        assert_eq!(poll_failed(&mut scaler, NOW, 0), verdict(0, Reason::FallbackAhead));
    }
    assert_eq!(poll_failed(&mut scaler, NOW, 0).replicas, 1, "KEDA starts the first");
    assert_eq!(sync_failed(&mut scaler, NOW, 1).replicas, 4, "and the HPA the others");
}

#[test]
fn the_looks_of_the_hpa_count_towards_the_threshold_as_those_of_keda_do() {
    let mut scaler = scaler(with_fallback(3, 4));
    poll_failed(&mut scaler, NOW, 1);
    assert_eq!(sync_failed(&mut scaler, NOW, 1).reason, Reason::Unmeasured);
    poll_failed(&mut scaler, NOW, 1);
    assert_eq!(sync_failed(&mut scaler, NOW, 1).replicas, 4);
}

#[test]
fn at_zero_the_hpa_reads_nothing_that_could_fail() {
    let mut scaler = scaler(with_fallback(3, 4));
    for _ in 0..10 {
        assert_eq!(sync_failed(&mut scaler, NOW, 0).reason, Reason::Disabled);
    }
    assert_eq!(poll_failed(&mut scaler, NOW, 0), verdict(0, Reason::FallbackAhead));
}

#[test]
fn one_good_reading_ends_it() {
    let mut scaler = scaler(with_fallback(1, 4));
    poll_failed(&mut scaler, NOW, 0);
    poll(&mut scaler, NOW, 0, 0);
    assert_eq!(poll_failed(&mut scaler, NOW, 0).reason, Reason::FallbackAhead);
}

#[test]
fn an_outage_of_the_endpoint_keeps_a_function_from_zero_however_long() {
    let mut scaler = scaler(with_fallback(3, 2));
    poll(&mut scaler, 0, 0, 1);
    for now in (1..NOW).step_by(50) {
        assert_ne!(poll_failed(&mut scaler, now, 2).replicas, 0);
    }
}

#[test]
fn a_fallback_of_zero_stops_what_runs_after_the_cooldown() {
    let mut scaler = scaler(with_fallback(3, 0));
    poll(&mut scaler, 100, 0, 1);
    assert_eq!(poll_failed(&mut scaler, 110, 2), verdict(2, Reason::CoolingDown { left: at(50) }));
    assert_eq!(poll_failed(&mut scaler, 161, 2), verdict(0, Reason::Deactivated));
}

#[test]
fn the_other_behaviours_go_by_what_runs() {
    for (behaviour, running, wanted) in [
        (FallbackBehaviour::Static, 6, 4),
        (FallbackBehaviour::Current, 6, 6),
        (FallbackBehaviour::CurrentIfHigher, 6, 6),
        (FallbackBehaviour::CurrentIfHigher, 2, 4),
        (FallbackBehaviour::CurrentIfLower, 6, 4),
        (FallbackBehaviour::CurrentIfLower, 2, 2),
    ] {
        let fallback = Some(Fallback { threshold: 0, replicas: 4, behaviour });
        let behaviour_now =
            Some(Behaviour { down: Rules { window: at(0), ..Rules::down() }, ..Behaviour::default() });
        let mut scaler = scaler(Settings { fallback, behaviour: behaviour_now, ..settings() });
        assert_eq!(sync_failed(&mut scaler, NOW, running).replicas, wanted, "{behaviour:?} of {running}");
    }
}

#[test]
fn activity_beside_a_failing_trigger_starts_the_first_and_then_is_not_noted() {
    let triggers = vec![trigger("events", 10), trigger("retry", 10)];
    let mut scaler = scaler(Settings { triggers, ..settings() });
    let one_fails = [Reading::Lag(5), Reading::Failed];
    assert_eq!(scaler.poll(at(100), Replicas::settled(0), &one_fails).replicas, 1);
    let decided = scaler.poll(at(150), Replicas::settled(1), &one_fails);
    assert_eq!(decided, verdict(1, Reason::PartlyFailed));
    // So the cooldown ran from 100, and is over at the first look that reads both and sees no lag.
    let decided = scaler.poll(at(165), Replicas::settled(1), &[Reading::Lag(0), Reading::Lag(0)]);
    assert_eq!(decided, verdict(0, Reason::Deactivated));
}

#[test]
fn the_hpa_scales_up_by_the_triggers_that_can_be_read_and_never_down() {
    let triggers = vec![trigger("events", 10), trigger("retry", 10)];
    let mut scaler = scaler(Settings { triggers, ..settings() });
    let up = scaler.sync(at(NOW), Replicas::settled(3), &[Reading::Lag(50), Reading::Failed]);
    assert_eq!(up, verdict(5, Reason::Above { trigger: "events".to_owned() }));
    let down = scaler.sync(at(NOW), Replicas::settled(3), &[Reading::Lag(10), Reading::Failed]);
    assert_eq!(down, verdict(3, Reason::Unmeasured));
}
