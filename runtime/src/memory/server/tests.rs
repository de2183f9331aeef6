use time::OffsetDateTime;

use super::*;
use crate::core::broker::{Expect, Schedule};
use crate::memory::server::consumer::{ACK_WAIT, PULL_EXPIRES};

const EPOCH: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const SECOND: Duration = Duration::from_secs(1);

fn message(subject: &str) -> Message {
    Message::new(Subject::from_broker(subject), bytes::Bytes::new())
}

fn expecting(subject: &str, sequence: u64, scope: Option<&str>) -> Message {
    let mut message = message(subject);
    message.expect = Some(Expect { sequence, scope: scope.map(Subject::from_broker) });
    message
}

fn publish(server: &mut Server, messages: &[Message]) -> Result<u64, PublishError> {
    server.publish(Stream::Events, messages, Duration::ZERO, EPOCH)
}

fn pull(lane: u64, left: usize) -> Pull {
    Pull { lane, request: lane, left, expires: PULL_EXPIRES }
}

/// What is sent: the lane, and the sequence with how often it was delivered, or nothing for an expiry.
fn sent(server: &mut Server, now: Duration) -> Vec<(u64, Option<(u64, u64)>)> {
    let outgoing = server.pump(now).into_iter();
    outgoing.map(|out| (out.pull.lane, out.delivery.map(|d| (d.sequence, d.delivered)))).collect()
}

#[test]
fn a_guard_over_several_types_lets_one_commit_through() {
    let mut server = Server::new();
    let guarded = |kind: &str| expecting(&format!("{kind}.O-1.e"), 0, Some("*.*.O-1.e"));
    assert_eq!(publish(&mut server, &[guarded("inventory.reserved")]), Ok(1));
    assert_eq!(publish(&mut server, &[guarded("inventory.rejected")]), Err(PublishError::Refused));
    assert_eq!(publish(&mut server, &[expecting("a.b.O-1.f", 0, Some("*.*.O-1.f"))]), Ok(2));
}

#[test]
fn a_batch_is_stored_whole_or_not_at_all() {
    let mut server = Server::new();
    let state = |sequence| expecting("state.f.k", sequence, None);
    assert_eq!(publish(&mut server, &[message("a.b.c.d"), state(0)]), Ok(2));
    assert_eq!(publish(&mut server, &[message("a.b.c.e"), state(0)]), Err(PublishError::Refused));
    assert_eq!(server.log(Stream::Events).last_sequence(), 2);
    // Two that share a scope both insist on what was there before the batch.
    let scoped = |id: &str| expecting(&format!("a.b.c.{id}"), 1, Some("a.b.c.*"));
    assert_eq!(publish(&mut server, &[scoped("x"), scoped("y"), state(2)]), Ok(5));
    assert!(server.misuse.is_empty());
    assert_eq!(publish(&mut server, &[state(5), state(5)]), Err(PublishError::Refused));
    assert_eq!(server.misuse.len(), 1);
}

#[test]
fn a_full_stream_takes_new_values_of_what_is_there_and_nothing_else() {
    let mut server = Server::new();
    publish(&mut server, &[message("state.f.k")]).unwrap();
    server.is_full = true;
    assert_eq!(publish(&mut server, &[message("state.f.k")]), Ok(2));
    assert_eq!(publish(&mut server, &[message("state.f.k"), message("a.b.c.d")]), Err(PublishError::Full));
    let refused = expecting("a.b.c.d", 7, None);
    assert_eq!(publish(&mut server, std::slice::from_ref(&refused)), Err(PublishError::Refused));
    server.full_comes_first = true;
    assert_eq!(publish(&mut server, &[refused]), Err(PublishError::Full));
}

#[test]
fn replicas_share_a_consumer_and_each_input_goes_to_one_of_them() {
    let mut server = Server::new();
    let number = server.subscribe(Stream::Events, vec![Subject::from_broker("a.b.*.*")], 3);
    let consumer = server.consumer_mut(number).unwrap();
    consumer.pull(pull(1, 2));
    consumer.pull(pull(2, 9));
    for subject in ["a.b.c.1", "x.y.c.2", "a.b.c.3", "a.b.c.4", "a.b.c.5"] {
        publish(&mut server, &[message(subject)]).unwrap();
    }
    let first = sent(&mut server, Duration::ZERO);
    // In turn; the one of another type is not for them, and no more than three are out.
    assert_eq!(first, [(1, Some((1, 1))), (2, Some((3, 1))), (1, Some((4, 1)))]);
    server.ack(Receipt { consumer: number, sequence: 3, delivered: 1 });
    assert_eq!(sent(&mut server, SECOND), [(2, Some((5, 1)))]);
}

