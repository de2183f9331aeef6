//! A function is cut off from the broker while it works, another replica takes over, and then it comes back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::until;

use crate::field::{Field, balances, events, skip};
use crate::namespace::Namespace;
use crate::process::{Launch, Process, question};

const QUESTIONS: usize = 8;

pub async fn work_of_a_replica_that_was_cut_off_is_recognised_when_it_comes_back() {
    let namespace = match Namespace::make() {
        Ok(namespace) => namespace,
        Err(why) => return skip(&why),
    };
    let field = Field::on_every_interface(json!({})).await;
    field.provision().await;
    let broker = format!("nats://{}:{}", namespace.outside(), field.server.port);
    // It has the questions still in hand when the others are done with them.
    let env = [("JETLAG_PROVISION", "false"), ("TELLER_SLOWER_MS", "30000")];
    let namespace_of = Some(&namespace);
    let zombie = Process::start(&Launch {
        broker: &broker,
        directory: field.path(),
        env: &env,
        namespace: namespace_of,
    });
    zombie.ready().await;
    for number in 0..QUESTIONS {
        let mut question = question(&format!("cut-{number}"), 0, 0);
        // Each a tally of its own: a conflict between two of them would make a slow handler run again.
        question["topic"] = format!("cut-{number}").into();
        assert_eq!(zombie.put(&question).await.0, 202);
    }
    until("work under way", async || (field.runs().len() == QUESTIONS).then_some(())).await;
    namespace.cut();
    let cut = Instant::now();

    let other = field.teller(&[("JETLAG_PROVISION", "false")]);
    other.ready().await;
    let operator = field.operator().await;
    until("answers of the other replica", async || {
        (events(&operator, "answers.told.*.*").await.len() == QUESTIONS).then_some(())
    })
    .await;
    println!("cut off: {:?} until the other replica had answered everything", cut.elapsed());
    // Each came once to either: what the lost replica had asked for has expired by then, and takes no delivery with it.
    let info = field.request("$JS.API.CONSUMER.INFO.EVENTS.teller", Value::Null).await;
    assert_eq!(info["delivered"]["consumer_seq"], 2 * QUESTIONS, "{info}");
    namespace.mend();
    // It finishes what it had begun, and its commits are refused: they are there.
    let already = "jetlag_commits_total{function=\"teller\",outcome=\"already\"}";
    until("recognised commits of the replica that was cut off", async || {
        (zombie.metric(already).await >= QUESTIONS as f64).then_some(())
    })
    .await;
    balances(&operator, QUESTIONS).await;
    assert!(field.runs().values().all(|runs| *runs >= 2), "each was worked on twice: {:?}", field.runs());
    // It is a replica like any other again.
    until("ready replica", async || (zombie.get("/ready").await.0 == 200).then_some(())).await;
    assert_eq!(
        (zombie.said("the broker is lost"), zombie.said("the broker is back")),
        (1, 1),
        "{}",
        zombie.log()
    );
    tokio::time::timeout(Duration::from_secs(60), async {
        assert_eq!(other.put(&question("after", 0, 0)).await.0, 202);
    })
    .await
    .unwrap();
    balances(&operator, QUESTIONS + 1).await;
}
