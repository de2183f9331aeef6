use super::*;
use crate::status::{Finding, Lane, Stream};

#[test]
fn what_a_look_sees_is_told_under_the_names_of_the_list() {
    let now = OffsetDateTime::from_unix_timestamp(1_000_000).unwrap();
    let lane = Lane { stream: "EVENTS".into(), lag: 7, in_flight: 2, pulls: 1, ..Lane::default() };
    let function = Function {
        name: "payment".into(),
        lanes: vec![lane],
        oldest: Some(now - time::Duration::seconds(90)),
        ..Function::default()
    };
    let stream = Stream { name: "EVENTS".into(), bytes: 81, bytes_max: Some(100), ..Stream::default() };
    let finding = Finding {
        kind: "nearly_full",
        severity: Severity::Wrong,
        place: "a\"b\n".into(),
        what: String::new(),
        remedy: String::new(),
        command: None,
    };
    let snapshot = Snapshot {
        at: now,
        broker: String::new(),
        streams: vec![stream],
        functions: vec![function],
        findings: vec![finding],
    };
    let mut sheet = Sheet::default();
    of_snapshot(&mut sheet, &snapshot);
    let text = sheet.text();
    for line in [
        "# TYPE jetlag_lag gauge",
        r#"jetlag_lag{function="payment",stream="EVENTS"} 7"#,
        r#"jetlag_lag_in_flight{function="payment",stream="EVENTS"} 2"#,
        r#"jetlag_oldest_input_age_seconds{function="payment"} 90"#,
        r#"jetlag_stream_fill_percent{stream="EVENTS"} 81"#,
        r#"jetlag_finding{kind="nearly_full",place="a\"b\n"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    // Each value is of a metric of the list, and told once.
    let values = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(values, sheet_lines(&sheet));
}

fn sheet_lines(sheet: &Sheet) -> usize {
    format!("{sheet:?}").matches("jetlag_").count() / 2
}
