use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;
use crate::testing::Outcome;
use crate::{AnyEvent, Batch, Breaker, Effects, Event, Failure, Nothing, Reason, Retry, State, kind_of};

macro_rules! payload {
    ($name:ident, $kind:literal) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $name {
            id: String,
        }

        impl Payload for $name {
            const TYPE: &'static str = $kind;
            const AGGREGATE: &'static str = "parcel";
            fn aggregate_id(&self) -> &str {
                &self.id
            }
            fn example() -> Self {
                Self::of("P-1")
            }
        }

        impl $name {
            fn of(id: &str) -> Self {
                Self { id: id.into() }
            }
        }
    };
}
payload!(Sent, "parcels.sent");
payload!(Billed, "parcels.billed");

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
