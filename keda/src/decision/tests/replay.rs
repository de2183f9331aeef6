//! Recordings: of the decision itself, which explain themselves, and of others, which do not.

use super::super::replay::{Change, Sample, explain};
use super::*;

const SYNC_S: u64 = 15;

fn quick() -> Settings {
    let behaviour = Behaviour { down: Rules { window: at(60), ..Rules::down() }, ..Behaviour::default() };
    Settings { behaviour: Some(behaviour), ..settings() }
}

/// Lives for `seconds`, four samples a second; KEDA looks at 3 s and every 5 s, the HPA at 7 s and every 15 s.
fn recorded(settings: &Settings, seconds: u64, lag_at: impl Fn(u64) -> u64) -> Vec<Sample> {
    let mut scaler = scaler(settings.clone());
    let (mut wanted, mut running) = (0, 0);
    let mut samples = Vec::new();
    for quarter in 0..4 * seconds {
        let now = Duration::from_millis(250 * quarter);
        let readings = vec![Reading::Lag(lag_at(quarter / 4))];
        let replicas = Replicas { wanted, running };
        if quarter % 4 == 1 && (quarter / 4) % 5 == 3 {
            wanted = scaler.poll(now, replicas, &readings).replicas;
        }
        if quarter % 4 == 3 && (quarter / 4) % SYNC_S == 7 {
            wanted = scaler.sync(now, Replicas { wanted, running }, &readings).replicas;
        }
        // Pods come and go a second after they are asked for.
        if quarter % 4 == 0 {
            running = wanted;
        }
        samples.push(Sample { at: now, replicas: Replicas { wanted, running }, readings });
    }
    samples
}

/// A burst, its end, a rest, another.
fn bursts(second: u64) -> u64 {
    match second {
        20..=80 => 400_u64.saturating_sub(5 * (second - 20)),
        200..=260 => 55,
        _ => 0,
    }
}

fn explained(settings: &Settings, samples: &[Sample]) -> Vec<(u32, u32, bool)> {
    let changes = explain(settings, at(SYNC_S), samples);
    changes.iter().map(|change| (change.from, change.to, change.explained.is_some())).collect()
}

#[test]
fn what_the_decision_did_is_explained_by_it() {
    for settings in [quick(), settings(), Settings { min: 2, ..quick() }] {
        let changes = explained(&settings, &recorded(&settings, 400, bursts));
        assert!(changes.len() >= 6, "{changes:?}");
        assert!(changes.iter().all(|(_, _, is_explained)| *is_explained), "{settings:?}: {changes:?}");
    }
}

#[test]
fn what_others_decided_is_not() {
    let lived = quick();
    let samples = recorded(&lived, 400, bursts);
    let unexplained = |settings: &Settings| {
        let changes = explain(settings, at(SYNC_S), &samples);
        changes.into_iter().filter(|change| change.explained.is_none()).collect::<Vec<Change>>()
    };
    let mut other = quick();
    other.triggers = vec![trigger("events", 40)];
    assert!(!unexplained(&other).is_empty(), "another threshold");
    assert!(!unexplained(&Settings { cooldown: at(90), ..quick() }).is_empty(), "a longer cooldown");
    assert!(!unexplained(&Settings { cooldown: at(30), ..quick() }).is_empty(), "a shorter cooldown");
    assert!(!unexplained(&Settings { max: 9, ..quick() }).is_empty(), "another maximum");
    let slow = Policy { change: super::super::Change::Replicas(1), period: at(15) };
    let up = Rules { policies: vec![slow], ..Rules::up() };
    let behaviour = Some(Behaviour { up, ..quick().behaviour.unwrap() });
    assert!(!unexplained(&Settings { behaviour, ..quick() }).is_empty(), "other policies");
}

#[test]
fn a_change_without_any_lag_is_nobodys() {
    let mut samples = recorded(&quick(), 20, |_| 0);
    for sample in &mut samples[40..] {
        sample.replicas.wanted = 1;
    }
    assert_eq!(explained(&quick(), &samples), [(0, 1, false)]);
}

#[test]
fn a_fallback_wakes_after_enough_failures_and_not_before() {
    let fallback = Some(Fallback { threshold: 3, replicas: 1, behaviour: FallbackBehaviour::Static });
    let settings = Settings { polling: at(1), fallback, ..quick() };
    let woken = |second: usize| {
        let mut samples = recorded(&settings, 20, |_| 0);
        for sample in &mut samples[20..] {
            sample.readings = vec![Reading::Failed];
        }
        for sample in &mut samples[4 * second..] {
            sample.replicas.wanted = 1;
        }
        explained(&settings, &samples)
    };
    assert_eq!(woken(9), [(0, 1, true)]);
    assert_eq!(woken(6), [(0, 1, false)], "one second of failures");
}
