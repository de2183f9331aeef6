//! Several messages: together or not at all.

use futures::future::join;

use crate::core::broker::{Broker, Message, PublishError, Stream};
use crate::core::commit::GROUP_MESSAGES_MAX;
use crate::testing::conformance::rig::{Check, Rig, Settings, after, guarded, message, same, subject, sure};

/// How many batches are published while others publish too.
const BATCHES: u64 = 10;

async fn sequence_of<B: Broker>(broker: &B, on: &str) -> Result<u64, String> {
    let found = broker.last_at_leader(Stream::Events, &subject(on)).await.map_err(|e| e.to_string())?;
    Ok(found.map_or(0, |found| found.sequence))
}

pub(super) async fn a_batch_has_consecutive_sequences_and_the_last_is_answered<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let (broker, other) = (rig.connect().await?, rig.connect().await?);
    for batch in 0..BATCHES {
        let subjects = [1, 2, 3].map(|place| format!("a.b.{batch}.{place}"));
        let messages = subjects.iter().map(|on| after(0, on)).collect();
        let between = async {
            for number in 0..5 {
                let _ = other.publish(Stream::Events, vec![message(&format!("c.d.{batch}.{number}"))]).await;
            }
        };
        let (last, ()) = join(broker.publish(Stream::Events, messages), between).await;
        let last = last.map_err(|error| error.to_string())?;
        for (on, wanted) in subjects.iter().zip(last - 2..=last) {
            same(on, sequence_of(&broker, on).await?, wanted)?;
        }
    }
    Ok(())
}

/// `batch` is refused, and nothing of it is there; what was there before is.
async fn is_refused_whole<R: Rig>(rig: &R, broker: &R::Broker, batch: Vec<Message>) -> Check {
    let before = rig.count(Stream::Events).await?;
    let result = broker.publish(Stream::Events, batch.clone()).await;
    same("the batch", result, Err(PublishError::Refused))?;
    same("messages", rig.count(Stream::Events).await?, before)?;
    for one in batch {
        let found = broker.last_at_leader(Stream::Events, &one.subject).await.map_err(|e| e.to_string())?;
        let is_new = found.as_ref().is_some_and(|found| found.payload == "new");
        sure(!is_new, || format!("{} is there, of a batch that was refused", one.subject))?;
    }
    Ok(())
}

fn new(mut message: Message) -> Message {
    message.payload = "new".into();
    message
}

pub(super) async fn one_stale_state_refuses_the_whole_batch<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let first = broker.publish(Stream::Events, vec![message("state.f.k"), message("state.f.l")]).await;
    same("the first batch", first, Ok(2))?;
    // Wherever it stands in the batch.
    let event = || new(guarded(0, "a.b.A.1", "*.*.A.1"));
    let (stale, fresh) = (|| new(after(7, "state.f.k")), || new(after(2, "state.f.l")));
    is_refused_whole(rig, &broker, vec![event(), stale(), fresh()]).await?;
    is_refused_whole(rig, &broker, vec![event(), fresh(), stale()]).await?;
    is_refused_whole(rig, &broker, vec![stale(), event(), fresh()]).await?;
    let right = vec![event(), new(after(1, "state.f.k")), fresh()];
    same("the right one", broker.publish(Stream::Events, right).await, Ok(5))
}

pub(super) async fn one_duplicate_event_refuses_the_whole_batch<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    same("the first", broker.publish(Stream::Events, vec![message("a.b.A.1")]).await, Ok(1))?;
    let (duplicate, other) =
        (|| new(guarded(0, "c.d.A.1", "*.*.A.1")), || new(guarded(0, "a.b.A.2", "*.*.A.2")));
    is_refused_whole(rig, &broker, vec![duplicate(), other()]).await?;
    is_refused_whole(rig, &broker, vec![other(), duplicate()]).await?;
    same("the other alone", broker.publish(Stream::Events, vec![other()]).await, Ok(2))
}

pub(super) async fn a_batch_may_not_insist_twice_on_one_subject<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let twice = || vec![new(after(0, "state.f.k")), new(after(0, "state.f.k"))];
    is_refused_whole(rig, &broker, twice()).await?;
    is_refused_whole(rig, &broker, vec![new(after(0, "state.f.k")), new(after(1, "state.f.k"))]).await?;
    // A second message on a subject that does not insist is the later one.
    let batch = vec![after(0, "state.f.k"), new(message("state.f.k"))];
    same("one that insists", broker.publish(Stream::Events, batch).await, Ok(2))?;
    same("the value", sequence_of(&broker, "state.f.k").await?, 2)?;
    same("messages", rig.count(Stream::Events).await?, 1)
}

pub(super) async fn two_of_a_batch_may_share_a_scope<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let both = || vec![guarded(0, "a.b.A.1", "a.b.A.*"), guarded(0, "a.b.A.2", "a.b.A.*")];
    same("the first", broker.publish(Stream::Events, both()).await, Ok(2))?;
    same("again", broker.publish(Stream::Events, both()).await, Err(PublishError::Refused))
}

pub(super) async fn a_batch_has_at_most_a_thousand_messages<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let batch =
        |name: &str, size| (0..size).map(|number| after(0, &format!("a.b.{name}.{number}"))).collect();
    let result = broker.publish(Stream::Events, batch("large", GROUP_MESSAGES_MAX + 1)).await;
    sure(matches!(result, Err(PublishError::Rejected(_))), || format!("1,001 messages: {result:?}"))?;
    same("messages", rig.count(Stream::Events).await?, 0)?;
    let result = broker.publish(Stream::Events, batch("small", GROUP_MESSAGES_MAX)).await;
    same("1,000 messages", result, Ok(GROUP_MESSAGES_MAX as u64))
}
