use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::parcels::{Lost, Sent, Told};
use crate::testing::{Harness, Outcome, harness};
use crate::{Batch, Breaker, Contract, Effects, Failure, Reason, Retry, Stored, kind_of};

crate::one_of! {
    enum Fate { Sent(Sent), Lost(Lost) }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Last(String);

impl Stored for Last {
    const KIND: &'static str = "last";
}

fn sent(parcel: &str) -> Fate {
    Sent::of(parcel).into()
}

fn told(parcel: &str) -> Outcome {
    Outcome::ack([Told::of(parcel)])
}

const CONTRACT: Contract<Fate, Told> = Contract::new("carrier", "Tells the carrier.")
    .batch(10)
    .keeps(&[kind_of::<Last>()])
    .retry(Retry::exponential(std::time::Duration::from_secs(1)).attempts(2))
    .breaker(Breaker::after(0));

/// The parcels of each run.
type Runs = Mutex<Vec<Vec<String>>>;

/// Parcels say themselves what becomes of them.
async fn tell(runs: &&Runs, batch: Batch<Fate>) -> Result<Vec<Result<Effects<Told>, Failure>>, Failure> {
    let parcels: Vec<String> = batch.iter().map(|one| one.event.aggregate_id.clone()).collect();
    runs.lock().unwrap().push(parcels.clone());
    tokio::task::yield_now().await;
    assert!(!parcels.contains(&"panic".into()), "a parcel that nobody can carry");
    if parcels.contains(&"all".into()) {
        return Err(Failure::retry("the call failed"));
    }
    let one = |parcel: &String| match parcel.as_str() {
        "busy" => Err(Failure::retry("busy")),
        "down" => Err(Failure::outage(std::io::Error::other("down"))),
        "never" => Err(Failure::reject("no address")),
        _ => Ok(Effects::emit(Told::of(parcel)).put("last", &Last(parcel.clone()))),
    };
    let short = parcels.contains(&"short".into());
    Ok(parcels.iter().skip(usize::from(short)).map(one).collect())
}

fn carrier() -> (Harness, &'static Runs) {
    let runs: &'static Runs = Box::leak(Box::default());
    (harness(CONTRACT, runs, tell), runs)
}

#[tokio::test]
async fn each_input_of_a_batch_has_its_own_outcome_and_only_what_failed_comes_again() {
    let (carrier, runs) = carrier();
    let outcomes = carrier.deliver_each(["a", "busy", "never", "b"].map(sent)).await;
    assert_eq!((&outcomes[0], &outcomes[3]), (&told("a"), &told("b")));
    assert!(matches!(&outcomes[1], Outcome::Retried { attempt: 1, error, .. } if error == "busy"));
    assert!(outcomes[2].is_dead_letter(Reason::Rejected), "{:?}", outcomes[2]);
    assert_eq!(carrier.state("last"), Some(Last("b".into())), "in the order of the inputs");
    let second = carrier.next_attempt().await.unwrap();
    assert!(second.is_dead_letter(Reason::AttemptsExhausted), "{second:?}");
    assert_eq!(*runs.lock().unwrap(), [vec!["a", "busy", "never", "b"], vec!["busy"]]);
    assert_eq!(carrier.next_attempt().await, None);
    // The same again is the same: each has its own guard.
    let again = carrier.deliver_each(["a", "b"].map(sent)).await;
    assert_eq!(again, [Outcome::Acked(vec![]), Outcome::Acked(vec![])]);
}

#[tokio::test]
async fn two_inputs_of_one_aggregate_never_run_together() {
    let (carrier, runs) = carrier();
    // Somebody else has its turn with b.
    let place = carrier.keys().line_up("b").turn().await;
    let second: Fate = Lost::of("a").into();
    let running = carrier.deliver_each([sent("a"), sent("b"), second]);
    let outcomes = tokio::join!(running, async {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        drop(place);
    })
    .0;
    assert_eq!(outcomes, [told("a"), told("b"), told("a")]);
    let runs = runs.lock().unwrap();
    assert_eq!(runs.first(), Some(&vec!["a".to_owned()]), "b has to wait, and a has not: {runs:?}");
    assert!(runs.iter().all(|run| run.iter().filter(|parcel| *parcel == "a").count() <= 1), "{runs:?}");
    assert_eq!(runs.iter().flatten().filter(|parcel| *parcel == "a").count(), 2);
}

#[tokio::test]
async fn a_run_that_fails_as_a_whole_is_a_failed_attempt_of_each_and_each_is_alone_the_next_time() {
    for (culprit, what) in
        [("panic", "panicked"), ("all", "the call failed"), ("short", "1 outcomes for 2 inputs")]
    {
        let (carrier, runs) = carrier();
        for outcome in carrier.deliver_each([culprit, "a"].map(sent)).await {
            assert!(
                matches!(&outcome, Outcome::Retried { error, .. } if error.contains(what)),
                "{outcome:?}"
            );
        }
        let next = [carrier.next_attempt().await.unwrap(), carrier.next_attempt().await.unwrap()];
        assert!(next.contains(&told("a")), "{culprit} does not take its neighbour along: {next:?}");
        assert!(next.iter().any(|outcome| outcome.is_dead_letter(Reason::AttemptsExhausted)), "{next:?}");
        assert!(runs.lock().unwrap().iter().skip(1).all(|run| run.len() == 1));
    }
}

#[tokio::test]
async fn an_outage_that_one_input_tells_of_opens_the_breaker_for_what_follows() {
    let (carrier, _) = carrier();
    let outcomes = carrier.deliver_each(["a", "down"].map(sent)).await;
    assert_eq!(outcomes[0], told("a"));
    assert_eq!(outcomes[1], Outcome::Released, "the breaker is open now, and no attempt is spent");
    let held = carrier.deliver_each(["b", "c"].map(sent)).await;
    assert_eq!(held, [Outcome::Released, Outcome::Released]);
}

#[test]
fn a_contract_that_does_not_fit_its_handler_is_told_so() {
    use crate::handler::Takes;

    let told = |contract: Contract<Fate, Told>, takes| -> String {
        let faults = contract.terms().faults_with(takes);
        faults.into_iter().filter(|fault| fault.contains("handler")).collect()
    };
    for (contract, takes) in
        [(CONTRACT, Takes::Each), (CONTRACT.batch(1), Takes::One), (CONTRACT.reads_audit(), Takes::Batch)]
    {
        assert_eq!(told(contract, takes), "", "{takes:?}");
    }
    assert!(told(CONTRACT, Takes::One).contains("batch(10)"));
    assert!(told(CONTRACT, Takes::Batch).contains("an outcome for each"));
    assert!(told(CONTRACT.reads_audit(), Takes::Each).contains("must take a State"));
}
