use super::*;
use crate::core::broker::{Keep, Message};
use crate::memory::Still;

fn key() -> Subject {
    Subject::of_state("f", "k", "x")
}

fn write(value: &'static [u8]) -> [StateWrite; 1] {
    [StateWrite { subject: key(), value: Bytes::from_static(value), keep: Keep::Forever }]
}

async fn read(states: &States<Still>) -> Loaded {
    states.load(vec![key()]).await.unwrap().pop().unwrap()
}

fn publish(states: &States<Still>, value: &'static [u8]) -> u64 {
    states.broker.publish_now(Stream::Events, &[Message::new(key(), Bytes::from_static(value))]).unwrap()
}

#[tokio::test]
async fn later_readers_see_what_was_written_ahead_and_nobody_writes_on_what_is_old() {
    let states = States::new(Arc::new(Still::new()));
    let before = read(&states).await;
    assert_eq!(before.value, None);
    let reads = [(key(), before.version)];
    let versions = states.lock().write_ahead(&reads, &write(b"1")).unwrap();
    let after = read(&states).await;
    assert_eq!((after.value, after.version), (Some(Bytes::from_static(b"1")), versions[0]));
    assert_eq!(states.lock().write_ahead(&reads, &write(b"2")), Err(Stale));
}

#[tokio::test]
async fn a_value_is_kept_as_long_as_somebody_uses_it() {
    let states = States::new(Arc::new(Still::new()));
    publish(&states, b"1");
    let (first, second) = (read(&states).await, read(&states).await);
    assert_eq!(first.version, second.version);
    publish(&states, b"2");
    states.release(&mut [key()].iter());
    assert_eq!(read(&states).await.value, Some(Bytes::from_static(b"1")));
    states.release(&mut [key(), key()].iter());
    assert_eq!(read(&states).await.value, Some(Bytes::from_static(b"2")));
}

#[tokio::test]
async fn what_did_not_come_true_is_read_again_and_only_that() {
    let states = States::new(Arc::new(Still::new()));
    let reads = [(key(), read(&states).await.version)];
    let versions = states.lock().write_ahead(&reads, &write(b"1")).unwrap();
    publish(&states, b"theirs");
    states.lock().forget(&key(), versions[0]);
    let anew = read(&states).await;
    assert_eq!(anew.value, Some(Bytes::from_static(b"theirs")));
    // A late word about what was written before that reading.
    states.lock().forget(&key(), versions[0]);
    assert_eq!(read(&states).await.version, anew.version);
}

#[tokio::test]
async fn what_was_read_too_early_to_see_a_commit_is_read_again() {
    let states = States::new(Arc::new(Still::new()));
    publish(&states, b"0");
    let reads = [(key(), read(&states).await.version)];
    let versions = states.lock().write_ahead(&reads, &write(b"1")).unwrap();
    // Another plan that built on it was left out, and somebody has read the old value since.
    states.lock().forget(&key(), versions[0]);
    assert_eq!(read(&states).await.value, Some(Bytes::from_static(b"0")));
    let sequence = publish(&states, b"1");
    states.lock().commit(&key(), Committed { version: versions[0], sequence });
    assert_eq!(read(&states).await.value, Some(Bytes::from_static(b"1")));
}

#[tokio::test]
async fn a_decision_is_confirmed_only_while_the_broker_has_what_was_read() {
    let states = States::new(Arc::new(Still::new()));
    publish(&states, b"1");
    let version = read(&states).await.version;
    assert!(states.are_current(vec![(key(), version)]).await.unwrap());
    publish(&states, b"2");
    assert!(!states.are_current(vec![(key(), version)]).await.unwrap());
    assert_eq!(read(&states).await.value, Some(Bytes::from_static(b"2")));
}

#[tokio::test]
async fn a_load_that_is_given_up_leaves_nothing_pinned() {
    use futures::FutureExt;
    let states = States::new(Arc::new(Slow));
    states.lock().pin(key(), None, 0);
    let other = Subject::of_state("f", "k", "y");
    assert!(states.load(vec![key(), other]).now_or_never().is_none());
    states.release(&mut [key()].iter());
    assert!(states.lock().entries.is_empty());
}

/// A broker that never answers.
struct Slow;

impl Broker for Slow {
    type Receipt = ();

    async fn publish(&self, _: Stream, _: Vec<Message>) -> Result<u64, crate::core::broker::PublishError> {
        std::future::pending().await
    }

    async fn last(&self, _: Stream, _: &Subject) -> Result<Option<crate::core::broker::Stored>, Unavailable> {
        std::future::pending().await
    }

    async fn last_at_leader(
        &self,
        _: Stream,
        _: &Subject,
    ) -> Result<Option<crate::core::broker::Stored>, Unavailable> {
        std::future::pending().await
    }

    async fn ack(&self, _: &()) {}

    async fn give_back(&self, _: &(), _: std::time::Duration) {}

    async fn in_progress(&self, _: &()) {}

    fn message_bytes_max(&self) -> usize {
        usize::MAX
    }

    fn now(&self) -> time::OffsetDateTime {
        time::OffsetDateTime::UNIX_EPOCH
    }
}
