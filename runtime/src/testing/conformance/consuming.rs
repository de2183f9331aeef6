//! One lane: what comes, when it comes again, and what an answer does.

use std::time::Duration;

use tokio::time::Instant;

use crate::core::broker::{Broker, Delivery, Lane, Pulled, Stream};
use crate::testing::conformance::rig::{
    Check, Consumer, PATIENCE, Rig, Settings, comes_to, eventually, lag, message, next, nothing, pull, same,
    subject, sure,
};

const ALL: Consumer = Consumer::of(Stream::Events, &["a.b.*.*"]);
/// How long an input may stay without an answer, where a property waits for that.
const ACK_WAIT: Duration = Duration::from_secs(1);
/// The same, where signs of work have to come in time, on a machine that may be busy.
const ACK_WAIT_LONG: Duration = Duration::from_secs(3);

/// How long a message of a connection may be on its way: the simulated network may let the next one overtake it.
const ON_ITS_WAY: Duration = Duration::from_millis(10);

/// Streams, `consumer`, and so many events for it.
async fn begin<R: Rig>(rig: &R, consumer: &Consumer, events: usize) -> Result<(R::Broker, R::Lane), String> {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    rig.subscribe(consumer).await?;
    let broker = rig.connect().await?;
    for number in 1..=events {
        let event = message(&format!("a.b.A.{number}"));
        broker.publish(Stream::Events, vec![event]).await.map_err(|error| error.to_string())?;
    }
    let lane = rig.lane(consumer).await?;
    Ok((broker, lane))
}

/// The sequence, and how often it was delivered.
const fn place<R>(delivery: &Delivery<R>) -> (u64, u64) {
    (delivery.sequence, delivery.delivered)
}

pub(super) async fn a_lane_brings_what_its_filters_cover_in_order<R: Rig>(rig: &R) -> Check {
    let consumer = Consumer::of(Stream::Events, &["a.b.*.*", "c.d.*.*"]);
    let (broker, mut lane) = begin(rig, &consumer, 0).await?;
    for on in ["a.b.A.1", "e.f.A.2", "state.f.k", "c.d.A.3", "done.f.A.4", "a.b.B.5"] {
        broker.publish(Stream::Events, vec![message(on)]).await.map_err(|error| error.to_string())?;
    }
    lane.request(10).await;
    for wanted in [("a.b.A.1", 1), ("c.d.A.3", 4), ("a.b.B.5", 6)] {
        let delivery = next(&mut lane).await?;
        same("input", (delivery.subject.as_str(), delivery.sequence), wanted)?;
        same("deliveries", delivery.delivered, 1)?;
    }
    nothing(&mut lane).await
}

pub(super) async fn a_version_that_was_replaced_does_not_come<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 1).await?;
    same("a second", broker.publish(Stream::Events, vec![message("a.b.A.1")]).await, Ok(2))?;
    same("input", place(&pull(&mut lane).await?), (2, 1))?;
    lane.request(1).await;
    nothing(&mut lane).await
}

pub(super) async fn what_is_not_answered_comes_again_and_is_counted<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL.ack_wait(ACK_WAIT), 1).await?;
    let mut asked = Instant::now();
    same("first", place(&pull(&mut lane).await?), (1, 1))?;
    for time in 2..=3 {
        let again = pull(&mut lane).await?;
        same("again", place(&again), (1, time))?;
        sure(asked.elapsed() >= ACK_WAIT, || format!("again after {:?}", asked.elapsed()))?;
        // It was delivered again before it arrived here.
        asked = Instant::now() - Duration::from_millis(500);
        if time == 3 {
            broker.ack(&again.receipt).await;
        }
    }
    comes_to(rig, &ALL, lag(0, 0)).await
}

pub(super) async fn what_is_given_back_comes_again_at_once<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 2).await?;
    let first = pull(&mut lane).await?;
    broker.give_back(&first.receipt, Duration::ZERO).await;
    comes_to(rig, &ALL, lag(1, 1)).await?;
    lane.request(2).await;
    let mut places = [place(&next(&mut lane).await?), place(&next(&mut lane).await?)];
    places.sort_unstable();
    same("inputs", places, [(1, 2), (2, 1)])
}

