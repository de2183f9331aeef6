//! The HPA's behaviour: windows and policies. The cases are those of Kubernetes' own tables (`horizontal_test.go`,
//! `TestScalingWithRules` and `TestNormalizeDesiredReplicasWithBehavior`), and their edges.

use super::super::autoscaler::{Autoscaler, Limit, Limited};
use super::super::history::History;
use super::*;

/// Policies of pods and of percent, each with its period; nothing where it is 0.
fn rules(pods: (u32, u64), percent: (u32, u64), base: &Rules) -> Rules {
    let policy = |change, period| Policy { change, period: at(period) };
    let mut policies = Vec::new();
    if pods.0 > 0 {
        policies.push(policy(Change::Replicas(pods.0), pods.1));
    }
    if percent.0 > 0 {
        policies.push(policy(Change::Percent(percent.0), percent.1));
    }
    Rules { policies, ..base.clone() }
}

/// Changes spread evenly over the last two minutes, in the middle of their parts.
fn spread(changes: &[u32]) -> History {
    let part = 120 / changes.len().max(1) as u64;
    let samples: Vec<_> =
        (0..).zip(changes).map(|(n, change)| (*change, at(NOW - 120 + part * n + part / 2))).collect();
    History::of(&samples)
}

/// What becomes of `asked`.
fn limited(
    autoscaler: &Autoscaler,
    behaviour: &Behaviour,
    current: u32,
    asked: u32,
    bounds: (u32, u32),
) -> (u32, &'static str) {
    match autoscaler.limit(behaviour, at(NOW), current, asked, bounds.0, bounds.1) {
        Limited::Not => (asked, "within range"),
        Limited::By(Limit::Least(count)) => (count, "too few"),
        Limited::By(Limit::Most(count)) => (count, "too many"),
        Limited::By(Limit::UpAtOnce(count)) => (count, "up limit"),
        Limited::By(Limit::DownAtOnce(count)) => (count, "down limit"),
    }
}

