//! The arithmetic: what is known by hand, and what holds of any contracts and rates.

use std::collections::BTreeMap;
use std::time::Duration;

use jetlag::Description;
use jetlag::topology::Sizing;
use keda::lint::Severity;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn kinds(names: &[&str]) -> serde_json::Value {
    names.iter().map(|name| json!({"type": name, "aggregate": "x", "once_per_aggregate": false})).collect()
}

fn function(name: &str, listens_to: &[&str], emits: &[&str], admits: &[&str]) -> Description {
    serde_json::from_value(json!({
        "name": name, "version": "1", "summary": "", "reads": "events", "listens_to": kinds(listens_to),
        "emits": kinds(emits), "admits": kinds(admits), "keeps": [],
        "retry": {"first_delay_ms": 1, "max_delay_ms": 1, "max_attempts": 1},
        "time_limit_ms": 1, "concurrency": 10, "batch": 1,
        "scaling": {"min": 0, "max": 4, "cooldown_ms": 1, "polling_ms": 1},
    }))
    .unwrap()
}

fn trail() -> Description {
    let mut trail = function("audit", &["*.*"], &["audit.sealed"], &[]);
    (trail.reads, trail.batch) = (jetlag::Source::Audit, 500);
    trail
}

/// Orders are taken in, and then paid or declined; who is told of a decline may order again.
fn shop() -> Vec<Description> {
    vec![
        function("order", &["paid.yes"], &["orders.placed", "orders.done"], &["orders.placed"]),
        function("payment", &["orders.placed"], &["paid.yes", "paid.no"], &[]),
        trail(),
    ]
}

fn asked(said: &[(&str, &str)]) -> Asked {
    let types = said.iter().filter(|(name, _)| !name.is_empty());
    Asked {
        total: said.iter().find(|(name, _)| name.is_empty()).map(|(_, rate)| rate.parse().unwrap()),
        types: types.map(|(name, rate)| ((*name).to_owned(), rate.parse().unwrap())).collect(),
    }
}

fn rate(flow: &Flow, name: &str) -> String {
    flow.types[name].rate.to_string()
}

fn plan(functions: &[Description], said: &[(&str, &str)], means: &Means) -> Plan {
    Plan::of(functions, &Sizing::default(), &asked(said), means).unwrap()
}

fn rules(plan: &Plan) -> Vec<(Rule, &str)> {
    plan.findings.iter().map(|finding| (finding.rule, finding.place.as_str())).collect()
}

#[test]
fn rates_are_read_as_they_are_written_and_nothing_else_is() {
    for text in ["167/s", "10,000/m", "50/h", "3/d", "0/d"] {
        let rate: Rate = text.replace(',', "").parse().unwrap();
        assert_eq!(rate.to_string(), if text == "0/d" { "0/s" } else { text });
    }
    let rate: Rate = "10000/m".parse().unwrap();
    assert_eq!((rate.a_second(), rate.within(Duration::from_secs(3600))), (167, 600_000));
    assert_eq!(rate.time_for(20_000), Some(Duration::from_secs(120)));
    assert_eq!(Rate::default().time_for(1), None);
    for text in ["", "167", "/s", "-1/s", "1.5/s", "1/w", "99999999999999999999/s", "10000000000/s"] {
        assert!(text.parse::<Rate>().unwrap_err().contains("no rate"), "{text}");
    }
}

#[test]
fn what_follows_from_an_input_happens_at_most_as_often() {
    let flow = Flow::of(&shop(), &asked(&[("orders.placed", "100/s")])).unwrap();
    for name in ["orders.placed", "paid.yes", "paid.no", "orders.done"] {
        assert_eq!(rate(&flow, name), "100/s", "{name}");
    }
    // A batch of the trail is 500 entries.
    assert_eq!(flow.types["audit.sealed"].rate.a_second(), 1);
    let nearer =
        Flow::of(&shop(), &asked(&[("orders.placed", "100/s"), ("paid.yes", "98/s"), ("paid.no", "2/s")]));
    let nearer = nearer.unwrap();
    assert_eq!((rate(&nearer, "orders.done"), rate(&nearer, "paid.no")), ("98/s".into(), "2/s".into()));
    assert!(nearer.types["paid.no"].is_said && !nearer.types["orders.done"].is_said);
    // The function that takes orders in reads those, and what is paid.
    assert_eq!(nearer.functions[0].inputs.a_second(), 198);
    assert_eq!(nearer.functions[2].inputs, nearer.messages());
}

