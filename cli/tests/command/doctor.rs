//! `jetlag doctor`, as its user runs it: on contracts alone, and with a real broker.

use std::process::{Command, Stdio};

use jetlag::Description;
use jetlag::jetstream::{Connection, Operator};
use jetlag::topology::{Sizing, Topology};
use serde_json::{Value, json};
use tests::{Server, script};

/// What a function of another team says of itself.
const TILL: &str = r#"{"name":"till","version":"1.0.0","summary":"Takes money.","reads":"events",
    "listens_to":[{"type":"orders.placed","aggregate":"order","once_per_aggregate":true}],
    "emits":[{"type":"money.taken","aggregate":"order","once_per_aggregate":true}],"admits":[],"keeps":[],
    "retry":{"first_delay_ms":1000,"max_delay_ms":60000,"max_attempts":8},"time_limit_ms":30000,"concurrency":64,"batch":1,
    "scaling":{"min":0,"max":10,"cooldown_ms":60000,"polling_ms":5000}}"#;
/// What the account may store.
const STORAGE_MAX: u64 = 256 << 20;
/// What the stream of events may take of that.
const EVENTS_MAX: i64 = 64 << 20;

/// A directory outside of any application, with the program of the function.
fn place() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    script(&directory.path().join("till"), &format!("cat <<'END'\n{TILL}\nEND"));
    directory
}

fn doctor(place: &tempfile::TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_jetlag"))
        .args(["doctor", "--function", "./till"])
        .args(arguments)
        .current_dir(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn rules(plan: &Value) -> Vec<&str> {
    plan["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap()).collect()
}

#[test]
fn what_a_rate_asks_for_is_told_without_a_broker() {
    let place = place();
    let (code, told, said) = doctor(&place, &["--rate", "orders.placed=1/s", "-o", "json"]);
    let plan = json_of(&told);
    assert_eq!((code, rules(&plan)), (Some(0), vec!["no-limit"]), "{said}");
    // Orders, and what is taken for them, for a day.
    assert_eq!(plan["streams"][0]["messages"], json!(2 * 86_400), "{told}");
    assert_eq!(plan["broker"], Value::Null);

    let (code, told, said) =
        doctor(&place, &["--rate", "10000/m", "--takes", "till=4s", "--broker-memory", "1Gi"]);
    assert_eq!(code, Some(1), "{said}");
    for word in [
        "error: stream-full: EVENTS",
        "do: streams.max_bytes: ",
        "error: memory-short: broker",
        "error: processes-short: till",
    ] {
        assert!(told.contains(word), "no {word} in {told}");
    }
    // Eleven of 64 at a time: 168 a second, each 4 s.
    assert!(told.contains("keep 11 processes busy"), "{told}");
    assert!(said.contains("things do not fit"), "{said}");

    for (arguments, word) in [
        (["--rate", "orders.lost=1/s"], "those that come from outside are orders.placed"),
        (["--rate", "money.taken=1/s"], "no rate is said of anything that comes from outside"),
        (["--rate", "fast"], "is no rate such as"),
        (["--rate=1/s", "--rate=2/s"], "is said twice"),
        (["--rate=1/s", "--takes=bank=1s"], "there are till"),
    ] {
        let (code, _, said) = doctor(&place, &arguments);
        assert!(code == Some(64) && said.replace('\n', " ").contains(word), "{arguments:?}: {code:?} {said}");
    }
}

#[tokio::test]
async fn the_limits_and_streams_of_a_real_broker_count() {
    let place = place();
    let accounts =
        json!({"SHOP": {"jetstream": {"max_file": STORAGE_MAX}, "users": [{"user": "me", "password": "x"}]}});
    let server = Server::start(place.path(), &format!("accounts: {accounts}"), &[]).await;
    let url = format!("nats://me:x@127.0.0.1:{}", server.port);
    let functions: Vec<Description> = vec![serde_json::from_str(TILL).unwrap()];
    let sizing = Sizing { events_bytes_max: EVENTS_MAX, ..Sizing::default() };
    let operator = Operator::connect(&Connection::to(&url)).await.unwrap();
    let topology = Topology::of(&functions, &sizing);
    operator.provision(&topology).await.unwrap();
    operator.publish("orders.placed.O-1.a", "a", "{}".into()).await.unwrap();

    let arguments = ["--rate", "orders.placed=1/m", "--look", "--url", &url, "-o", "json"];
    let (code, told, said) = doctor(&place, &arguments);
    let plan = json_of(&told);
    let events = &plan["broker"]["streams"]["EVENTS"];
    assert_eq!((&events["messages"], &events["bytes_max"]), (&json!(1), &json!(EVENTS_MAX)), "{told} {said}");
    assert_eq!(plan["broker"]["storage_max"], json!(STORAGE_MAX), "{told}");
    // Streams set aside 64 MiB each, events and advisories.
    assert_eq!(plan["broker"]["storage_used"], json!(2 * EVENTS_MAX), "{told}");
    // The trail alone, three years of it, is more than the account may store. Events are not: there is room for a day.
    assert_eq!((code, rules(&plan)), (Some(1), vec!["no-limit", "account-storage"]), "{told} {said}");

    let (code, told, said) = doctor(&place, &["--rate", "orders.placed=100/s", "--look", "--url", &url]);
    assert!(code == Some(1) && told.contains("has room for 67.1 MB: full after"), "{told} {said}");
    // Nothing was changed.
    let differences = operator.differences(&topology).await.unwrap();
    assert!(differences.is_empty(), "{differences:?}");

    drop(server);
    let (code, _, said) = doctor(&place, &["--rate", "1/s", "--look", "--url", "nats://127.0.0.1:9"]);
    assert_eq!(code, Some(69), "{said}");
}
