use ratatui::Terminal;
use ratatui::backend::TestBackend;
use time::macros::datetime;

use super::*;
use crate::status::{Breaker, DeadLetters, Lane, Retries, Severity};

const AT: OffsetDateTime = datetime!(2026-11-22 00:00:00 UTC);

fn function(name: &str, answered: u64, lag: u64) -> Function {
    let lane = Lane { stream: "EVENTS".to_owned(), lag, in_flight: lag.min(64), answered, ..Lane::default() };
    Function { name: name.to_owned(), lanes: vec![lane], ..Function::default() }
}

fn snapshot(seconds: i64, functions: Vec<Function>) -> Snapshot {
    Snapshot {
        at: AT + time::Duration::seconds(seconds),
        broker: "nats://shop:4222".to_owned(),
        streams: Vec::new(),
        functions,
        findings: Vec::new(),
    }
}

/// What stands on a screen of 140 by 12.
fn screen(top: &Top) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(140, 12)).unwrap();
    terminal.draw(|frame| draw(top, true, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |row: u16| (0..140).map(|column| buffer[(column, row)].symbol()).collect::<String>();
    (0..12).map(line).map(|line| line.trim_end().to_owned()).collect()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

#[test]
fn figures_rates_and_findings_are_drawn() {
    let mut top = Top::new("nats://shop:4222".to_owned(), Duration::from_secs(2));
    assert!(screen(&top)[0].contains("looking"));
    let mut payment = function("payment", 1_000, 0);
    payment.retries = Retries { waiting: 12, next: Some(AT + time::Duration::seconds(64)), is_exact: true };
    payment.dead_letters = DeadLetters { count: 2, by_reason: [("rejected".to_owned(), 2)].into() };
    let since = AT - time::Duration::minutes(3);
    payment.breaker = Some(Breaker { is_open: true, since, next_try: None, probe: None });
    top.take(snapshot(0, vec![payment.clone(), function("order", 10, 1_500)]), BTreeMap::new());
    assert_eq!(words(&screen(&top)[4])[..3], ["payment", "-", "0"], "no rate after one look");
    payment.lanes[0].answered = 5_001;
    let mut second = snapshot(4, vec![payment, function("order", 10, 1_500)]);
    second.findings.push(Finding {
        kind: "dead_letters",
        severity: Severity::Wrong,
        place: "payment".to_owned(),
        what: "2 dead letters: rejected".to_owned(),
        remedy: String::new(),
        command: Some("jetlag dlq list".to_owned()),
    });
    top.take(second, BTreeMap::new());
    let screen = screen(&top);
    assert!(screen[0].contains("nats://shop:4222  2026-11-22T00:00:04Z  every 2000 ms, sorted by name"));
    assert_eq!(words(&screen[3])[..5], ["order", "0.0", "▁", "1,500", "64"]);
    assert_eq!(
        words(&screen[4]),
        ["payment", "1,000.2", "█", "0", "0", "12", "1", "m", "2", "-", "-", "-", "open", "3", "m", "4", "s"]
    );
    assert_eq!(screen[10], "payment: 2 dead letters: rejected   $ jetlag dlq list");
    assert!(screen[11].starts_with("q quit"));
}

#[test]
fn rows_are_sorted_as_the_key_says() {
    let mut top = Top::default();
    let functions = || {
        let mut payment = function("payment", 9, 3);
        payment.dead_letters.count = 1;
        vec![function("audit", 0, 0), function("order", 5, 7), payment]
    };
    let names = |top: &Top| top.rows.iter().map(|row| row.function.name.clone()).collect::<Vec<_>>();
    top.take(snapshot(0, functions()), BTreeMap::new());
    assert_eq!(names(&top), ["audit", "order", "payment"]);
    for (order, first) in
        [(Order::Rate, "audit"), (Order::Lag, "order"), (Order::Retries, "audit"), (Order::Dead, "payment")]
    {
        assert_eq!(top.key(key(KeyCode::Char('s'))), Asked::Draw);
        assert_eq!((top.order, names(&top)[0].as_str()), (order, first));
    }
    top.take(snapshot(1, functions()), BTreeMap::new());
    assert_eq!(names(&top)[0], "payment", "new figures are sorted too");
}

#[test]
fn keys_quit_and_pause() {
    let mut top = Top::default();
    assert_eq!(top.key(key(KeyCode::Char('p'))), Asked::Draw);
    assert!(top.is_paused() && screen(&top)[0].contains("paused"));
    assert_eq!(top.key(key(KeyCode::Char('x'))), Asked::Nothing);
    for code in [KeyCode::Char('q'), KeyCode::Esc] {
        assert_eq!(top.key(key(code)), Asked::Quit);
    }
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!((top.key(interrupt), top.key(key(KeyCode::Char('c')))), (Asked::Quit, Asked::Nothing));
}

#[test]
fn a_broker_that_is_away_leaves_the_last_figures_and_a_consumer_made_anew_has_no_rate() {
    let mut top = Top::default();
    top.take(snapshot(0, vec![function("order", 9, 7)]), BTreeMap::new());
    top.fail("the broker does not answer".to_owned());
    assert!(screen(&top)[1].contains("no figures: the broker does not answer"));
    assert_eq!(words(&screen(&top)[3])[0], "order");
    top.take(snapshot(2, vec![function("order", 3, 0)]), BTreeMap::new());
    assert!(screen(&top)[1].is_empty() && top.rows[0].rate.is_none());
}

#[test]
fn more_findings_than_fit_are_counted() {
    let mut top = Top::default();
    let mut many = snapshot(0, Vec::new());
    many.findings = (0..9)
        .map(|number| Finding {
            kind: "x",
            severity: Severity::Note,
            place: format!("f{number}"),
            what: "odd".to_owned(),
            remedy: String::new(),
            command: None,
        })
        .collect();
    top.take(many, BTreeMap::new());
    assert!(screen(&top).iter().any(|line| line.starts_with("and 3 more")));
}