pub(super) async fn what_is_given_back_for_a_while_comes_after_it<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 1).await?;
    let first = pull(&mut lane).await?;
    let given = Instant::now();
    let delay = Duration::from_millis(1500);
    broker.give_back(&first.receipt, delay).await;
    // It counts as unanswered all the while.
    same("the lag", rig.lag(&ALL).await?, lag(0, 1))?;
    same("again", place(&pull(&mut lane).await?), (1, 2))?;
    sure(given.elapsed() >= delay, || format!("again after {:?}", given.elapsed()))
}

pub(super) async fn signs_of_work_hold_an_input<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL.ack_wait(ACK_WAIT_LONG), 1).await?;
    let first = pull(&mut lane).await?;
    let began = Instant::now();
    lane.request(1).await;
    while began.elapsed() < ACK_WAIT_LONG + ACK_WAIT {
        broker.in_progress(&first.receipt).await;
        match tokio::time::timeout(ACK_WAIT / 4, lane.next()).await {
            Ok(Pulled::Delivery(delivery)) => {
                return Err(format!("it came again: {:?}", place(&delivery)));
            }
            Ok(Pulled::Expired(credit)) => lane.request(credit).await,
            Ok(Pulled::Lost) => return Err("the lane is lost".into()),
            Err(_) => {}
        }
    }
    broker.ack(&first.receipt).await;
    comes_to(rig, &ALL, lag(0, 0)).await
}

pub(super) async fn signs_of_work_end_a_wait_that_was_asked_for<R: Rig>(rig: &R) -> Check {
    // Given back for long, then worked on: the last word counts.
    let (broker, mut lane) = begin(rig, &ALL.ack_wait(ACK_WAIT), 1).await?;
    let first = pull(&mut lane).await?;
    broker.give_back(&first.receipt, PATIENCE * 2).await;
    tokio::time::sleep(ON_ITS_WAY).await;
    broker.in_progress(&first.receipt).await;
    same("again", place(&pull(&mut lane).await?), (1, 2))
}

pub(super) async fn an_answer_to_an_earlier_delivery_completes<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 1).await?;
    let first = pull(&mut lane).await?;
    broker.give_back(&first.receipt, Duration::ZERO).await;
    same("again", place(&pull(&mut lane).await?), (1, 2))?;
    broker.ack(&first.receipt).await;
    comes_to(rig, &ALL, lag(0, 0)).await?;
    lane.request(1).await;
    nothing(&mut lane).await
}

pub(super) async fn giving_back_an_earlier_delivery_brings_it_again<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 1).await?;
    let first = pull(&mut lane).await?;
    broker.give_back(&first.receipt, Duration::ZERO).await;
    same("again", place(&pull(&mut lane).await?), (1, 2))?;
    broker.give_back(&first.receipt, Duration::ZERO).await;
    same("and again", place(&pull(&mut lane).await?), (1, 3))
}

pub(super) async fn an_acknowledgement_after_a_giving_back_wins<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 1).await?;
    let first = pull(&mut lane).await?;
    broker.give_back(&first.receipt, Duration::from_millis(600)).await;
    broker.ack(&first.receipt).await;
    comes_to(rig, &ALL, lag(0, 0)).await?;
    lane.request(1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    nothing(&mut lane).await
}

pub(super) async fn an_acknowledgement_may_come_twice<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 2).await?;
    let (first, second) = (pull(&mut lane).await?, pull(&mut lane).await?);
    for _ in 0..3 {
        broker.ack(&first.receipt).await;
    }
    // Giving back what is done with moves nothing.
    broker.give_back(&first.receipt, Duration::ZERO).await;
    comes_to(rig, &ALL, lag(0, 1)).await?;
    lane.request(1).await;
    nothing(&mut lane).await?;
    broker.ack(&second.receipt).await;
    comes_to(rig, &ALL, lag(0, 0)).await
}

pub(super) async fn no_more_comes_than_was_asked_for<R: Rig>(rig: &R) -> Check {
    let (_, mut lane) = begin(rig, &ALL, 8).await?;
    lane.request(3).await;
    for wanted in 1..=3 {
        same("input", place(&next(&mut lane).await?), (wanted, 1))?;
    }
    nothing(&mut lane).await?;
    lane.request(2).await;
    lane.request(1).await;
    for wanted in 4..=6 {
        same("input", place(&next(&mut lane).await?), (wanted, 1))?;
    }
    nothing(&mut lane).await
}

pub(super) async fn a_request_that_expires_gives_its_rest_back<R: Rig>(rig: &R) -> Check {
    let (_, mut lane) = begin(rig, &ALL, 2).await?;
    lane.request(5).await;
    same("first", place(&next(&mut lane).await?), (1, 1))?;
    same("second", place(&next(&mut lane).await?), (2, 1))?;
    match tokio::time::timeout(PATIENCE, lane.next()).await {
        Ok(Pulled::Expired(credit)) => same("credit", credit, 3),
        other => Err(format!("{other:?}")),
    }
}

