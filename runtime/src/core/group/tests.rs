use bytes::Bytes;
use futures::FutureExt;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::core::broker::{Expect, Keep};
use crate::core::commit::StateWrite;
use crate::memory::Still;
use crate::state::State;

mod planner;

const KINDS: &[&str] = &["k"];

/// A committer on a broker where nothing goes wrong.
struct Room {
    broker: Arc<Still>,
    states: Arc<States<Still>>,
    committer: Committer<Still>,
}

impl Room {
    /// A room, and the loop that publishes what is handed in there.
    fn new() -> (Self, impl Future<Output = ()> + Send) {
        let broker = Arc::new(Still::new());
        let states = Arc::new(States::new(Arc::clone(&broker)));
        let (committer, publishing) = Committer::new(Arc::clone(&broker), Arc::clone(&states));
        (Self { broker, states, committer }, publishing)
    }

    /// A run that has read `keys`.
    async fn read(&self, keys: &[&str]) -> State {
        let store: Arc<States<Still>> = Arc::clone(&self.states);
        let state = State::new("f", KINDS, store);
        state.read_before_write(keys.iter().map(|key| subject(key)).collect()).await.unwrap();
        state
    }

    async fn commit(&self, id: &str, read: &State, writes: &[(&str, &str)]) -> Outcome {
        self.committer.commit(plan(id, writes), read.reads()).await
    }

    fn values_of(&self, key: &str) -> Vec<Bytes> {
        self.broker.with(|server, _| {
            let events = server.log(Stream::Events).history();
            events.filter(|e| e.stored.subject == subject(key)).map(|e| e.stored.payload.clone()).collect()
        })
    }
}

fn subject(key: &str) -> Subject {
    Subject::of_state("f", "k", key)
}

fn plan(id: &str, writes: &[(&str, &str)]) -> Plan {
    let guard = Subject::any_under_id("A", id);
    let mut event = Message::new(Subject::of_event("a.b", "A", id), Bytes::new());
    event.expect = Some(Expect { sequence: 0, scope: Some(guard.clone()) });
    let write = |(key, value): &(&str, &str)| StateWrite {
        subject: subject(key),
        value: Bytes::copy_from_slice(value.as_bytes()),
        keep: Keep::Forever,
    };
    Plan { guard: Some(guard), events: vec![event], writes: writes.iter().map(write).collect() }
}

fn start(publishing: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(publishing))
}

/// Hands `commit` in, and leaves it waiting for its answer.
fn hand_in<'c>(
    commit: impl Future<Output = Outcome> + 'c,
) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + 'c>> {
    let mut commit = Box::pin(commit);
    assert!((&mut commit).now_or_never().is_none(), "nobody publishes yet");
    commit
}

#[tokio::test]
async fn each_value_of_a_group_is_known_by_its_own_sequence() {
    let (room, publishing) = Room::new();
    let _publishing = start(publishing);
    // Held throughout, so that nothing is read anew.
    let first = room.read(&["x", "y"]).await;
    assert_eq!(room.commit("1", &first, &[("x", "1"), ("y", "1")]).await, Outcome::Committed);
    for (id, key) in [("2", "x"), ("3", "y")] {
        let next = room.read(&[key]).await;
        assert_eq!(room.commit(id, &next, &[(key, "2")]).await, Outcome::Committed, "{key}");
    }
}

#[tokio::test]
async fn two_writes_of_a_key_in_one_group_are_published_as_the_last() {
    let (room, publishing) = Room::new();
    let first = room.read(&["x"]).await;
    let one = hand_in(room.commit("1", &first, &[("x", "1")]));
    let second = room.read(&["x"]).await;
    let two = hand_in(room.commit("2", &second, &[("x", "2")]));
    let _publishing = start(publishing);
    assert_eq!((one.await, two.await), (Outcome::Committed, Outcome::Committed));
    assert_eq!(room.values_of("x"), ["2"]);
}

