//! The stream of events fills up: admission closes before it is full, and opens when there is room again.

use jetlag::topology::{EVENTS, Sizing};
use serde_json::{Value, json};
use tests::until;

use crate::field::{Field, balances, events, topology};
use crate::process::question;

/// Small enough to be filled in a moment, by about a thousand questions. What comes between two looks at the stream is far
/// less than the tenth of it that is kept free, a hundred questions.
const BYTES_MAX: i64 = 16 * 1024 * 1024;
/// The size of a question, and of its answer.
const PADDING: usize = 8 * 1024;

pub async fn admission_closes_before_the_stream_is_full_and_opens_again() {
    let field = Field::new(json!({})).await;
    let operator = field.operator().await;
    let sizing = Sizing { events_bytes_max: BYTES_MAX, ..Sizing::default() };
    operator.provision(&topology(&sizing).await).await.unwrap();
    let teller = field.teller(&[("JETLAG_PROVISION", "false")]);
    teller.ready().await;

    let mut taken = 0;
    let (retry_after, problem) = loop {
        let (status, retry_after, problem) = teller.ask(&format!("fill-{taken}"), 0, PADDING).await;
        match status {
            202 => taken += 1,
            // A busy broker may answer too late. Who asks again is told what became of it.
            503 if problem["code"] == "unavailable" => {}
            503 => break (retry_after, problem),
            _ => panic!("{status}: {problem}"),
        }
    };
    assert_eq!(problem["code"], "admission_closed", "{problem}");
    assert_eq!(problem["type"], "/errors/admission_closed", "{problem}");
    assert_eq!(retry_after.as_deref(), Some("5"));
    // What was taken in has room to come to its end.
    balances(&operator, taken).await;
    let state = operator.stream_state(EVENTS).await.unwrap();
    assert!(state.bytes < BYTES_MAX as u64, "it was full after all: {state:?}");
    assert_eq!(teller.metric("jetlag_commits_total{function=\"teller\",outcome=\"full\"}").await, 0.0);
    assert_eq!(teller.metric("jetlag_admission_open{function=\"teller\"}").await, 0.0);
    assert!(teller.metric("jetlag_events_stream_fill_percent{function=\"teller\"}").await >= 80.0);
    assert_eq!(teller.get("/ready").await.0, 200, "it works: only nothing new is taken in");
    assert_eq!(teller.said("admission closed"), 1, "{}", teller.log());

    // Publishers outside are not turned away, and not pulled in either. What was asked for before it closed may still come.
    let mut outside = 0;
    let waits = until("question that waits in INTAKE", async || {
        let event = json!({
            "id": format!("o-{outside}"), "type": "questions.asked", "aggregate_id": format!("out-{outside}"),
            "data": question(&format!("out-{outside}"), 0, 0), "timestamp": "2026-11-21T14:00:00Z", "trace_id": "",
        });
        let id = outside.to_string();
        operator.publish("questions.asked", &id, event.to_string().into()).await.unwrap();
        outside += 1;
        let (waiting, _) = operator.lag("INTAKE", "teller").await.unwrap();
        (waiting >= 3).then_some(waiting)
    })
    .await;
    assert!(waits >= 3);

    // Room: the oldest events go, as they do by and by at the end of their time.
    field.request(&format!("$JS.API.STREAM.PURGE.{EVENTS}"), json!({"filter": "questions.asked.*.*"})).await;
    until("open admission", async || {
        (teller.metric("jetlag_admission_open{function=\"teller\"}").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(teller.said("admission open again"), 1, "{}", teller.log());
    assert_eq!(teller.ask("after", 0, 0).await.0, 202);
    let answered = until("answers to what waited", async || {
        let answers = events(&operator, "answers.told.*.*").await.len();
        (answers == taken + outside + 1).then_some(answers)
    })
    .await;
    balances(&operator, answered).await;
    let (waiting, held) = operator.lag("INTAKE", "teller").await.unwrap();
    assert_eq!(waiting + held, 0);
    assert_eq!(Value::from(teller.said("function started")), 1);
}
