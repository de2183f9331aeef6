//! How long a message stays, and what a full stream still takes.

use std::time::Duration;

use crate::core::broker::{Broker, Keep, Message, PublishError, Stream};
use crate::testing::conformance::rig::{
    Check, Rig, Settings, after, eventually, guarded, message, same, subject, sure,
};

/// How long an event is kept here.
const HORIZON: Duration = Duration::from_secs(2);

fn short() -> Settings {
    Settings { horizon: HORIZON, ..Settings::default() }
}

fn kept(keep: Keep, mut message: Message) -> Message {
    message.keep = keep;
    message
}

async fn is_there<B: Broker>(broker: &B, on: &str) -> Result<bool, String> {
    let found = broker.last_at_leader(Stream::Events, &subject(on)).await.map_err(|e| e.to_string())?;
    Ok(found.is_some())
}

async fn goes_away<B: Broker>(broker: &B, on: &str) -> Check {
    eventually(on, async || sure(!is_there(broker, on).await?, || "it is still there".into())).await
}

pub(super) async fn a_subject_keeps_its_last_message<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    for value in ["one", "two", "three"] {
        let write = Message { payload: value.into(), ..message("state.f.k") };
        broker.publish(Stream::Events, vec![write]).await.map_err(|e| e.to_string())?;
    }
    same("messages", rig.count(Stream::Events).await?, 1)?;
    let found = broker.last(Stream::Events, &subject("state.f.k")).await.map_err(|e| e.to_string())?;
    same("the value", found.map(|found| (found.sequence, found.payload)), Some((3, "three".into())))
}

pub(super) async fn the_end_of_an_event_frees_its_guard<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], short()).await?;
    let broker = rig.connect().await?;
    let commit = async || broker.publish(Stream::Events, vec![guarded(0, "a.b.A.1", "*.*.A.1")]).await;
    same("the first", commit().await, Ok(1))?;
    same("within the horizon", commit().await, Err(PublishError::Refused))?;
    goes_away(&broker, "a.b.A.1").await?;
    same("behind the horizon", commit().await, Ok(2))
}

pub(super) async fn state_outlives_the_horizon<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], short()).await?;
    let broker = rig.connect().await?;
    let batch = vec![guarded(0, "a.b.A.1", "*.*.A.1"), kept(Keep::Forever, after(0, "state.f.k"))];
    same("both", broker.publish(Stream::Events, batch).await, Ok(2))?;
    goes_away(&broker, "a.b.A.1").await?;
    tokio::time::sleep(HORIZON).await;
    sure(is_there(&broker, "state.f.k").await?, || "the state is gone too".into())?;
    let write = broker.publish(Stream::Events, vec![kept(Keep::Forever, after(2, "state.f.k"))]).await;
    same("on what is there", write, Ok(3))
}

pub(super) async fn state_with_a_time_of_its_own_goes_when_that_is_over<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let write = || vec![message("a.b.A.1"), kept(Keep::For(Duration::from_secs(2)), after(0, "state.f.k"))];
    same("the first", broker.publish(Stream::Events, write()).await, Ok(2))?;
    sure(is_there(&broker, "state.f.k").await?, || "it is gone at once".into())?;
    goes_away(&broker, "state.f.k").await?;
    sure(is_there(&broker, "a.b.A.1").await?, || "it took the event along".into())?;
    same("anew", broker.publish(Stream::Events, write()).await, Ok(4))
}

pub(super) async fn the_horizon_does_not_cut_the_time_of_state_short<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], short()).await?;
    let broker = rig.connect().await?;
    let time = HORIZON + Duration::from_secs(2);
    let batch = vec![message("a.b.A.1"), kept(Keep::For(time), after(0, "state.f.k"))];
    same("both", broker.publish(Stream::Events, batch).await, Ok(2))?;
    goes_away(&broker, "a.b.A.1").await?;
    sure(is_there(&broker, "state.f.k").await?, || "it goes with the horizon".into())
}