#[test]
fn an_input_that_is_not_said_is_named_and_one_that_is_unknown_is_refused() {
    let mut functions = shop();
    functions.push(function("stock", &["goods.came"], &[], &[]));
    let flow = Flow::of(&functions, &asked(&[("orders.placed", "1/s")])).unwrap();
    assert_eq!(flow.unsaid, ["goods.came"]);
    let refused = |said| Flow::of(&functions, &asked(said)).unwrap_err().to_string();
    assert!(refused(&[]).contains("goods.came, orders.placed"));
    assert!(refused(&[("orders.lost", "1/s")]).contains("orders.lost"));
    // Of a total, all is what makes most of it.
    let total = Flow::of(&functions, &asked(&[("", "10/s")])).unwrap();
    assert_eq!((rate(&total, "orders.placed"), rate(&total, "goods.came")), ("10/s".into(), "0/s".into()));
}

#[test]
fn a_function_that_keeps_state_stores_something_for_every_input() {
    let mut functions = shop();
    let said = [("orders.placed", "100/s"), ("paid.yes", "10/s"), ("paid.no", "0/s")];
    assert_eq!(plan(&functions, &said, &Means::default()).flow.functions[1].receipts, Rate::default());
    functions[1].keeps = vec!["card".into()];
    assert_eq!(plan(&functions, &said, &Means::default()).flow.functions[1].receipts, Rate::per_second(90));
}

#[test]
fn a_stream_that_is_to_keep_more_than_it_may_is_found_with_what_to_write() {
    let small = plan(&shop(), &[("orders.placed", "1/s")], &Means::default());
    assert_eq!(rules(&small), [(Rule::NoLimit, "AUDIT")]);
    let large = plan(&shop(), &[("orders.placed", "167/s")], &Means::default());
    assert_eq!(rules(&large)[0], (Rule::StreamFull, "EVENTS"));
    let Finding { what, instead, severity, .. } = &large.findings[0];
    assert!(what.contains("has room for 8.5 GB") && *severity == Severity::Error, "{what}");
    // With what is told to be written, it fits.
    let written = instead.split_once("max_bytes: ").unwrap().1.split_once(' ').unwrap().0;
    let room = i64::try_from(bytes(written).unwrap()).unwrap();
    let sizing = Sizing { events_bytes_max: room, ..Sizing::default() };
    let mended =
        Plan::of(&shop(), &sizing, &asked(&[("orders.placed", "167/s")]), &Means::default()).unwrap();
    assert!(!rules(&mended).iter().any(|(rule, _)| *rule == Rule::StreamFull), "{mended:#?}");
}

#[test]
fn processes_that_cannot_keep_up_are_found() {
    let means = |time| Means { takes: BTreeMap::from([("payment".to_owned(), time)]), ..Means::default() };
    let said = [("orders.placed", "10/s")];
    // Four processes, ten runs each: 40 at a time.
    let fits = plan(&shop(), &said, &means(Duration::from_secs(4)));
    assert_eq!((fits.functions[1].busy, fits.functions[1].may_take_ms), (Some(4), Some(4_000)));
    let short = plan(&shop(), &said, &means(Duration::from_millis(4_100)));
    assert!(rules(&short).contains(&(Rule::ProcessesShort, "payment")) && short.functions[1].busy == Some(5));
    // However short a run is, a process has a limit.
    let many = plan(&shop(), &[("orders.placed", "40000/s")], &means(Duration::from_millis(1)));
    assert!(rules(&many).contains(&(Rule::ProcessesShort, "payment")));
}

#[test]
fn limits_of_the_broker_and_of_the_account_are_held_against_what_is_needed() {
    let seen = Seen { storage_max: Some(1 << 30), ..Seen::default() };
    let tight = Means {
        broker_memory: Some(1 << 20),
        broker_disk: Some(1 << 20),
        seen: Some(seen),
        ..Means::default()
    };
    let found = plan(&shop(), &[("orders.placed", "1/s")], &tight);
    for rule in [Rule::MemoryShort, Rule::DiskShort, Rule::AccountStorage] {
        assert!(rules(&found).iter().any(|(found, _)| *found == rule), "{rule}");
    }
    let wide = Means { broker_memory: Some(1 << 40), broker_disk: Some(1 << 40), ..Means::default() };
    assert_eq!(rules(&plan(&shop(), &[("orders.placed", "1/s")], &wide)), [(Rule::NoLimit, "AUDIT")]);
    let beyond = plan(&shop(), &[("orders.placed", "50000/s")], &Means::default());
    assert!(rules(&beyond).contains(&(Rule::StreamLimit, "EVENTS")));
    assert!(rules(&beyond).contains(&(Rule::SlowStart, "broker")));
}

