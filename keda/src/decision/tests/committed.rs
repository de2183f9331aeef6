//! What the committed manifests will do: the figures of docs/scaling.md.

use super::*;
use crate::given::{self, Given};

/// How the ScaledObject in `text` scales.
fn settings_of(text: &str) -> Settings {
    let given = given::read(text).unwrap();
    let mut objects = given.iter().filter_map(|given| match given {
        Given::ScaledObject(object) => Some(Settings::try_from(object).unwrap()),
        _ => None,
    });
    let settings = objects.next().unwrap();
    assert!(objects.next().is_none(), "more than one ScaledObject");
    settings
}

macro_rules! base {
    ($function:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/base/", $function, ".yaml"))
    };
}

#[test]
fn a_thousand_orders_take_payment_from_none_to_eight_and_the_end_of_them_to_none() {
    let settings = settings_of(base!("payment"));
    let (cooldown, triggers) = (settings.cooldown, settings.triggers.len());
    let mut scaler = scaler(settings);
    let readings = |lag| {
        let mut readings = vec![Reading::Lag(0); triggers];
        readings[0] = Reading::Lag(lag);
        readings
    };
    let mut counts = vec![scaler.poll(at(5), Replicas::settled(0), &readings(1_000)).replicas];
    for sync in 0..4 {
        let now = at(5) + SYNC * sync;
        counts.push(scaler.sync(now, Replicas::settled(counts[counts.len() - 1]), &readings(1_000)).replicas);
    }
    assert_eq!(counts, [1, 5, 8, 8, 8]);

    scaler.poll(at(100), Replicas::settled(8), &readings(1));
    let over = at(100) + cooldown;
    assert_eq!(scaler.poll(over, Replicas::settled(8), &readings(0)).replicas, 8);
    let after = scaler.poll(over + Duration::from_secs(1), Replicas::settled(8), &readings(0));
    assert_eq!(after, verdict(0, Reason::Deactivated));
}

#[test]
fn every_function_wakes_for_one_input_on_any_of_its_consumers_and_survives_an_endpoint_that_is_away() {
    for text in [base!("order"), base!("inventory"), base!("payment"), base!("notification"), base!("audit")]
    {
        let settings = settings_of(text);
        for (index, trigger) in settings.triggers.iter().enumerate() {
            let mut readings = vec![Reading::Lag(0); settings.triggers.len()];
            readings[index] = Reading::Lag(1);
            let decided = scaler(settings.clone()).poll(at(0), Replicas::settled(0), &readings);
            assert_eq!(decided.replicas, settings.least(), "{}", trigger.name);
        }
        let mut scaler = scaler(settings);
        let away: Vec<u32> =
            (0..4).map(|look| scaler.poll(at(5 * look), Replicas::settled(0), &[]).replicas).collect();
        assert_eq!(away, [0, 0, 0, 1]);
    }
}