pub(super) async fn each_write_begins_its_time_anew<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], Settings::default()).await?;
    let broker = rig.connect().await?;
    let write = |keep, sequence, on: &str| kept(keep, after(sequence, on));
    let (long, short) = (Keep::For(Duration::from_secs(8)), Keep::For(Duration::from_secs(1)));
    // Renewed at once by a longer time, it stays longer than what was written last of all with the shorter one.
    same("short", broker.publish(Stream::Events, vec![write(short, 0, "state.f.k")]).await, Ok(1))?;
    same("renewed", broker.publish(Stream::Events, vec![write(long, 1, "state.f.k")]).await, Ok(2))?;
    same("beside it", broker.publish(Stream::Events, vec![write(short, 0, "state.f.l")]).await, Ok(3))?;
    goes_away(&broker, "state.f.l").await?;
    sure(is_there(&broker, "state.f.k").await?, || "it went at its first time".into())?;
    // And the other way round.
    same("shorter", broker.publish(Stream::Events, vec![write(short, 2, "state.f.k")]).await, Ok(4))?;
    goes_away(&broker, "state.f.k").await
}

fn small() -> Settings {
    Settings { events_bytes_max: 1024 * 1024, ..Settings::default() }
}

fn sized(bytes: usize, message: Message) -> Message {
    Message { payload: vec![b'v'; bytes].into(), ..message }
}

pub(super) async fn a_full_stream_takes_no_new_subject<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], small()).await?;
    let broker = rig.connect().await?;
    rig.fill().await?;
    let alone = broker.publish(Stream::Events, vec![sized(100, guarded(0, "c.d.A.1", "*.*.A.1"))]).await;
    same("one alone", alone, Err(PublishError::Full))?;
    let batch = vec![sized(100, guarded(0, "c.d.A.1", "*.*.A.1")), sized(100, after(0, "state.f.new"))];
    same("a batch", broker.publish(Stream::Events, batch).await, Err(PublishError::Full))?;
    let found =
        broker.last_at_leader(Stream::Events, &subject("c.d.A.1")).await.map_err(|e| e.to_string())?;
    sure(found.is_none(), || "it is there".into())
}

pub(super) async fn a_full_stream_takes_new_versions_if_it_has_one_replica<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], small()).await?;
    let broker = rig.connect().await?;
    let write = |on: &str, bytes, sequence| sized(bytes, kept(Keep::Forever, after(sequence, on)));
    let subjects = [("state.f.k", 60), ("state.f.l", 100)];
    for (place, (on, _)) in subjects.iter().enumerate() {
        let first = broker.publish(Stream::Events, vec![write(on, 100, 0)]).await;
        same(on, first, Ok(place as u64 + 1))?;
    }
    rig.fill().await?;
    // Smaller, and of the same size.
    let wanted = if rig.replicas() == 1 { Ok(()) } else { Err(PublishError::Full) };
    for (place, (on, bytes)) in subjects.iter().enumerate() {
        let next = broker.publish(Stream::Events, vec![write(on, *bytes, place as u64 + 1)]).await;
        same(on, next.map(drop), wanted.clone())?;
    }
    Ok(())
}

pub(super) async fn a_full_stream_still_refuses_what_is_stale<R: Rig>(rig: &R) -> Check {
    rig.provide(&[Stream::Events], small()).await?;
    let broker = rig.connect().await?;
    same("the first", broker.publish(Stream::Events, vec![sized(100, after(0, "state.f.k"))]).await, Ok(1))?;
    rig.fill().await?;
    let stale = broker.publish(Stream::Events, vec![sized(60, after(7, "state.f.k"))]).await;
    same("a stale version", stale, Err(PublishError::Refused))?;
    // Which of the two is said where both are true is not promised; that nothing is stored is.
    let both = [
        vec![sized(100, guarded(1, "c.d.A.1", "*.*.A.1"))],
        vec![sized(100, guarded(1, "c.d.A.1", "*.*.A.1")), sized(60, after(7, "state.f.k"))],
    ];
    for batch in both {
        let result = broker.publish(Stream::Events, batch).await;
        let is_either = matches!(result, Err(PublishError::Refused | PublishError::Full));
        sure(is_either, || format!("full and stale: {result:?}"))?;
    }
    sure(!is_there(&broker, "c.d.A.1").await?, || "it is there".into())
}
