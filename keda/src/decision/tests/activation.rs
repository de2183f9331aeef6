//! KEDA: from zero, to zero, and the cooldown. The cases are those of KEDA's own tests of its executor, and their edges.

use super::*;

fn activated() -> Reason {
    Reason::Activated { triggers: vec!["events".to_owned()] }
}

#[test]
fn from_zero_to_one_or_to_the_minimum_and_never_further() {
    assert_eq!(poll(&mut scaler(settings()), NOW, 0, 1_000), verdict(1, activated()));
    let five = Settings { min: 5, ..settings() };
    assert_eq!(poll(&mut scaler(five), NOW, 0, 1), verdict(5, activated()));
}

#[test]
fn a_trigger_is_active_above_its_threshold_and_not_at_it() {
    let mut settings = settings();
    settings.triggers[0].activation = 7;
    let mut scaler = scaler(settings);
    assert_eq!(poll(&mut scaler, NOW, 0, 7), verdict(0, Reason::Inactive));
    assert_eq!(poll(&mut scaler, NOW, 0, 8), verdict(1, activated()));
}

#[test]
fn any_trigger_activates_and_the_reason_names_those_that_did() {
    let triggers = vec![trigger("events", 10), trigger("retry", 10), trigger("intake", 10)];
    let mut scaler = scaler(Settings { triggers, ..settings() });
    let readings = [Reading::Lag(0), Reading::Lag(1), Reading::Lag(3)];
    let decided = scaler.poll(at(NOW), Replicas::settled(0), &readings);
    assert_eq!(decided.reason.to_string(), "there is lag on retry, intake");
}

#[test]
fn the_cooldown_counts_from_the_last_look_that_saw_lag() {
    let mut scaler = scaler(settings());
    poll(&mut scaler, 100, 0, 1);
    poll(&mut scaler, 120, 3, 5);
    assert_eq!(poll(&mut scaler, 130, 3, 0), verdict(3, Reason::CoolingDown { left: at(50) }));
    // KEDA compares strictly: at the very second it still waits.
    assert_eq!(poll(&mut scaler, 180, 3, 0), verdict(3, Reason::CoolingDown { left: at(0) }));
    let after = scaler.poll(at(180) + Duration::from_millis(1), Replicas::settled(3), &[Reading::Lag(0)]);
    assert_eq!(after, verdict(0, Reason::Deactivated), "from three to none, without the steps between");
}

#[test]
fn lag_within_the_cooldown_begins_it_anew() {
    let mut scaler = scaler(settings());
    poll(&mut scaler, 100, 0, 1);
    poll(&mut scaler, 159, 1, 1);
    assert_eq!(poll(&mut scaler, 165, 1, 0), verdict(1, Reason::CoolingDown { left: at(54) }));
}

#[test]
fn what_was_never_active_is_stopped_after_the_initial_cooldown_and_not_the_cooldown() {
    assert_eq!(poll(&mut scaler(settings()), 1, 10, 0), verdict(0, Reason::Deactivated));
    let patient = Settings { initial_cooldown: at(300), ..settings() };
    let mut scaler = scaler(patient);
    assert_eq!(poll(&mut scaler, 1, 10, 0), verdict(10, Reason::CoolingDown { left: at(299) }));
    assert_eq!(poll(&mut scaler, 301, 10, 0), verdict(0, Reason::Deactivated));
}

#[test]
fn with_a_minimum_keda_only_raises_and_leaves_the_rest_to_the_hpa() {
    let mut scaler = scaler(Settings { min: 2, ..settings() });
    assert_eq!(poll(&mut scaler, NOW, 1, 0), verdict(2, Reason::BelowMinimum));
    assert_eq!(poll(&mut scaler, NOW, 0, 0), verdict(2, Reason::BelowMinimum));
    assert_eq!(poll(&mut scaler, NOW, 9, 0), verdict(9, Reason::Inactive));
}

#[test]
fn an_idle_count_stands_in_for_the_minimum_while_nothing_is_active() {
    let idle = || scaler(Settings { min: 5, idle: Some(0), ..settings() });
    assert_eq!(poll(&mut idle(), NOW, 10, 0), verdict(0, Reason::Deactivated));
    assert_eq!(poll(&mut idle(), NOW, 0, 1), verdict(5, activated()));
    assert_eq!(poll(&mut idle(), NOW, 3, 1), verdict(5, activated()), "fewer than the minimum count as idle");
    assert_eq!(poll(&mut idle(), NOW, 0, 0), verdict(0, Reason::Inactive));
}

#[test]
fn annotations_stop_scaling_in_out_or_altogether() {
    let with = |pauses| scaler(Settings { pauses, ..settings() });
    let paused = Pauses { all: true, ..Pauses::default() };
    assert_eq!(poll(&mut with(paused), NOW, 0, 9), verdict(0, Reason::Paused));
    let at_two = Pauses { all: true, replicas: Some(2), ..Pauses::default() };
    assert_eq!(poll(&mut with(at_two), NOW, 7, 9), verdict(2, Reason::Paused));
    let no_more = Pauses { scale_out: true, ..Pauses::default() };
    assert_eq!(poll(&mut with(no_more), NOW, 0, 9), verdict(0, Reason::ScaleOutPaused));
    let no_less = Pauses { scale_in: true, ..Pauses::default() };
    assert_eq!(poll(&mut with(no_less), NOW, 4, 0), verdict(4, Reason::ScaleInPaused));
    let forced = Pauses { forced: true, ..Pauses::default() };
    assert_eq!(poll(&mut with(forced), NOW, 0, 0), verdict(1, Reason::Activated { triggers: vec![] }));
}