#[tokio::test]
async fn what_was_decided_on_a_value_that_was_refused_is_decided_again() {
    let (room, publishing) = Room::new();
    let first = room.read(&["x"]).await;
    let one = hand_in(room.commit("1", &first, &[("x", "1")]));
    let second = room.read(&["x"]).await;
    let two = hand_in(room.commit("2", &second, &[("x", "2")]));
    // Another process was quicker.
    let theirs = Message::new(subject("x"), Bytes::from_static(b"theirs"));
    room.broker.publish_now(Stream::Events, &[theirs]).unwrap();
    let _publishing = start(publishing);
    assert_eq!((one.await, two.await), (Outcome::Stale, Outcome::Stale));
    let third = room.read(&["x"]).await;
    assert_eq!(room.commit("1", &third, &[("x", "1")]).await, Outcome::Committed);
    assert_eq!(room.values_of("x"), ["theirs", "1"]);
}

#[tokio::test]
async fn a_plan_that_is_left_out_takes_along_everything_that_it_wrote_ahead() {
    let (room, publishing) = Room::new();
    let first = room.read(&["x"]).await;
    let one = hand_in(room.commit("1", &first, &[("x", "1")]));
    let both = room.read(&["x", "y"]).await;
    let two = hand_in(room.commit("2", &both, &[("x", "2"), ("y", "2")]));
    let theirs = Message::new(subject("x"), Bytes::from_static(b"theirs"));
    room.broker.publish_now(Stream::Events, &[theirs]).unwrap();
    let _publishing = start(publishing);
    assert_eq!((one.await, two.await), (Outcome::Stale, Outcome::Stale));
    // Nobody else has written y, and still it is not the one that was written ahead.
    let third = room.read(&["y"]).await;
    assert_eq!(room.commit("3", &third, &[("y", "3")]).await, Outcome::Committed);
    assert_eq!(room.values_of("y"), ["3"]);
}

#[tokio::test]
async fn what_a_plan_has_read_and_does_not_write_is_looked_at_again() {
    let (room, publishing) = Room::new();
    let both = room.read(&["x", "y"]).await;
    let one = hand_in(room.commit("1", &both, &[("x", "1")]));
    // It sees what the first wrote ahead, and nothing of y.
    let later = room.read(&["x"]).await;
    let two = hand_in(room.commit("2", &later, &[("x", "2")]));
    let other = room.read(&["z"]).await;
    let three = hand_in(room.commit("3", &other, &[("z", "3")]));
    let theirs = Message::new(subject("y"), Bytes::from_static(b"theirs"));
    room.broker.publish_now(Stream::Events, &[theirs]).unwrap();
    let _publishing = start(publishing);
    assert_eq!((one.await, two.await), (Outcome::Stale, Outcome::Stale));
    assert_eq!(three.await, Outcome::Committed, "it had nothing to do with it");
    let again = room.read(&["x", "y"]).await;
    assert_eq!(room.commit("1", &again, &[("x", "1")]).await, Outcome::Committed);
    assert_eq!(room.values_of("x"), ["1"]);
}

#[tokio::test]
async fn what_another_plan_of_the_group_writes_is_not_looked_at() {
    let (room, publishing) = Room::new();
    let first = room.read(&["y"]).await;
    let one = hand_in(room.commit("1", &first, &[("y", "1")]));
    let both = room.read(&["x", "y"]).await;
    let two = hand_in(room.commit("2", &both, &[("x", "2")]));
    let _publishing = start(publishing);
    assert_eq!((one.await, two.await), (Outcome::Committed, Outcome::Committed));
}

#[tokio::test]
async fn one_that_comes_twice_is_told_from_the_rest_of_its_group() {
    let (room, publishing) = Room::new();
    room.broker.publish_now(Stream::Events, &plan("1", &[]).events).unwrap();
    let (x, y) = (room.read(&["x"]).await, room.read(&["y"]).await);
    let again = hand_in(room.commit("1", &x, &[("x", "1")]));
    let other = hand_in(room.commit("2", &y, &[("y", "2")]));
    let _publishing = start(publishing);
    assert_eq!((again.await, other.await), (Outcome::Already, Outcome::Committed));
    assert_eq!((room.values_of("x").len(), room.values_of("y").len()), (0, 1));
}

