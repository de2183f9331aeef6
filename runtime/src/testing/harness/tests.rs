use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;
use crate::parcels::{Billed, Sent};
use crate::testing::Outcome;
use crate::{AnyEvent, Batch, Breaker, Effects, Event, Failure, Nothing, Reason, Retry, State, kind_of};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Count(u32);

impl Stored for Count {
    const KIND: &'static str = "count";
}

const CONTRACT: Contract<Sent, Billed> = Contract::new("billing", "Bills what was sent.")
    .keeps(&[kind_of::<Count>()])
    .retry(Retry::exponential(Duration::from_secs(1)).attempts(2))
    .breaker(Breaker::after(0).open_for(Duration::from_secs(30)));

/// What the handler is to do, one after the other, from the last to the first.
type Script = Mutex<Vec<Result<(), Failure>>>;

async fn bill(script: &Script, event: Event<Sent>, state: State) -> Result<Effects<Billed>, Failure> {
    let count: Count = state.get("all").await?.unwrap_or_default();
    let next = script.lock().unwrap().pop();
    next.unwrap_or(Ok(()))?;
    Ok(Effects::emit(Billed { id: event.data.id }).put("all", &Count(count.0 + 1)))
}

fn billing(script: Vec<Result<(), Failure>>) -> Harness {
    harness(CONTRACT, Mutex::new(script), bill)
}

#[tokio::test]
async fn effects_are_committed_once_however_often_an_input_comes() {
    let billing = billing(vec![]).with_state("all", &Count(6));
    assert_eq!(billing.deliver(Sent::of("P-1")).await, Outcome::ack([Billed::of("P-1")]));
    assert_eq!(billing.deliver(Sent::of("P-1")).await, Outcome::Acked(vec![]));
    assert_eq!(billing.state("all"), Some(Count(7)));
}

#[tokio::test]
async fn a_failed_attempt_comes_again_until_the_last_which_is_a_dead_letter() {
    let billing = billing(vec![Err(Failure::retry("second")), Err(Failure::retry("first"))]);
    let Outcome::Retried { attempt, after, error } = billing.deliver(Sent::of("P-1")).await else {
        panic!("a failure is retried")
    };
    assert_eq!((attempt, error.as_str()), (1, "first"));
    assert!(after >= Duration::from_secs(1) && after <= Duration::from_secs(3), "{after:?}");
    let last = billing.next_attempt().await.unwrap();
    assert!(last.is_dead_letter(Reason::AttemptsExhausted), "{last:?}");
    assert_eq!(billing.next_attempt().await, None);
    assert_eq!(billing.dead_letters().len(), 1);
    assert_eq!(billing.state::<Count>("all"), None);
}

#[tokio::test]
async fn a_dead_letter_has_the_headers_with_which_its_input_first_came() {
    let headers = [
        ("X-Tenant", "a"),
        ("X-Tenant", "b \u{7}é"),
        ("Jetlag-Redrive", "again"),
        ("Jetlag-Attempt", "2"),
        ("Nats-Schedule", "@at 2026-01-01T00:00:00Z"),
        ("Nats-Rollup", "all"),
    ];
    let billing = billing(vec![Err(Failure::retry("second")), Err(Failure::retry("first"))]);
    let first = billing.deliver_with(Sent::of("P-1"), &headers).await;
    assert!(matches!(first, Outcome::Retried { attempt: 1, .. }), "{first:?}");
    let retry = billing.stored_since(Stream::Retry, 0).pop().unwrap();
    assert!(retry.headers.iter().all(|(name, _)| !name.starts_with("Nats-") && !name.starts_with("X-")));
    assert!(billing.next_attempt().await.unwrap().is_dead_letter(Reason::AttemptsExhausted));
    let letter = billing.dead_letters().pop().unwrap();
    assert_eq!(letter.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_time_that_no_clock_reaches_is_put_off_as_far_as_can_be_written() {
    let billing = billing(vec![Err(Failure::retry_after(Duration::MAX, "not in this life"))]);
    let outcome = billing.deliver(Sent::of("P-1")).await;
    assert!(matches!(outcome, Outcome::Retried { attempt: 1, .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_input_that_leaves_no_room_for_a_retry_is_a_dead_letter_with_all_its_bytes() {
    const MOST: usize = 1024 * 1024;
    let billing = billing(vec![Err(Failure::retry("first"))]);
    // An event that the runtime made leaves room; a publisher outside may have written to the stream itself.
    let large = Sent::of(&"x".repeat(100));
    let mut message = message(&envelope(&large, &billing.broker));
    let subject = message.subject.clone();
    let mut bytes = message.payload.to_vec();
    bytes.resize(MOST - 20, b' ');
    message.payload = Bytes::from(bytes);
    billing.put(message.clone());
    let delivery = billing.broker.with(|server, now| {
        let inputs = server.subscribe(Stream::Events, vec![subject], usize::MAX);
        server.fetch(inputs, now)
    });
    let outcome = billing.outcome_of(delivery).await;
    assert!(matches!(outcome, Some(Outcome::DeadLettered { .. })), "{outcome:?}");
    let letter = billing.stored_since(Stream::DeadLetters, 0).pop().unwrap();
    assert_eq!((letter.headers.len(), letter.payload), (0, message.payload));
}

#[tokio::test]
async fn a_rejected_input_stays_dead_whatever_a_later_run_says() {
    let billing = billing(vec![Err(Failure::reject("no address"))]);
    assert!(billing.deliver(Sent::of("P-1")).await.is_dead_letter(Reason::Rejected));
    let again = billing.deliver(Sent::of("P-1")).await;
    assert_eq!(again, Outcome::Acked(vec![]));
    assert_eq!(billing.dead_letters().len(), 1);
    assert_eq!(billing.state::<Count>("all"), None);
}

#[tokio::test]
async fn an_open_breaker_gives_inputs_back() {
    let outage = || Failure::outage(std::io::Error::other("down"));
    let billing = billing(vec![Err(outage())]);
    // The one that opens it has spent no attempt either.
    assert_eq!(billing.deliver(Sent::of("P-1")).await, Outcome::Released);
    assert_eq!(billing.deliver(Sent::of("P-2")).await, Outcome::Released);
    assert_eq!(billing.next_attempt().await, None);
}

#[tokio::test]
async fn a_batch_is_covered_as_far_as_the_handler_says() {
    const TRAIL: Contract<AnyEvent, Nothing> =
        Contract::new("trail", "Counts.").reads_audit().batch(10).keeps(&[kind_of::<Count>()]);
    async fn two_at_a_time(
        _: &(),
        batch: Batch<AnyEvent>,
        state: State,
    ) -> Result<Effects<Nothing>, Failure> {
        let count: Count = state.get("all").await?.unwrap_or_default();
        let covered = batch.iter().take(2);
        let upto = covered.clone().last().map_or(0, |recorded| recorded.sequence);
        Ok(Effects::none().put("all", &Count(count.0 + covered.count() as u32)).up_to(upto))
    }
    let trail = harness(TRAIL, (), two_at_a_time);
    let outcome = trail.deliver_trail(["P-1", "P-2", "P-3"].map(Sent::of)).await;
    assert_eq!((outcome, trail.state("all")), (Outcome::Released, Some(Count(2))));
}
