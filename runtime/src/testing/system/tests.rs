use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use super::*;
use crate::parcels::{Billed, Sent, Told};
use crate::{
    AnyEvent, Batch, Breaker, Effects, Event, EventKind, Failure, Nothing, Reason, Retry, State, kind_of,
};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Count(u32);

impl Stored for Count {
    const KIND: &'static str = "count";
}

const BILLING: Contract<Sent, Billed> = Contract::new("billing", "Bills what was sent.")
    .keeps(&[kind_of::<Count>()])
    .retry(Retry::exponential(Duration::from_secs(1)).attempts(3))
    .breaker(Breaker::after(1).open_for(Duration::from_secs(30)));

const DOOR: Contract<Told, Sent> =
    Contract::new("door", "Takes parcels in.").admits(&[EventKind::of::<Sent>()]);

const TELLER: Contract<Billed, Told> = Contract::new("teller", "Tells who was billed.");

/// How often the printer is asked, and how often it does not answer at first.
#[derive(Default)]
struct Printer {
    asked: AtomicU32,
    down_for: AtomicU32,
}

async fn bill(printer: &Arc<Printer>, event: Event<Sent>, state: State) -> Result<Effects<Billed>, Failure> {
    printer.asked.fetch_add(1, Ordering::Relaxed);
    let down =
        printer.down_for.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    if down.is_ok() {
        return Err(Failure::outage(std::io::Error::other("no paper")));
    }
    if event.data.id == "broken" {
        return Err(Failure::reject("nobody can bill this"));
    }
    let count: Count = state.get("all").await?.unwrap_or_default();
    Ok(Effects::emit(Billed { id: event.data.id }).put("all", &Count(count.0 + 1)))
}

async fn tell(_: &(), event: Event<Billed>) -> Result<Told, Failure> {
    Ok(Told { id: event.data.id })
}

async fn nothing(_: &(), _: Event<Told>) -> Result<Option<Sent>, Failure> {
    Ok(None)
}

fn office(seed: u64) -> (System, Arc<Printer>) {
    let printer = Arc::new(Printer::default());
    let office =
        System::of_seed(seed).function(BILLING, Arc::clone(&printer), bill).function(TELLER, (), tell);
    (office, printer)
}

fn sent(office: &mut System, ids: &[&str]) {
    ids.iter().for_each(|id| office.publish(Sent::of(id)));
}

#[tokio::test]
async fn functions_hear_each_other_and_the_text_tells_everything() {
    let (office, _) = office(1);
    let mut office = office.with_state("billing", "all", &Count(6));
    sent(&mut office, &["P-1"]);
    assert_eq!(
        office.run().await.to_string(),
        "   0.000 s  billing  parcels.sent P-1: ack\n\
         \x20           + parcels.billed P-1 {\"id\":\"P-1\"}\n\
         \x20           = count/all 7\n\
         \x20  0.000 s  teller  parcels.billed P-1: ack\n\
         \x20           + parcels.told P-1 {\"id\":\"P-1\"}\n"
    );
    assert_eq!((office.events::<Told>().len(), office.state("billing", "all")), (1, Some(Count(7))));
    sent(&mut office, &["P-1"]);
    assert_eq!(
        office.run().await.outline(),
        "   0.000 s  billing  parcels.sent P-1: ack, committed before\n"
    );
}

#[tokio::test]
async fn the_seed_decides_the_order_and_the_same_seed_decides_the_same() {
    async fn course(seed: u64) -> String {
        let (office, _) = office(seed);
        let mut office = office.with_mishaps(300);
        sent(&mut office, &["P-1", "P-2", "P-3", "P-4"]);
        office.run().await.to_string()
    }
    let mut courses = std::collections::BTreeSet::new();
    for seed in 0..8 {
        let first = course(seed).await;
        assert_eq!(first, course(seed).await, "seed {seed}");
        courses.insert(first);
    }
    assert!(courses.len() > 4, "{courses:?}");
}

#[tokio::test]
async fn whatever_goes_wrong_the_effects_are_there_once() {
    for fault in Fault::EACH {
        let (mut office, _) = office(3);
        office.fault("billing", fault);
        sent(&mut office, &["P-1", "P-2"]);
        let course = office.run().await;
        assert_eq!(office.events::<Told>().len(), 2, "{fault:?}\n{course}");
        assert_eq!(office.state("billing", "all"), Some(Count(2)), "{fault:?}\n{course}");
        let told = |what: &str| course.outline().contains(what);
        let is_seen = match fault {
            Fault::FailFirst(_) => told("failed on purpose") && told("(attempt 2)"),
            Fault::TimeOut => told("took longer than") && told("(attempt 2)"),
            Fault::Duplicate => told("(delivery 2): ack, committed before"),
            Fault::CrashBeforeCommit => told("the process dies") && told("(delivery 2): ack\n"),
            Fault::CrashAfterCommit | Fault::CrashBeforeAck => {
                told("the process dies") && told("(delivery 2): ack, committed before")
            }
        };
        assert!(is_seen, "{fault:?}\n{course}");
    }
    for seed in 0..40 {
        let (office, _) = office(seed);
        let mut office = office.with_mishaps(200);
        sent(&mut office, &["P-1", "P-2", "P-3"]);
        let course = office.run().await;
        assert_eq!(office.events::<Told>().len(), 3, "seed {seed}\n{course}");
        assert_eq!(office.state("billing", "all"), Some(Count(3)), "seed {seed}\n{course}");
    }
}

