//! What the real KEDA and the real HPA did, held against the decision.

use super::*;

/// Each change of a recording as a line, and how many there are and are not explained.
fn told(text: &str) -> (Vec<String>, usize) {
    let recording: Recording = serde_json::from_str(text).unwrap();
    let (mut lines, mut unexplained) = (Vec::new(), 0);
    for (name, changes) in recording.explain().unwrap() {
        for change in changes {
            let seconds = change.at.as_secs();
            let why = change.explained.as_ref().map_or("nobody knows why".to_owned(), ToString::to_string);
            lines.push(format!("{seconds:>5} s {name}: {} to {}: {why}", change.from, change.to));
            unexplained += usize::from(change.explained.is_none());
        }
    }
    (lines, unexplained)
}

/// 1,000 orders from zero to zero in the cluster run: KEDA 2.21.0 and Kubernetes 1.36.3, with a polling interval of 1 s, a
/// cooldown of 8 s, and an HPA that looks every 5 s.
#[test]
fn everything_that_keda_and_the_hpa_did_with_a_thousand_orders_is_what_is_decided() {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/thousand-orders.json"));
    let (lines, unexplained) = told(text);
    assert_eq!((lines.len(), unexplained), (23, 0), "{lines:#?}");
    let payment: Vec<&String> = lines.iter().filter(|line| line.contains("payment")).collect();
    assert!(payment[2].ends_with("1 to 5: 8 wanted, and not so many may start at a time"), "{payment:#?}");
}

/// The broker is away for 52 s: nothing can be read, and the fallback stands in.
#[test]
fn what_they_did_while_the_broker_was_away_is_what_is_decided() {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/broker-away.json"));
    let (lines, unexplained) = told(text);
    assert_eq!((lines.len(), unexplained), (13, 0), "{lines:#?}");
}

/// `RECORDING=timeline.json cargo test -p keda recorded -- --ignored --nocapture`, with what another run wrote.
#[test]
#[ignore = "needs a recording: RECORDING"]
fn a_recording_of_a_cluster_is_explained() {
    let text = std::fs::read_to_string(std::env::var("RECORDING").unwrap()).unwrap();
    let (lines, unexplained) = told(&text);
    for line in &lines {
        println!("{line}");
    }
    assert_eq!(unexplained, 0, "of {}", lines.len());
}
