//! Several lanes of one consumer: replicas of a function.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::broker::{Broker, Lane, Message, Pulled, Stream};
use crate::testing::conformance::rig::{
    Check, Consumer, PATIENCE, Rig, Settings, comes_to, lag, message, next, nothing, same, sure,
};

const ALL: Consumer = Consumer::of(Stream::Events, &["a.b.*.*"]);
/// How many inputs two replicas share.
const INPUTS: usize = 200;
/// How many of them one replica asks for at a time.
const CREDIT: usize = 10;

async fn publish<R: Rig>(rig: &R, events: usize) -> Result<R::Broker, String> {
    let broker = rig.connect().await?;
    let events: Vec<Message> = (1..=events).map(|number| message(&format!("a.b.A.{number}"))).collect();
    broker.publish(Stream::Events, events).await.map_err(|error| error.to_string())?;
    Ok(broker)
}

pub(super) async fn replicas_share_inputs_without_doubles<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    rig.subscribe(&ALL).await?;
    let (mut one, mut two) = (rig.lane(&ALL).await?, rig.lane(&ALL).await?);
    let broker = publish(rig, INPUTS).await?;
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut parts = (0, 0);
    one.request(CREDIT).await;
    two.request(CREDIT).await;
    while seen.len() < INPUTS {
        // Whichever has something; both ask again for what they got.
        let delivery = tokio::select! {
            delivery = next(&mut one) => { parts.0 += 1; one.request(1).await; delivery? }
            delivery = next(&mut two) => { parts.1 += 1; two.request(1).await; delivery? }
        };
        same("deliveries", delivery.delivered, 1)?;
        *seen.entry(delivery.sequence).or_default() += 1;
        broker.ack(&delivery.receipt).await;
    }
    let doubles: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    sure(doubles.is_empty(), || format!("came twice: {doubles:?}"))?;
    sure(parts.0 > 0 && parts.1 > 0, || format!("shares of {parts:?}"))?;
    comes_to(rig, &ALL, lag(0, 0)).await
}

pub(super) async fn replicas_share_the_limit_on_unanswered_inputs<R: Rig>(rig: &R) -> Check {
    let consumer = ALL.held_max(4);
    rig.provide(&[Stream::Events], Settings::default()).await?;
    rig.subscribe(&consumer).await?;
    let broker = publish(rig, 10).await?;
    let (mut one, mut two) = (rig.lane(&consumer).await?, rig.lane(&consumer).await?);
    one.request(3).await;
    let held = [next(&mut one).await?, next(&mut one).await?, next(&mut one).await?];
    two.request(3).await;
    let last = next(&mut two).await?;
    nothing(&mut two).await?;
    same("the lag", rig.lag(&consumer).await?, lag(6, 4))?;
    // What is given back for a while holds its place.
    broker.give_back(&last.receipt, PATIENCE * 2).await;
    two.request(3).await;
    nothing(&mut two).await?;
    // And an answer makes room for one more, whoever asks.
    let [first, ..] = &held;
    broker.ack(&first.receipt).await;
    let more = async {
        loop {
            match two.next().await {
                Pulled::Delivery(delivery) => return *delivery,
                Pulled::Expired(credit) => two.request(credit).await,
                Pulled::Lost => two.request(3).await,
            }
        }
    };
    let more =
        tokio::time::timeout(PATIENCE, more).await.map_err(|_| "no more after an answer".to_owned())?;
    same("one more", (more.sequence, more.delivered), (5, 1))
}

pub(super) async fn with_one_batch_out_order_is_kept<R: Rig>(rig: &R) -> Check {
    // As the trail is read: no more is out than one replica takes at a time.
    let consumer = ALL.held_max(5);
    rig.provide(&[Stream::Events], Settings::default()).await?;
    rig.subscribe(&consumer).await?;
    let broker = publish(rig, 20).await?;
    let mut lane = rig.lane(&consumer).await?;
    let mut after = 0;
    for round in 0..6 {
        lane.request(5).await;
        let mut batch = Vec::new();
        while batch.len() < 5 && after + (batch.len() as u64) < 20 {
            batch.push(next(&mut lane).await?);
        }
        let mut sequences: Vec<u64> = batch.iter().map(|delivery| delivery.sequence).collect();
        sequences.sort_unstable();
        let wanted: Vec<u64> = (after + 1..=(after + 5).min(20)).collect();
        same("a batch", sequences, wanted)?;
        for delivery in &batch {
            // Every other batch comes back whole.
            if round % 2 == 0 {
                broker.give_back(&delivery.receipt, Duration::ZERO).await;
            } else {
                broker.ack(&delivery.receipt).await;
            }
        }
        if round % 2 == 1 {
            after += 5;
        }
    }
    Ok(())
}

pub(super) async fn an_input_of_a_replica_that_died_goes_to_another<R: Rig>(rig: &R) -> Check {
    let consumer = ALL.ack_wait(Duration::from_secs(1));
    rig.provide(&[Stream::Events], Settings::default()).await?;
    rig.subscribe(&consumer).await?;
    let broker = publish(rig, 3).await?;
    let mut dying = rig.lane(&consumer).await?;
    dying.request(3).await;
    let first = next(&mut dying).await?;
    broker.ack(&first.receipt).await;
    drop(dying);
    let mut other = rig.lane(&consumer).await?;
    other.request(3).await;
    let mut sequences = Vec::new();
    for _ in 0..2 {
        let delivery = next(&mut other).await?;
        sure(delivery.delivered > 1, || "it was not delivered before".into())?;
        broker.ack(&delivery.receipt).await;
        sequences.push(delivery.sequence);
    }
    sequences.sort_unstable();
    same("inputs", sequences, vec![2, 3])?;
    comes_to(rig, &consumer, lag(0, 0)).await
}