#[tokio::test]
async fn an_open_breaker_is_waited_for_and_spends_no_attempts() {
    let (mut office, printer) = office(1);
    printer.down_for.store(3, Ordering::Relaxed);
    sent(&mut office, &["P-1", "P-2"]);
    let course = office.run_for(Duration::from_secs(10)).await;
    assert_eq!((office.events::<Billed>().len(), office.now()), (0, Duration::from_secs(10)), "{course}");
    let rest = office.run().await;
    assert_eq!(office.events::<Told>().len(), 2, "{course}{rest}");
    assert!(printer.asked.load(Ordering::Relaxed) <= 6, "it is left alone meanwhile\n{course}{rest}");
    assert!(office.now() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_still_from_the_start_will_do_too() {
    let (mut office, _) = office(1);
    office.fault("billing", Fault::TimeOut);
    sent(&mut office, &["P-1"]);
    office.run().await;
    assert_eq!(office.events::<Told>().len(), 1);
}

#[tokio::test]
async fn what_was_given_up_is_sent_again_to_its_function_alone() {
    let (mut office, _) = office(1);
    office.fault("billing", Fault::FailFirst(3));
    sent(&mut office, &["P-1"]);
    let course = office.run().await;
    let letters = office.dead_letters();
    assert_eq!(
        (letters.len(), letters[0].reason.as_str()),
        (1, Reason::AttemptsExhausted.code()),
        "{course}"
    );
    assert_eq!(office.redrive().await, 1);
    assert_eq!(office.run().await.dispositions("billing"), [&Disposition::Ack { already: false }]);
    assert_eq!((office.dead_letters().len(), office.events::<Told>().len()), (0, 1));

    sent(&mut office, &["broken"]);
    office.run().await;
    assert_eq!(office.dead_letters()[0].reason, Reason::Rejected.code());
}

#[tokio::test]
async fn publishers_outside_are_admitted_or_refused() {
    let (office, _) = office(1);
    let mut office = office.function(DOOR, (), nothing);
    sent(&mut office, &["P-1"]);
    office.publish_bytes("parcels.sent", "no event");
    let course = office.run().await;
    assert_eq!(office.events::<Told>().len(), 1, "{course}");
    let doors = course.dispositions("door");
    assert!(
        matches!(doors[..], [_, _, _]) && course.outline().contains("dead letter, not_an_event"),
        "{course}"
    );
}

#[tokio::test]
async fn a_trail_is_read_in_batches() {
    const TRAIL: Contract<AnyEvent, Nothing> =
        Contract::new("trail", "Counts.").reads_audit().batch(3).keeps(&[kind_of::<Count>()]);
    async fn count(_: &(), batch: Batch<AnyEvent>, state: State) -> Result<Effects<Nothing>, Failure> {
        let count: Count = state.get("all").await?.unwrap_or_default();
        Ok(Effects::none().put("all", &Count(count.0 + batch.len() as u32)))
    }
    let (office, _) = office(5);
    let mut office = office.function(TRAIL, (), count);
    sent(&mut office, &["P-1", "P-2", "P-3"]);
    let course = office.run().await;
    // Three parcels, each sent, billed and told.
    assert_eq!(office.state("trail", "all"), Some(Count(9)), "{course}");
}

#[tokio::test]
async fn who_listens_to_everything_hears_events_and_not_what_is_noted_of_them() {
    const WATCHER: Contract<AnyEvent, Nothing> =
        Contract::new("watcher", "Counts.").keeps(&[kind_of::<Count>()]);
    async fn count(_: &(), event: Event<AnyEvent>, state: State) -> Result<Effects<Nothing>, Failure> {
        // Given up: noted in a receipt too.
        if event.aggregate_id == "P-3" {
            return Err(Failure::reject("not this one"));
        }
        let count: Count = state.get("all").await?.unwrap_or_default();
        Ok(Effects::none().put("all", &Count(count.0 + 1)))
    }
    const LEDGER: Contract<AnyEvent, Nothing> =
        Contract::new("ledger", "Counts.").batch(3).keeps(&[kind_of::<Count>()]);
    async fn add(_: &(), batch: Batch<AnyEvent>, state: State) -> Result<Effects<Nothing>, Failure> {
        let count: Count = state.get("all").await?.unwrap_or_default();
        Ok(Effects::none().put("all", &Count(count.0 + batch.len() as u32)))
    }
    let (office, _) = office(5);
    let mut office = office.function(WATCHER, (), count).function(LEDGER, (), add);
    sent(&mut office, &["P-1", "P-2", "P-3"]);
    let course = office.run().await;
    assert_eq!(office.state("watcher", "all"), Some(Count(6)), "{course}");
    assert_eq!(office.state("ledger", "all"), Some(Count(9)), "{course}");
    assert_eq!(course.to_string().matches("dead letter").count(), 3, "{course}");
}

#[tokio::test]
#[should_panic(expected = "it does not come to rest")]
async fn what_never_ends_is_told() {
    let (mut office, printer) = office(1);
    printer.down_for.store(u32::MAX, Ordering::Relaxed);
    sent(&mut office, &["P-1"]);
    office.run().await;
}
