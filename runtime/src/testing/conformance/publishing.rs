//! One message: what an expected sequence guards, and what a refusal means.

use futures::future::join_all;

use crate::core::broker::{Broker, PublishError, Stream};
use crate::testing::conformance::rig::{Check, Rig, Settings, after, guarded, message, same, subject, sure};

/// How many publishers race.
const RACERS: usize = 6;
/// For how many places they race.
const PLACES: usize = 20;

pub(super) async fn expected_zero_is_the_first_on_a_subject<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    same("the first", broker.publish(Stream::Events, vec![after(0, "a.b.A.1")]).await, Ok(1))?;
    let again = broker.publish(Stream::Events, vec![after(0, "a.b.A.1")]).await;
    same("the second", again, Err(PublishError::Refused))?;
    same("another subject", broker.publish(Stream::Events, vec![after(0, "a.b.A.2")]).await, Ok(2))
}

pub(super) async fn an_expected_sequence_is_the_last_on_the_subject<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let write = async |sequence| broker.publish(Stream::Events, vec![after(sequence, "state.f.k")]).await;
    same("the first value", write(0).await, Ok(1))?;
    same("on what is there", write(1).await, Ok(2))?;
    same("on what was there", write(1).await, Err(PublishError::Refused))?;
    same("on what is not there yet", write(3).await, Err(PublishError::Refused))?;
    same("on what is there, after refusals", write(2).await, Ok(3))
}

pub(super) async fn a_guard_holds_over_every_type_of_event<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let commit = async |kind: &str| {
        let event = guarded(0, &format!("{kind}.A.1"), "*.*.A.1");
        broker.publish(Stream::Events, vec![event]).await
    };
    same("the first", commit("a.b").await, Ok(1))?;
    for kind in ["a.b", "c.d", "done.f"] {
        same(kind, commit(kind).await, Err(PublishError::Refused))?;
    }
    let other = guarded(0, "c.d.A.2", "*.*.A.2");
    same("under another id", broker.publish(Stream::Events, vec![other]).await, Ok(2))
}

pub(super) async fn a_refusal_stores_nothing<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    broker.publish(Stream::Events, vec![message("a.b.A.1")]).await.map_err(|e| e.to_string())?;
    for _ in 0..3 {
        let refused = broker.publish(Stream::Events, vec![guarded(0, "c.d.A.1", "*.*.A.1")]).await;
        same("the guard", refused, Err(PublishError::Refused))?;
    }
    same("messages", rig.count(Stream::Events).await?, 1)?;
    let found =
        broker.last_at_leader(Stream::Events, &subject("c.d.A.1")).await.map_err(|e| e.to_string())?;
    sure(found.is_none(), || format!("{found:?} was refused"))?;
    // Nor does it take a sequence.
    same("the next", broker.publish(Stream::Events, vec![message("a.b.A.2")]).await, Ok(2))
}

pub(super) async fn of_racing_commits_one_wins<R: Rig>(rig: &R) -> Check {
    race(rig, |racer, place| {
        vec![guarded(0, &format!("{}.A.{place}", kind(racer)), &format!("*.*.A.{place}"))]
    })
    .await
}

pub(super) async fn of_racing_batches_one_wins<R: Rig>(rig: &R) -> Check {
    race(rig, |racer, place| {
        let mut state = message(&format!("state.f.{racer}-{place}"));
        state.expect = after(0, "state.f.k").expect;
        vec![guarded(0, &format!("{}.A.{place}", kind(racer)), &format!("*.*.A.{place}")), state]
    })
    .await
}

async fn race<R: Rig>(rig: &R, commit: impl Fn(usize, usize) -> Vec<crate::core::broker::Message>) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let mut brokers = Vec::new();
    for _ in 0..RACERS {
        brokers.push(rig.connect().await?);
    }
    let messages = commit(0, 0).len();
    for place in 0..PLACES {
        let racing = brokers.iter().enumerate();
        let results =
            join_all(racing.map(|(racer, broker)| broker.publish(Stream::Events, commit(racer, place))))
                .await;
        let winners = results.iter().filter(|result| result.is_ok()).count();
        let refused = results.iter().filter(|result| **result == Err(PublishError::Refused)).count();
        sure((winners, refused) == (1, RACERS - 1), || format!("place {place} went to {results:?}"))?;
    }
    same("messages", rig.count(Stream::Events).await?, (PLACES * messages) as u64)
}

const fn kind(racer: usize) -> &'static str {
    match racer % 3 {
        0 => "a.b",
        1 => "c.d",
        _ => "done.f",
    }
}

pub(super) async fn a_message_too_large_is_rejected<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let largest = broker.message_bytes_max();
    let mut message = after(0, "a.b.A.1");
    message.payload = vec![b'x'; largest + 1].into();
    let result = broker.publish(Stream::Events, vec![message.clone()]).await;
    sure(matches!(result, Err(PublishError::Rejected(_))), || format!("too large: {result:?}"))?;
    // What the core takes for small enough is.
    let room = largest.saturating_sub(after(0, "a.b.A.1").size());
    message.payload = vec![b'x'; room].into();
    same("the largest", broker.publish(Stream::Events, vec![message]).await, Ok(1))
}

pub(super) async fn a_subject_that_no_stream_takes_is_rejected<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let result = broker.publish(Stream::Events, vec![message("nobody.listens.A.1.x")]).await;
    sure(matches!(result, Err(PublishError::Rejected(_))), || format!("{result:?}"))
}
