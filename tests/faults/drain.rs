//! A process that is told to stop leaves nothing unanswered: what it does not finish it gives back, and whoever is there
//! next has it at once, not when `ack_wait` is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::Client;
use futures::StreamExt;
use jetlag::jetstream::Operator;
use serde_json::{Value, json};
use tests::{PATIENCE, until};

use crate::field::Field;
use crate::process::question;

/// How many processes are drained, unless `DRAINS` says otherwise.
const DRAINS: usize = 4;
/// The streams that a teller reads.
const STREAMS: [&str; 3] = ["EVENTS", "RETRY", "INTAKE"];
/// The time between two bursts of inputs: less than a process can do, so that it has always asked for more than comes.
const PAUSE: Duration = Duration::from_millis(80);
/// How often it is looked again whether something is stuck: for some seconds on a busy machine, and for much less than
/// `ack_wait`.
const LOOKS: usize = 50;
/// How many inputs come at a time.
const BURST: usize = 8;

pub async fn drained_process_leaves_nothing_that_waits_for_ack_wait() {
    let field = Field::new(json!({})).await;
    field.provision().await;
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let publisher = tokio::spawn(publish(field.operator().await, Arc::clone(&over), Arc::clone(&asked)));
    let client = async_nats::connect(field.server.url()).await.unwrap();
    let drains = std::env::var("DRAINS").map_or(DRAINS, |text| text.parse().unwrap());
    let mut left = Vec::new();
    for drain in 0..drains {
        let before = runs(&field);
        let mut teller = field.teller(&[("RUST_LOG", "jetlag=debug")]);
        teller.ready().await;
        // Not always in the same moment after something came.
        let handled = before + 10 + drain % 7;
        until("work", async || (runs(&field) >= handled).then_some(())).await;
        teller.stop();
        assert_eq!(teller.exit_code().await, Some(0), "{}", teller.log());
        // What was asked for twice stands at the broker while the lane waits for one.
        assert_eq!(teller.said("a request for inputs is lost"), 0, "{}", teller.log());
        for stream in STREAMS {
            // The server takes note of answers a moment after it has read them; what is stuck is so for `ack_wait`.
            let mut unanswered = stuck(&field, &client, stream).await;
            for _ in 0..LOOKS {
                if unanswered == 0 {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                unanswered = stuck(&field, &client, stream).await;
            }
            if unanswered > 0 {
                left.push((drain, stream, unanswered, teller.log()));
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    publisher.await.unwrap();
    assert!(left.is_empty(), "of {drains} drains: {left:#?}");
    let teller = field.teller(&[]);
    teller.ready().await;
    field.balances(asked.load(Ordering::Relaxed)).await;
}

async fn publish(operator: Operator, over: Arc<AtomicBool>, asked: Arc<AtomicUsize>) {
    while !over.load(Ordering::Relaxed) {
        for _ in 0..BURST {
            let id = format!("Q-{}", asked.fetch_add(1, Ordering::Relaxed));
            let event = json!({
                "id": format!("e-{id}"), "type": "questions.asked", "aggregate_id": id, "data": question(&id, 1, 0),
                "timestamp": "2026-11-21T14:00:00Z", "trace_id": "",
            });
            operator.publish("questions.asked", &id, event.to_string().into()).await.unwrap();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How many runs there were.
fn runs(field: &Field) -> usize {
    field.runs().values().sum()
}

/// How many inputs of the consumer on `stream` were delivered, and neither answered nor given back. What was given back
/// counts as unanswered too, but comes at once to whoever asks; it is given back again.
async fn stuck(field: &Field, client: &Client, stream: &str) -> usize {
    let info = field.request(&format!("$JS.API.CONSUMER.INFO.{stream}.teller"), Value::Null).await;
    let pending = usize::try_from(info["num_ack_pending"].as_u64().unwrap()).unwrap();
    let delivered = info["delivered"]["stream_seq"].as_u64().unwrap();
    if pending == 0 {
        return 0;
    }
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    let ask = json!({"batch": pending, "no_wait": true}).to_string();
    client
        .publish_with_reply(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.teller"), inbox, ask.into())
        .await
        .unwrap();
    let (mut given_back, mut came) = (0, 0);
    while came < pending {
        let next = tokio::time::timeout(PATIENCE, answers.next()).await;
        let message = next.expect("an answer").unwrap();
        let Some(reply) = message.reply else { break };
        came += 1;
        let sequence: u64 = reply.split('.').nth(5).unwrap().parse().unwrap();
        given_back += usize::from(sequence <= delivered);
        client.publish(reply, "-NAK".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    pending - given_back
}