#[tokio::test]
async fn what_is_left_of_a_refused_group_goes_together_again() {
    let (room, publishing) = Room::new();
    let keys = ["s", "t", "u", "v", "w", "x"];
    let reads = join_all(keys.iter().map(|key| room.read(std::slice::from_ref(key)))).await;
    let ids = keys.map(|key| format!("of-{key}"));
    let writes = keys.map(|key| [(key, "ours")]);
    let handed: Vec<_> =
        (0..keys.len()).map(|n| hand_in(room.commit(&ids[n], &reads[n], &writes[n]))).collect();
    let theirs = Message::new(subject("u"), Bytes::from_static(b"theirs"));
    room.broker.publish_now(Stream::Events, &[theirs]).unwrap();
    let _publishing = start(publishing);
    let outcomes = join_all(handed).await;
    let expected = keys.map(|key| if key == "u" { Outcome::Stale } else { Outcome::Committed });
    assert_eq!(outcomes, expected);
    let stored: Vec<String> = room.broker.with(|server, _| {
        server.log(Stream::Events).history().map(|entry| entry.stored.subject.to_string()).collect()
    });
    // A group has its events first, and then its state.
    let is_state: Vec<bool> = stored.iter().skip(1).map(|subject| subject.starts_with("state.")).collect();
    assert_eq!(is_state, [false, false, false, false, false, true, true, true, true, true], "{stored:?}");
}

#[tokio::test]
async fn an_input_that_was_given_up_is_not_taken_for_one_that_was_committed() {
    let (room, publishing) = Room::new();
    let _publishing = start(publishing);
    let mut receipt = Message::new(Subject::of_receipt("f", "A", "1"), Bytes::new());
    receipt.headers = vec![(headers::REASON, Reason::Rejected.code().into())];
    room.broker.publish_now(Stream::Events, &[receipt]).unwrap();
    let x = room.read(&["x"]).await;
    assert_eq!(room.commit("1", &x, &[("x", "1")]).await, Outcome::Dead(Reason::Rejected));
}

#[tokio::test]
async fn a_full_stream_and_an_event_that_is_there_once_are_told_from_a_conflict() {
    let (room, publishing) = Room::new();
    let _publishing = start(publishing);
    let x = room.read(&["x"]).await;
    room.broker.with(|server, _| server.is_full = true);
    assert_eq!(room.commit("1", &x, &[("x", "1")]).await, Outcome::Full);
    room.broker.with(|server, _| server.is_full = false);

    let placed = Subject::of_event("orders.placed", "O", "first");
    room.broker.publish_now(Stream::Events, &[Message::new(placed.clone(), Bytes::new())]).unwrap();
    let mut once = plan("2", &[]);
    let mut event = Message::new(Subject::of_event("orders.placed", "O", "second"), Bytes::new());
    event.expect = Some(Expect { sequence: 0, scope: Some(Subject::any_of_type("orders.placed", "O")) });
    once.events.push(event);
    assert_eq!(room.committer.commit(once, vec![]).await, Outcome::Exists(placed));
}

#[tokio::test]
async fn what_a_lagging_replica_does_not_show_decides_nothing() {
    let (room, publishing) = Room::new();
    let _publishing = start(publishing);
    room.broker.publish_now(Stream::Events, &plan("1", &[]).events).unwrap();
    room.broker.publish_now(Stream::Events, &[Message::new(subject("x"), Bytes::new())]).unwrap();
    room.broker.fall_behind();
    let x = room.read(&["x"]).await;
    // Decided on nothing there: not confirmed, since there is something.
    assert!(!room.states.are_current(x.reads()).await.unwrap());
    let x = room.read(&["x"]).await;
    // The guard is found, though no replica shows it.
    assert_eq!(room.commit("1", &x, &[("x", "1")]).await, Outcome::Already);
}

#[tokio::test]
async fn a_value_that_was_refused_is_read_anew_at_the_leader() {
    let (room, publishing) = Room::new();
    let _publishing = start(publishing);
    room.broker.publish_now(Stream::Events, &[Message::new(subject("x"), Bytes::new())]).unwrap();
    room.broker.fall_behind();
    // Held throughout, as the life of an input holds what its last run has read.
    let stale = room.read(&["x"]).await;
    assert_eq!(room.commit("1", &stale, &[("x", "1")]).await, Outcome::Stale);
    let again = room.read(&["x"]).await;
    assert_eq!(room.commit("1", &again, &[("x", "2")]).await, Outcome::Committed);
    assert_eq!(room.values_of("x"), ["", "2"]);
}
