//! The HPA: how many a lag wants, and the bounds without a behaviour. The numbers are those of Kubernetes' own tests
//! (`replica_calculator_test.go`, `horizontal_test.go`), where they have the metric of an external kind for each pod.

use super::super::autoscaler::{Autoscaler, Limit, Limited, limit, wanted};
use super::super::health::Seen;
use super::super::history::History;
use super::*;

/// What the lag of one trigger asks for.
fn asked(running: u32, lag: u64, target: u64) -> u32 {
    let settings = Settings { triggers: vec![trigger("qps", target)], ..Settings::default() };
    let seen = [Seen::Lag { lag, active: true }];
    wanted(&settings, Replicas::settled(running), &seen).unwrap().0
}

#[test]
fn a_lag_wants_as_many_as_it_has_targets_rounded_up() {
    for (running, lag, target, wanted) in [
        (3, 8_600, 2_150, 4),
        (5, 8_600, 2_867, 3),
        // 8,600 / (3 × 2,900) is 0.989, 8,600 / (3 × 2,800) is 1.024: near enough.
        (3, 8_600, 2_900, 3),
        (3, 8_600, 2_800, 3),
        (1, 0, 10, 0),
        (1, 1, 10, 1),
        (1, i64::MAX.unsigned_abs(), 1, i32::MAX.unsigned_abs()),
    ] {
        assert_eq!(asked(running, lag, target), wanted, "{running} with {lag} of {target}");
    }
}

#[test]
fn a_tenth_above_or_below_the_target_is_near_enough_and_no_more() {
    assert_eq!(asked(10, 110, 10), 10);
    assert_eq!(asked(10, 111, 10), 12);
    assert_eq!(asked(10, 90, 10), 10);
    assert_eq!(asked(10, 89, 10), 9);
    // One process is the exception that is seen first: 11 of 10 are near enough, 12 want two.
    assert_eq!((asked(1, 11, 10), asked(1, 12, 10)), (1, 2));
}

#[test]
fn the_tolerance_counts_the_pods_that_there_are_not_those_that_were_asked_for() {
    let mut scaler = scaler(settings());
    // Four were asked for and one is there: the lag of 40 is not "near enough for one".
    let replicas = Replicas { wanted: 4, running: 1 };
    let decided = scaler.sync(at(NOW), replicas, &[Reading::Lag(40)]);
    assert_eq!(decided, verdict(4, Reason::Steady));
}

#[test]
fn of_several_triggers_the_one_that_asks_for_most_decides() {
    let triggers = vec![trigger("events", 128), trigger("retry", 128), trigger("intake", 10)];
    let mut scaler = scaler(Settings { triggers, max: 100, ..settings() });
    let readings = [Reading::Lag(300), Reading::Lag(0), Reading::Lag(75)];
    let decided = scaler.sync(at(NOW), Replicas::settled(4), &readings);
    assert_eq!(decided, verdict(8, Reason::Above { trigger: "intake".to_owned() }));
}

#[test]
fn at_zero_the_hpa_does_nothing_whatever_the_lag() {
    assert_eq!(sync(&mut scaler(settings()), NOW, 0, 1_000_000), verdict(0, Reason::Disabled));
}

#[test]
fn out_of_bounds_is_mended_without_looking_at_metrics() {
    assert_eq!(sync(&mut scaler(settings()), NOW, 20, 1_000), verdict(10, Reason::AboveMaximum));
    let two = Settings { min: 2, ..settings() };
    assert_eq!(sync(&mut scaler(two), NOW, 1, 1_000), verdict(2, Reason::BelowMinimum));
}

#[test]
fn without_a_behaviour_replicas_at_most_double_or_become_four() {
    for (current, desired, least, most, expected) in [
        (5, 7, 3, 8, Limited::Not),
        (3, 1, 2, 8, Limited::By(Limit::Least(2))),
        (20, 1_000, 1, 10, Limited::By(Limit::Most(10))),
        (3, 1_000, 1, 2_000, Limited::By(Limit::UpAtOnce(6))),
        (1, 1_000, 1, 2_000, Limited::By(Limit::UpAtOnce(4))),
    ] {
        assert_eq!(
            limit(current, desired, least, most),
            expected,
            "{current} to {desired} in {least}..={most}"
        );
    }
}

/// A recommendation and how many seconds ago it was made.
type Past = [(u32, u64)];

#[test]
fn without_a_behaviour_the_highest_recommendation_of_five_minutes_prevails() {
    let cases: [(&Past, u32, u32, &[u32]); 5] = [
        (&[], 5, 5, &[5]),
        (&[(4, 120), (5, 60)], 3, 5, &[4, 5, 3]),
        (&[(1, 120), (2, 60)], 3, 3, &[1, 2, 3]),
        // What is too old does not count, and its place is taken.
        (&[(10, 600), (9, 540)], 3, 3, &[10, 3]),
        (&[(10, 600), (4, 60), (5, 120), (9, 540)], 3, 5, &[10, 4, 5, 3]),
    ];
    for (past, asked, stable, kept) in cases {
        let mut autoscaler = Autoscaler { recommended: recommended(past), ..Autoscaler::default() };
        assert_eq!(autoscaler.stabilise_down(at(NOW), asked), stable, "{past:?}");
        assert_eq!(autoscaler.recommended.replicas(), kept, "{past:?}");
    }
}

#[test]
fn the_edge_of_the_window_still_counts() {
    let stable = |ago| {
        let mut autoscaler = Autoscaler { recommended: recommended(&[(9, ago)]), ..Autoscaler::default() };
        autoscaler.stabilise_down(at(NOW), 3)
    };
    assert_eq!((stable(300), stable(301)), (9, 3));
}

fn recommended(past: &Past) -> History {
    let past: Vec<_> = past.iter().map(|(replicas, ago)| (*replicas, at(NOW - ago))).collect();
    History::of(&past)
}

#[test]
fn an_hpa_that_is_new_holds_what_it_found_for_the_whole_window() {
    for behaviour in [None, Some(Behaviour::default())] {
        let mut scaler = scaler(Settings { behaviour, ..settings() });
        let held = verdict(5, Reason::ScaleDownStabilised { asked: 1 });
        assert_eq!(sync(&mut scaler, NOW, 5, 10), held);
        assert_eq!(sync(&mut scaler, NOW + 299, 5, 10), held);
        assert_eq!(sync(&mut scaler, NOW + 301, 5, 10), verdict(1, Reason::Below));
    }
}
