//! The broker is away for a while, and comes back on the same address: restarted, killed, frozen, in lame duck mode.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tests::until;

use crate::field::{Field, ask, events};
use crate::process::Process;

/// What may pass between the return of the broker and the first event handled. An idle machine needs well under a second
/// more than the longest wait between two attempts to connect, which is 2 s; this one may be very busy.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// Questions before, across and after an outage, all answered once; one line in the log for the loss and one for the
/// return; not ready while it lasts.
async fn outage(mut field: Field, teller: Process, name: &str, end: impl AsyncFnOnce(&mut Field)) {
    ask(&teller, "before", 20, 100).await;
    end(&mut field).await;
    let (took, report) = teller.unready().await;
    assert!(took < Duration::from_secs(5), "it was ready for {took:?}");
    assert_eq!(report["conditions"]["jetstream"]["ok"], false, "{report}");
    // A request that comes now waits a little for the broker, and is told to come again.
    let began = Instant::now();
    let (status, retry_after, problem) = teller.ask("across-0", 10, 0).await;
    assert_eq!((status, retry_after.as_deref()), (503, Some("1")), "{problem}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());

    let back = field.server.run().await;
    let asked = ask(&teller, "across", 5, 10);
    let answered = async {
        let operator = field.operator().await;
        until("answer", async || {
            (!events(&operator, "answers.told.across-0.*").await.is_empty()).then_some(())
        })
        .await;
        back.elapsed()
    };
    let ((), took) = tokio::join!(asked, answered);
    println!("{name}: {took:?} from the broker's return to the first event handled");
    assert!(took < BACK_WITHIN, "{took:?}");
    teller.ready().await;
    field.balances(25).await;
    assert_eq!(teller.said("the broker is lost"), 1, "{}", teller.log());
    assert_eq!(teller.said("the broker is back"), 1, "{}", teller.log());
    // One line at most for each input that was under way, and a few about the outage itself.
    let lines = teller.log().lines().count();
    assert!(lines < 60, "a flood of {lines} lines: {}", teller.log());
}

pub async fn restarted_broker_is_found_again() {
    let (field, teller) = Field::with_teller().await;
    outage(field, teller, "restart", async |field| field.server.end(Signal::TERM).await).await;
}

pub async fn killed_broker_is_found_again() {
    let (field, teller) = Field::with_teller().await;
    outage(field, teller, "kill -9", async |field| field.server.end(Signal::KILL).await).await;
}

pub async fn lame_duck_broker_is_left_and_found_again() {
    let field = Field::new(json!({"lame_duck_grace_period": "1s", "lame_duck_duration": "30s"})).await;
    let teller = field.teller(&[]);
    teller.ready().await;
    let operator = field.operator().await;
    ask(&teller, "before", 20, 100).await;
    field.server.signal(Signal::USR2);
    teller.says("the server is about to stop").await;
    drop(operator);
    outage_of_lame_duck(field, teller).await;
}

/// It stops JetStream first, then closes its connections one by one, and ends by itself.
async fn outage_of_lame_duck(mut field: Field, teller: Process) {
    teller.unready().await;
    field.server.ended().await;
    teller.says("the broker is lost").await;
    field.server.run().await;
    teller.ready().await;
    ask(&teller, "after", 5, 10).await;
    field.balances(25).await;
}

pub async fn frozen_broker_for_less_than_ack_wait_costs_nothing() {
    let (field, teller) = Field::with_teller().await;
    ask(&teller, "before", 16, 500).await;
    field.server.signal(Signal::STOP);
    // Long enough for the handlers to end and to wait for their commits.
    tokio::time::sleep(Duration::from_secs(3)).await;
    field.server.signal(Signal::CONT);
    ask(&teller, "after", 5, 10).await;
    field.balances(21).await;
    assert_eq!(teller.metric("jetlag_redeliveries_total{function=\"teller\"}").await, 0.0);
    assert_eq!(teller.said("the broker is lost"), 0, "{}", teller.log());
}

pub async fn frozen_broker_for_more_than_ack_wait_is_noticed_and_nothing_is_doubled() {
    let (field, teller) = Field::with_teller().await;
    // Held all the while: their acks come after ack_wait.
    ask(&teller, "held", 16, 4_000).await;
    field.server.signal(Signal::STOP);
    let frozen = Instant::now();
    let (took, report) = teller.unready().await;
    println!("frozen: not ready after {took:?}: {report}");
    assert!(took < Duration::from_secs(30), "it was ready for {took:?}");
    let began = Instant::now();
    let (status, retry_after, problem) = teller.ask("frozen", 10, 0).await;
    assert_eq!((status, retry_after.as_deref()), (503, Some("1")), "{problem}");
    println!("frozen: a request is answered 503 after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    // The connection is given up, although nobody closed it.
    teller.says("the broker is lost").await;
    let rest = Duration::from_secs(20).saturating_sub(frozen.elapsed());
    tokio::time::sleep(rest).await;
    field.server.signal(Signal::CONT);
    let back = Instant::now();
    ask(&teller, "frozen", 1, 10).await;
    println!("frozen: {:?} from its return to the first request taken", back.elapsed());
    teller.ready().await;
    assert_eq!(teller.ask("frozen", 10, 0).await.0, 202);
    field.balances(18).await;
    assert_eq!(teller.said("the broker is lost"), 1, "{}", teller.log());
}
