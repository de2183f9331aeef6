//! What holds for every history of lags.

use proptest::prelude::*;

use super::*;

/// A scaler of two triggers, and bounds.
fn any_settings() -> impl Strategy<Value = Settings> {
    let behaviour = prop_oneof![
        Just(None),
        (0u64..400, 0u64..400, 1u32..20, 1u32..200, 1u64..120).prop_map(
            |(up, down, pods, percent, period)| {
                let policies = vec![
                    Policy { change: Change::Replicas(pods), period: at(period) },
                    Policy { change: Change::Percent(percent), period: at(period) },
                ];
                let rules =
                    |base: Rules, window| Rules { window: at(window), policies: policies.clone(), ..base };
                Some(Behaviour { up: rules(Rules::up(), up), down: rules(Rules::down(), down) })
            }
        ),
    ];
    let fallback = prop_oneof![
        Just(None),
        (0u32..5, 0u32..30).prop_map(|(threshold, replicas)| {
            Some(Fallback { threshold, replicas, behaviour: FallbackBehaviour::Static })
        }),
    ];
    (0u32..5, 5u32..40, 1u64..300, 1u64..300, 0u64..120, behaviour, fallback).prop_map(
        |(min, max, one, two, cooldown, behaviour, fallback)| Settings {
            cooldown: at(cooldown),
            min,
            max,
            triggers: vec![trigger("events", one), trigger("retry", two)],
            behaviour,
            fallback,
            ..settings()
        },
    )
}

fn any_reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        3 => Just(Reading::Lag(0)),
        6 => (0u64..3_000).prop_map(Reading::Lag),
        1 => any::<u64>().prop_map(Reading::Lag),
        1 => Just(Reading::Failed),
    ]
}

fn any_history() -> impl Strategy<Value = Vec<[Reading; 2]>> {
    prop::collection::vec([any_reading(), any_reading()], 1..60)
}

/// Lives through a history, a reading every 5 s; the HPA looks at every third.
fn live(scaler: &mut Scaler, history: &[[Reading; 2]], mut each: impl FnMut(u64, u32, &Verdict)) -> u32 {
    let mut replicas = 0;
    for (readings, now) in history.iter().zip((0u64..).step_by(5)) {
        let before = replicas;
        let verdict = scaler.poll(at(now), Replicas::settled(before), readings);
        replicas = verdict.replicas;
        each(now, before, &verdict);
        if now % 15 == 0 {
            let before = replicas;
            let verdict = scaler.sync(at(now), Replicas::settled(before), readings);
            replicas = verdict.replicas;
            each(now, before, &verdict);
        }
    }
    replicas
}

proptest! {
    #[test]
    fn never_more_than_the_maximum_nor_fewer_than_the_minimum_but_zero(settings in any_settings(), history in any_history()) {
        let (least, max) = (settings.least(), settings.max);
        let mut wrong = None;
        live(&mut Scaler::new(settings, Duration::ZERO), &history, |now, before, verdict| {
            let count = verdict.replicas;
            if !(count == 0 || (least..=max).contains(&count)) {
                wrong = Some(format!("at {now} s from {before}: {verdict:?}, of {least}..={max}"));
            }
        });
        prop_assert_eq!(wrong, None);
    }

    #[test]
    fn zero_only_without_a_minimum_and_after_a_cooldown_without_lag(settings in any_settings(), history in any_history()) {
        let (cooldown, min) = (settings.cooldown.as_secs(), settings.min);
        let idle_since = |now: u64| {
            let seen = history.iter().zip((0u64..).step_by(5)).take_while(|(_, at)| *at <= now);
            // A look at which one trigger fails does not count as activity.
            let active = seen.filter(|(readings, _)| {
                readings.iter().any(|r| matches!(r, Reading::Lag(1..))) && !readings.contains(&Reading::Failed)
            });
            active.last().map(|(_, at)| at)
        };
        let mut wrong = None;
        live(&mut Scaler::new(settings, Duration::ZERO), &history, |now, before, verdict| {
            if before > 0 && verdict.replicas == 0 {
                let early = idle_since(now).is_some_and(|since| now <= since + cooldown);
                if early || min > 0 {
                    wrong = Some(format!("at {now} s from {before}: {verdict:?}"));
                }
            }
        });
        prop_assert_eq!(wrong, None);
    }

    #[test]
    fn more_lag_never_means_fewer(
        settings in any_settings(), history in any_history(), less in 0u64..5_000, more in 0u64..5_000, other in 0u64..5_000,
    ) {
        let mut scaler = Scaler::new(settings, Duration::ZERO);
        let replicas = Replicas::settled(live(&mut scaler, &history, |_, _, _| ()));
        let now = at(5 * history.len() as u64);
        let by = |lag| {
            let readings = [Reading::Lag(lag), Reading::Lag(other)];
            let (mut one, mut two) = (scaler.clone(), scaler.clone());
            (one.poll(now, replicas, &readings).replicas, two.sync(now, replicas, &readings).replicas)
        };
        let (few, many) = (by(less.min(more)), by(less.max(more)));
        prop_assert!(few.0 <= many.0, "KEDA: {} and {}", few.0, many.0);
        prop_assert!(few.1 <= many.1, "the HPA: {} and {}", few.1, many.1);
    }

    #[test]
    fn only_keda_leaves_zero(settings in any_settings(), history in any_history(), lag: u64) {
        let mut scaler = Scaler::new(settings, Duration::ZERO);
        live(&mut scaler, &history, |_, _, _| ());
        let readings = [Reading::Lag(lag), Reading::Lag(lag)];
        prop_assert_eq!(scaler.sync(at(NOW), Replicas::settled(0), &readings).replicas, 0);
    }
}