pub(super) async fn two_requests_expire_each_for_itself<R: Rig>(rig: &R) -> Check {
    let (_, mut lane) = begin(rig, &ALL, 1).await?;
    lane.request(2).await;
    lane.request(4).await;
    let mut credit = 6;
    while credit > 1 {
        match tokio::time::timeout(PATIENCE, lane.next()).await {
            Ok(Pulled::Expired(given)) => credit -= given.min(credit),
            Ok(Pulled::Delivery(_)) => credit -= 1,
            other => return Err(format!("{other:?} with {credit} to come")),
        }
    }
    same("credit", credit, 1).or(Ok(()))
}

pub(super) async fn a_lane_that_closes_gives_what_was_on_its_way<R: Rig>(rig: &R) -> Check {
    const INPUTS: u64 = 10;
    let (broker, mut lane) = begin(rig, &ALL, 10).await?;
    lane.request(INPUTS as usize).await;
    let first = next(&mut lane).await?;
    let rest = lane.close().await;
    let mut sequences: Vec<u64> = rest.iter().map(|delivery| delivery.sequence).collect();
    sequences.sort_unstable();
    same("on their way", sequences, (2..=INPUTS).collect::<Vec<u64>>())?;
    for delivery in &rest {
        broker.give_back(&delivery.receipt, Duration::ZERO).await;
    }
    broker.ack(&first.receipt).await;
    // All of it comes again, well before anybody could have lost patience with it.
    let mut other = rig.lane(&ALL).await?;
    other.request(INPUTS as usize).await;
    for _ in 2..=INPUTS {
        same("deliveries", next(&mut other).await?.delivered, 2)?;
    }
    Ok(())
}

pub(super) async fn a_request_ends_with_its_lane<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 0).await?;
    lane.request(5).await;
    same("inputs", lane.close().await.len(), 0)?;
    let mut other = rig.lane(&ALL).await?;
    for number in 1..=3 {
        let event = message(&format!("a.b.A.{number}"));
        broker.publish(Stream::Events, vec![event]).await.map_err(|error| error.to_string())?;
        same("input", place(&pull(&mut other).await?), (number, 1))?;
    }
    Ok(())
}

pub(super) async fn a_lane_whose_consumer_is_deleted_is_lost<R: Rig>(rig: &R) -> Check {
    let (broker, mut lane) = begin(rig, &ALL, 1).await?;
    let first = pull(&mut lane).await?;
    lane.request(2).await;
    rig.remove(&ALL).await?;
    is_lost(&mut lane).await?;
    // And again, whenever it asks.
    lane.request(2).await;
    is_lost(&mut lane).await?;
    // An answer to what is gone does no harm.
    broker.ack(&first.receipt).await;
    Ok(())
}

async fn is_lost<R: std::fmt::Debug>(lane: &mut impl Lane<R>) -> Check {
    match tokio::time::timeout(PATIENCE, lane.next()).await {
        Ok(Pulled::Lost) => Ok(()),
        other => Err(format!("{other:?}, and it must be lost")),
    }
}

pub(super) async fn a_message_that_is_gone_leaves_its_consumer<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings { horizon: Duration::from_secs(2), ..Settings::default() })
        .await?;
    let consumer = ALL.ack_wait(ACK_WAIT);
    rig.subscribe(&consumer).await?;
    let (broker, mut lane) = (rig.connect().await?, rig.lane(&consumer).await?);
    for number in 1..=2 {
        let event = message(&format!("a.b.A.{number}"));
        broker.publish(Stream::Events, vec![event]).await.map_err(|error| error.to_string())?;
    }
    // One that was delivered and not answered, one that was not delivered.
    same("first", place(&pull(&mut lane).await?), (1, 1))?;
    eventually("both", async || {
        let found =
            broker.last_at_leader(Stream::Events, &subject("a.b.A.2")).await.map_err(|e| e.to_string())?;
        sure(found.is_none(), || "it is still there".into())
    })
    .await?;
    // Each replica lets it go on its own clock.
    tokio::time::sleep(ACK_WAIT * 2).await;
    lane.request(1).await;
    nothing(&mut lane).await?;
    comes_to(rig, &consumer, lag(0, 0)).await
}
