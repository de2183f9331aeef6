//! Work queues, messages that wait, and dead letters.

use std::time::Duration;

use time::OffsetDateTime;

use crate::core::broker::{Broker, Lane, Message, PublishError, Schedule, Stream};
use crate::testing::conformance::rig::{
    Check, Consumer, Rig, Settings, after, comes_to, eventually, lag, nothing, pull, same, subject, sure,
};

const RETRIES: Consumer = Consumer::of(Stream::Retry, &["retry.f.>"]);
/// How long a message waits that is looked at while it waits.
const WAIT: Duration = Duration::from_secs(2);

fn retry(at: OffsetDateTime) -> Message {
    let mut message = after(0, "schedule.f.x.2");
    message.headers = vec![("Jetlag-Attempt", "2".into()), ("Jetlag-History", "[\"ö\"]".into())];
    message.payload = "the input".into();
    message.schedule = Some(Schedule { at, target: subject("retry.f.x.2") });
    message
}

pub(super) async fn what_is_acknowledged_leaves_the_queue<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Intake], Settings::default()).await?;
    let consumer = Consumer::of(Stream::Intake, &["x.y"]);
    rig.subscribe(&consumer).await?;
    let (broker, mut lane) = (rig.connect().await?, rig.lane(&consumer).await?);
    for payload in ["one", "two"] {
        let message = Message { payload: payload.into(), ..Message::new(subject("x.y"), "".into()) };
        broker.publish(Stream::Intake, vec![message]).await.map_err(|e| e.to_string())?;
    }
    let first = pull(&mut lane).await?;
    same("the first", first.payload, "one")?;
    broker.ack(&first.receipt).await;
    eventually("the queue", async || same("messages", rig.count(Stream::Intake).await?, 1)).await?;
    let second = pull(&mut lane).await?;
    same("the second", (second.payload.as_ref(), second.delivered), (b"two".as_ref(), 1))
}

pub(super) async fn what_is_scheduled_comes_up_on_its_target_at_its_time<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Retry], Settings::default()).await?;
    rig.subscribe(&RETRIES).await?;
    let (broker, mut lane) = (rig.connect().await?, rig.lane(&RETRIES).await?);
    let at = broker.now() + WAIT;
    same("the schedule", broker.publish(Stream::Retry, vec![retry(at)]).await, Ok(1))?;
    let due = pull(&mut lane).await?;
    let now = broker.now();
    sure(now >= at, || format!("it came {} too early", at - now))?;
    same("subject", due.subject.as_str(), "retry.f.x.2")?;
    same("payload", due.payload.as_ref(), b"the input".as_ref())?;
    same("attempt", due.header("Jetlag-Attempt"), Some("2"))?;
    same("history", due.header("Jetlag-History"), Some("[\"ö\"]"))?;
    same("deliveries", due.delivered, 1)?;
    // The message that waited is gone, and with it what it insisted on.
    eventually("the queue", async || same("messages", rig.count(Stream::Retry).await?, 1)).await?;
    broker.ack(&due.receipt).await;
    eventually("the queue", async || same("messages", rig.count(Stream::Retry).await?, 0)).await
}

pub(super) async fn what_waits_counts_no_lag<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Retry], Settings::default()).await?;
    rig.subscribe(&RETRIES).await?;
    let broker = rig.connect().await?;
    let at = broker.now() + WAIT;
    same("the schedule", broker.publish(Stream::Retry, vec![retry(at)]).await, Ok(1))?;
    let waiting = rig.lag(&RETRIES).await?;
    if broker.now() < at {
        same("while it waits", waiting, lag(0, 0))?;
    }
    comes_to(rig, &RETRIES, lag(1, 0)).await?;
    sure(broker.now() >= at, || "it counts before it is due".into())?;
    let mut lane = rig.lane(&RETRIES).await?;
    let due = pull(&mut lane).await?;
    same("delivered", rig.lag(&RETRIES).await?, lag(0, 1))?;
    broker.ack(&due.receipt).await;
    comes_to(rig, &RETRIES, lag(0, 0)).await
}

pub(super) async fn what_is_scheduled_twice_waits_once<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Retry], Settings::default()).await?;
    rig.subscribe(&RETRIES).await?;
    let (broker, mut lane) = (rig.connect().await?, rig.lane(&RETRIES).await?);
    let at = broker.now() + WAIT;
    same("the schedule", broker.publish(Stream::Retry, vec![retry(at)]).await, Ok(1))?;
    let again = broker.publish(Stream::Retry, vec![retry(at)]).await;
    if broker.now() < at {
        same("again", again, Err(PublishError::Refused))?;
    }
    let due = pull(&mut lane).await?;
    broker.ack(&due.receipt).await;
    lane.request(5).await;
    nothing(&mut lane).await
}

pub(super) async fn what_was_due_before_it_came_comes_up_at_once<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Retry], Settings::default()).await?;
    rig.subscribe(&RETRIES).await?;
    let (broker, mut lane) = (rig.connect().await?, rig.lane(&RETRIES).await?);
    let at = broker.now() - Duration::from_secs(60);
    same("the schedule", broker.publish(Stream::Retry, vec![retry(at)]).await, Ok(1))?;
    same("subject", pull(&mut lane).await?.subject.as_str(), "retry.f.x.2")
}

pub(super) async fn a_dead_letter_is_written_once<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::DeadLetters], Settings::default()).await?;
    let broker = rig.connect().await?;
    let letter = |payload: &'static str| {
        let mut letter = after(0, "dlq.f.x");
        letter.headers = vec![("Jetlag-Reason", "rejected".into())];
        letter.payload = payload.into();
        vec![letter]
    };
    same("the first", broker.publish(Stream::DeadLetters, letter("first")).await, Ok(1))?;
    let again = broker.publish(Stream::DeadLetters, letter("second")).await;
    same("the second", again, Err(PublishError::Refused))?;
    let found = broker.last_at_leader(Stream::DeadLetters, &subject("dlq.f.x")).await;
    let found = found.map_err(|e| e.to_string())?.ok_or("no letter")?;
    same(
        "the letter",
        (found.payload.as_ref(), found.header("Jetlag-Reason")),
        (b"first".as_ref(), Some("rejected")),
    )
}