#[test]
fn what_is_not_answered_comes_again_and_work_in_progress_waits() {
    let mut server = Server::new();
    let number = server.subscribe(Stream::Events, vec![Subject::from_broker(">")], 9);
    publish(&mut server, &[message("a.b.c.1"), message("a.b.c.2")]).unwrap();
    let ask = |server: &mut Server, left| {
        server.consumer_mut(number).unwrap().pull(Pull { expires: Duration::MAX, ..pull(1, left) });
    };
    ask(&mut server, 9);
    assert_eq!(sent(&mut server, Duration::ZERO).len(), 2);
    // Two was given back for a second; one is worked on.
    let consumer = server.consumer_mut(number).unwrap();
    consumer.again_at(2, SECOND);
    consumer.again_at(1, SECOND + ACK_WAIT);
    assert_eq!(server.next_due(), Some(SECOND));
    assert_eq!(sent(&mut server, SECOND), [(1, Some((2, 2)))]);
    // The answer to an earlier delivery counts like that to the last.
    server.consumer_mut(number).unwrap().again_at(2, SECOND);
    assert_eq!(sent(&mut server, SECOND), [(1, Some((2, 3)))]);
    // And the acknowledgement of any delivery counts.
    server.ack(Receipt { consumer: number, sequence: 2, delivered: 1 });
    assert_eq!(sent(&mut server, SECOND + ACK_WAIT), [(1, Some((1, 2)))]);
    server.ack(Receipt { consumer: number, sequence: 1, delivered: 2 });
    server.copy_to_audit(SECOND);
    assert!(server.is_idle());
}

#[test]
fn a_request_for_inputs_expires() {
    let mut server = Server::new();
    let number = server.subscribe(Stream::Events, vec![Subject::from_broker(">")], 9);
    server.consumer_mut(number).unwrap().pull(pull(1, 4));
    assert_eq!(server.next_due(), Some(PULL_EXPIRES));
    assert_eq!(sent(&mut server, PULL_EXPIRES), [(1, None)]);
    assert!(!server.consumer(number).unwrap().stands(1));
}

#[test]
fn a_retry_comes_up_when_it_is_due_and_is_gone_when_it_is_done() {
    let mut server = Server::new();
    let number = server.subscribe(Stream::Retry, vec![Subject::from_broker("retry.f.>")], 9);
    let mut retry = expecting("schedule.f.x.2", 0, None);
    let target = Subject::from_broker("retry.f.x.2");
    retry.schedule = Some(Schedule { at: EPOCH + 5 * SECOND, target: target.clone() });
    let once = |server: &mut Server| {
        server.publish(Stream::Retry, std::slice::from_ref(&retry), Duration::ZERO, EPOCH)
    };
    assert_eq!(once(&mut server), Ok(1));
    assert_eq!(once(&mut server), Err(PublishError::Refused));
    assert!(server.fetch(number, 4 * SECOND).is_none());
    let due = server.fetch(number, 5 * SECOND).unwrap();
    assert_eq!(due.subject, target);
    assert!(!server.log(Stream::Retry).has(&Subject::from_broker("schedule.f.x.2")));
    server.ack(due.receipt);
    assert!(!server.log(Stream::Retry).has(&target));
    assert!(server.is_idle());
}

#[test]
fn the_trail_has_every_event_once_and_no_state() {
    let mut server = Server::new();
    publish(&mut server, &[message("a.b.c.1"), message("state.f.k")]).unwrap();
    server.copy_to_audit(SECOND);
    publish(&mut server, &[message("done.f.c.2")]).unwrap();
    server.copy_to_audit(SECOND);
    let trail = server.log(Stream::Audit);
    let sources: Vec<_> =
        trail.history().filter_map(|entry| entry.stored.header("Nats-Stream-Source")).collect();
    assert_eq!(sources.len(), 2);
    assert!(sources[0].ends_with(" a.b.c.1") && sources[1].ends_with(" done.f.c.2"), "{sources:?}");
}

#[test]
fn a_server_that_crashed_delivers_what_it_forgot_was_acknowledged() {
    let mut server = Server::new();
    let number = server.subscribe(Stream::Events, vec![Subject::from_broker(">")], 9);
    publish(&mut server, &[message("a.b.c.1")]).unwrap();
    let first = server.fetch(number, Duration::ZERO).unwrap();
    server.ack(first.receipt);
    server.forget_acks(5);
    assert_eq!(server.fetch(number, SECOND).map(|again| (again.sequence, again.delivered)), Some((1, 2)));
}