#[test]
fn policies_of_scaling_up() {
    type Case = (&'static [u32], &'static [u32], (u32, u64), (u32, u64), u32, u32, u32, (u32, &'static str));
    // added, removed, pods, percent, current, asked, most, expected
    let cases: [Case; 15] = [
        (&[], &[], (0, 0), (1, 60), 3, 1_000, 2_000, (4, "up limit")),
        (&[], &[], (4, 15), (100, 15), 10, 50, 1_000, (20, "up limit")),
        (&[], &[], (100, 60), (100, 60), 10, 500, 1_000, (110, "up limit")),
        (&[], &[], (2, 60), (100, 60), 10, 500, 1_000, (20, "up limit")),
        (&[], &[], (100, 60), (0, 0), 10, 50, 1_000, (50, "within range")),
        (&[], &[], (30, 60), (0, 0), 10, 50, 1_000, (40, "up limit")),
        (&[], &[], (0, 0), (200, 60), 10, 50, 1_000, (30, "up limit")),
        (&[], &[], (4, 15), (100, 15), 100, 1_000, 150, (150, "too many")),
        (&[1, 5, 9], &[], (300, 60), (0, 0), 100, 500, 200, (200, "too many")),
        (&[1, 5, 9], &[], (0, 0), (10_000, 60), 100, 500, 200, (200, "too many")),
        // 100 − 15 + 5 is less than there are: nothing is added, and nothing is taken.
        (&[1, 5, 9], &[], (5, 120), (0, 0), 100, 500, 1_000, (100, "up limit")),
        (&[1, 5, 9], &[], (150, 120), (0, 0), 100, 500, 1_000, (235, "up limit")),
        (&[1, 5, 9], &[], (0, 0), (200, 120), 100, 500, 1_000, (255, "up limit")),
        (&[4], &[2], (0, 0), (300, 300), 6, 24, 1_000, (16, "up limit")),
        // In floating point 100 × 1.1 is a little more than 110, and is rounded up.
        (&[], &[], (0, 0), (10, 60), 100, 500, 1_000, (111, "up limit")),
    ];
    for (added, removed, pods, percent, current, asked, most, expected) in cases {
        let behaviour = Behaviour { up: rules(pods, percent, &Rules::up()), ..Behaviour::default() };
        let autoscaler =
            Autoscaler { added: spread(added), removed: spread(removed), ..Autoscaler::default() };
        let got = limited(&autoscaler, &behaviour, current, asked, (1, most));
        assert_eq!(got, expected, "{current} to {asked}, {pods:?} {percent:?} after {added:?} {removed:?}");
    }
}

#[test]
fn policies_of_scaling_down() {
    type Case = (&'static [u32], &'static [u32], (u32, u64), (u32, u64), u32, u32, u32, (u32, &'static str));
    // added, removed, pods, percent, current, asked, least, expected
    let cases: [Case; 16] = [
        (&[], &[], (20, 60), (0, 0), 1_000, 3, 3, (980, "down limit")),
        (&[], &[], (20, 60), (1, 60), 100, 2, 1, (80, "down limit")),
        (&[], &[], (100, 60), (0, 0), 10, 0, 1, (1, "too few")),
        (&[], &[], (0, 0), (100, 60), 10, 2, 5, (5, "too few")),
        (&[], &[], (5, 60), (0, 0), 10, 2, 1, (5, "down limit")),
        (&[], &[], (0, 0), (50, 60), 10, 5, 1, (5, "within range")),
        (&[], &[1, 5, 9], (0, 0), (100, 15), 10, 5, 1, (5, "within range")),
        (&[], &[1, 5, 9], (115, 120), (0, 0), 100, 0, 1, (1, "too few")),
        (&[], &[1, 5, 9], (130, 120), (0, 0), 100, 0, 5, (5, "too few")),
        (&[], &[1, 5, 9], (0, 0), (100, 120), 100, 2, 5, (5, "too few")),
        // 100 + 15 − 5 is more than there are: nothing is taken, and nothing is added.
        (&[], &[1, 5, 9], (5, 120), (0, 0), 100, 2, 1, (100, "down limit")),
        (&[], &[2, 4, 6], (0, 0), (50, 120), 100, 0, 1, (56, "down limit")),
        (&[2], &[4], (0, 0), (50, 180), 10, 1, 1, (6, "down limit")),
        (&[], &[10, 10, 10], (0, 0), (10, 120), 100, 0, 1, (100, "down limit")),
        (&[], &[10, 10, 10], (0, 0), (1_000, 120), 10, 5, 1, (5, "within range")),
        (&[], &[8, 12, 9, 11], (1_000, 30), (100, 60), 100, 5, 1, (5, "within range")),
    ];
    for (added, removed, pods, percent, current, asked, least, expected) in cases {
        let behaviour = Behaviour { down: rules(pods, percent, &Rules::down()), ..Behaviour::default() };
        let autoscaler =
            Autoscaler { added: spread(added), removed: spread(removed), ..Autoscaler::default() };
        let got = limited(&autoscaler, &behaviour, current, asked, (least, 2_000));
        assert_eq!(got, expected, "{current} to {asked}, {pods:?} {percent:?} after {added:?} {removed:?}");
    }
}

#[test]
fn of_several_policies_the_smallest_can_be_chosen_or_none() {
    let up = rules((2, 60), (50, 60), &Rules { select: Select::Min, ..Rules::up() });
    let down = rules((2, 60), (50, 60), &Rules { select: Select::Min, ..Rules::down() });
    let behaviour = Behaviour { up, down };
    let none = Autoscaler::default();
    assert_eq!(limited(&none, &behaviour, 1, 100, (1, 100)), (2, "up limit"));
    assert_eq!(limited(&none, &behaviour, 5, 1, (1, 100)), (3, "down limit"));
    let off = |rules: Rules| Rules { select: Select::Disabled, ..rules };
    let behaviour = Behaviour { up: off(Rules::up()), down: off(Rules::down()) };
    assert_eq!(limited(&none, &behaviour, 5, 100, (1, 100)), (5, "up limit"));
    assert_eq!(limited(&none, &behaviour, 5, 1, (1, 100)), (5, "down limit"));
}

#[test]
fn windows_hold_back_by_the_recommendations_within_them() {
    type Case = (&'static [(u32, u64)], u32, u32, u64, u64, u32, Option<&'static [u32]>);
    // recommendations and their ages, current, asked, window up, window down, stable, kept
    let cases: [Case; 11] = [
        (&[], 100, 5, 0, 0, 5, Some(&[5])),
        (&[(4, 120), (5, 60)], 100, 3, 0, 180, 5, Some(&[4, 5, 3])),
        (&[(4, 120), (5, 60)], 1, 7, 300, 0, 4, Some(&[4, 5, 7])),
        (&[(1, 120), (2, 60)], 100, 3, 300, 0, 3, Some(&[1, 2, 3])),
        (&[(4, 120), (5, 60)], 1, 3, 0, 300, 3, Some(&[4, 5, 3])),
        (&[(10, 600), (9, 540)], 100, 3, 0, 0, 3, Some(&[10, 3])),
        (&[(10, 600), (9, 540)], 1, 100, 0, 0, 100, Some(&[10, 100])),
        (&[(10, 600), (4, 60), (5, 120), (9, 540)], 100, 3, 0, 180, 5, Some(&[10, 4, 5, 3])),
        (&[(10, 6_000), (6, 60), (5, 120), (9, 180)], 1, 100, 300, 0, 5, Some(&[100, 6, 5, 9])),
        (&[(2, 6_000), (3, 180)], 2, 1, 300, 300, 2, None),
        (&[(2, 6_000), (1, 180)], 2, 3, 300, 300, 2, None),
    ];
    for (past, current, asked, up, down, stable, kept) in cases {
        let samples: Vec<_> = past.iter().map(|(replicas, ago)| (*replicas, at(NOW - ago))).collect();
        let mut autoscaler = Autoscaler { recommended: History::of(&samples), ..Autoscaler::default() };
        let behaviour = Behaviour {
            up: Rules { window: at(up), ..Rules::up() },
            down: Rules { window: at(down), ..Rules::down() },
        };
        assert_eq!(
            autoscaler.stabilise(&behaviour, at(NOW), current, asked),
            stable,
            "{past:?} {current} {asked}"
        );
        if let Some(kept) = kept {
            assert_eq!(autoscaler.recommended.replicas(), kept, "{past:?} {current} {asked}");
        }
    }
}

#[test]
fn with_a_behaviour_the_edge_of_a_window_counts_no_more() {
    let stable = |ago| {
        let recommended = History::of(&[(9, at(NOW - ago))]);
        let mut autoscaler = Autoscaler { recommended, ..Autoscaler::default() };
        autoscaler.stabilise(&Behaviour::default(), at(NOW), 9, 3)
    };
    assert_eq!((stable(299), stable(300)), (9, 3));
}

#[test]
fn a_change_is_noted_in_place_of_one_that_no_policy_looks_back_to() {
    let behaviour = Behaviour { up: rules((10, 60), (100, 30), &Rules::up()), ..Behaviour::default() };
    let past = [(8, 29), (6, 59), (7, 61), (9, 61)].map(|(change, ago)| (change, at(NOW - ago)));
    let mut autoscaler = Autoscaler { added: History::of(&past), ..Autoscaler::default() };
    autoscaler.remember(&behaviour, at(NOW), 10, 15);
    assert_eq!(autoscaler.added.replicas(), [8, 6, 7, 5]);
    assert_eq!(autoscaler.added.within(at(60), at(NOW)).sum::<u32>(), 19);
}