#[test]
fn what_is_there_counts_rather_than_what_would_be_made() {
    let there = store::SeenStream {
        messages: 2_000,
        bytes: 4_000_000,
        bytes_max: None,
        kept_s: Some(Duration::from_secs(60)),
    };
    let seen = Seen { streams: BTreeMap::from([("EVENTS".to_owned(), there)]), ..Seen::default() };
    let plan = plan(&shop(), &[("orders.placed", "1/s")], &Means { seen: Some(seen), ..Means::default() });
    let events = &plan.streams[0];
    assert_eq!((events.bytes_max, events.bytes / events.messages), (None, 2_000));
    assert_eq!(events.messages, events.rate.within(Duration::from_secs(60)));
}

/// Any contracts over few types, so that they meet, in circles too.
fn any_functions() -> impl Strategy<Value = Vec<Description>> {
    let some = || proptest::collection::vec(0..6_usize, 0..4);
    let one = (some(), some(), any::<bool>(), any::<bool>());
    proptest::collection::vec(one, 1..6).prop_map(|all| {
        let named =
            |numbers: &[usize]| -> Vec<String> { numbers.iter().map(|n| format!("t.n{n}")).collect() };
        let mut functions: Vec<Description> = all
            .iter()
            .enumerate()
            .map(|(number, (heard, made, keeps, reads_trail))| {
                let (heard, made) = (named(heard), named(made));
                let refs = |names: &[String]| {
                    names.iter().map(String::as_str).map(str::to_owned).collect::<Vec<_>>()
                };
                let (heard, made) = (refs(&heard), refs(&made));
                let heard: Vec<&str> = heard.iter().map(String::as_str).collect();
                let made: Vec<&str> = made.iter().map(String::as_str).collect();
                let mut one = function(&format!("f{number}"), &heard, &made, &[]);
                if *keeps {
                    one.keeps = vec!["x".into()];
                }
                if *reads_trail {
                    (one.reads, one.batch) = (jetlag::Source::Audit, 100);
                }
                one
            })
            .collect();
        functions.push(function("door", &[], &["in.come"], &["in.come"]));
        functions.push(function("hears", &["in.come"], &["t.n0"], &[]));
        functions
    })
}

proptest! {
    #[test]
    fn more_of_an_input_never_asks_for_less(functions in any_functions(), few in 0..1_000_u64, more in 0..1_000_u64) {
        let at = |rate: u64| {
            let asked = Asked { total: Some(Rate::per_second(rate)), ..Asked::default() };
            Plan::of(&functions, &Sizing::default(), &asked, &Means::default()).unwrap()
        };
        let (less, most) = (at(few), at(few + more));
        prop_assert!(less.flow.messages() <= most.flow.messages());
        prop_assert!(less.memory_bytes <= most.memory_bytes && less.messages_per_s <= most.messages_per_s);
        prop_assert!(less.findings.len() <= most.findings.len() || few == 0);
        prop_assert_eq!(less.connections, most.connections);
        // No type happens more often than everything from outside together.
        let inputs: Vec<_> = most.flow.types.values().filter(|type_| type_.is_said).collect();
        let all = Rate::per_second((few + more) * inputs.len() as u64);
        prop_assert!(most.flow.types.values().all(|type_| type_.rate <= all));
    }

    #[test]
    fn what_is_within_a_time_and_the_time_for_it_belong_together(rate in 1..10_000_u64, seconds in 1..1_000_000_u64) {
        let (rate, time) = (Rate::per_second(rate), Duration::from_secs(seconds));
        prop_assert_eq!(rate.within(time), rate.a_second() * seconds);
        prop_assert_eq!(rate.time_for(rate.within(time)), Some(time));
    }

    #[test]
    fn a_size_to_write_holds_what_is_needed_and_hardly_more(needed in 1..1_u64 << 50) {
        let room = bytes(&size::enough(needed)).unwrap();
        prop_assert!(room >= needed && (needed < 4096 || room - needed <= needed / 4 + 1024), "{room} for {needed}");
    }
}
