//! A consumer, or a stream, is deleted under a running function.

use std::time::Duration;

use jetlag::topology::EVENTS;
use serde_json::Value;
use tests::until;

use crate::field::{Field, ask};
use crate::process::Process;

/// How often the broker may be asked in vain, by a process with three lanes, in [`WATCHED`]. Each lane asks again every 2 s
/// at most, or every second if it is answered; the consumers are looked at every 5 s, and the room in the stream every
/// second.
const REQUESTS_MAX: u64 = 75;
const WATCHED: Duration = Duration::from_secs(5);

pub async fn deleted_consumer_is_told_and_waited_for() {
    let (field, teller) = Field::with_teller().await;
    ask(&teller, "before", 5, 10).await;
    field.balances(5).await;
    field.request("$JS.API.CONSUMER.DELETE.EVENTS.teller", Value::Null).await;
    let report = told(&teller).await;
    assert!(report.contains("consumer teller on EVENTS"), "{report}");
    assert!(report.contains("JETLAG_PROVISION=true"), "it says what to do: {report}");
    assert_eq!(teller.said("nothing is delivered to this function"), 1, "{}", teller.log());

    let before = field.server.messages_in().await;
    tokio::time::sleep(WATCHED).await;
    let requests = field.server.messages_in().await - before;
    assert!(requests < REQUESTS_MAX, "a storm of {requests} requests");
    // What comes meanwhile waits in the stream.
    ask(&teller, "meanwhile", 5, 10).await;

    // It is made again, by anybody: the same process goes on, and what the new consumer delivers again is recognised.
    field.provision().await;
    teller.ready().await;
    field.balances(10).await;
    assert_eq!(teller.said("JetStream is there again"), 1, "{}", teller.log());
    assert_eq!(teller.said("function started"), 1);
}

pub async fn deleted_stream_is_told_and_waited_for() {
    let (field, teller) = Field::with_teller().await;
    ask(&teller, "before", 5, 10).await;
    field.balances(5).await;
    field.request(&format!("$JS.API.STREAM.DELETE.{EVENTS}"), Value::Null).await;
    let report = told(&teller).await;
    assert!(report.contains("the stream EVENTS is not there"), "{report}");
    let (status, retry_after, problem) = teller.ask("meanwhile", 10, 0).await;
    assert_eq!(
        (status, retry_after.as_deref(), &problem["code"]),
        (503, Some("1"), &Value::from("unavailable"))
    );
    // Nobody makes it anew by itself: that would hide the loss of all state.
    assert!(field.operator().await.stream_state(EVENTS).await.is_err());

    field.provision().await;
    teller.ready().await;
    ask(&teller, "after", 5, 10).await;
    field.balances(5).await;
    assert_eq!(teller.said("function started"), 1);
}

/// Waits until the process says that something is missing, and gives its words.
async fn told(teller: &Process) -> String {
    let (_, report) = teller.unready().await;
    assert_eq!(report["conditions"]["jetstream"]["ok"], true, "it is connected: {report}");
    until("line about it", async || (teller.said("nothing is delivered") > 0).then_some(())).await;
    report["conditions"]["consumers"]["detail"].as_str().unwrap().to_owned()
}
