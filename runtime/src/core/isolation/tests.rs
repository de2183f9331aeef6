use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::core::batch::live_batch;
use crate::core::life::live;
use crate::event::Envelope;
use crate::handler::Bindings;
use crate::memory::Still;
use crate::memory::server::Receipt;
use crate::memory::server::consumer::ACK_WAIT;
use crate::parcels::{Billed, Sent};
use crate::{AnyEvent, Batch, Contract, Effects, Event, Failure, Nothing, Payload, Retry, State, Terms};

const CONTRACT: Contract<Sent, Billed> = Contract::new("billing", "Bills what was sent.")
    .retry(Retry::exponential(Duration::from_secs(1)).attempts(3))
    .concurrency(4);
const TRAIL: Contract<AnyEvent, Nothing> =
    Contract::new("trail", "Reads everything.").reads_audit().batch(10).concurrency(1);

/// How long a run takes that comes back, and how long the process of a test lives: those that kill do not come back.
const WORK: Duration = Duration::from_millis(100);
const LIFE: Duration = Duration::from_secs(20);

/// What the handler does, and what it did.
#[derive(Default)]
struct Book {
    deadly: Mutex<HashSet<String>>,
    failing: Mutex<HashSet<String>>,
    /// Every run, as `id` or, with others beside it, `id+`.
    runs: Mutex<Vec<String>>,
    running: AtomicUsize,
}

impl Book {
    fn set(of: &Mutex<HashSet<String>>, ids: &[&str]) {
        *of.lock().unwrap() = ids.iter().map(ToString::to_string).collect();
    }

    fn take_runs(&self) -> Vec<String> {
        std::mem::take(&mut self.runs.lock().unwrap())
    }

    /// How often the inputs whose runs these are ran in company.
    async fn run(&self, id: &str) {
        let beside = self.running.fetch_add(1, Ordering::SeqCst);
        let _leaves = Leaves(self);
        self.runs.lock().unwrap().push(format!("{id}{}", if beside > 0 { "+" } else { "" }));
        if self.deadly.lock().unwrap().contains(id) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(WORK).await;
    }
}

struct Leaves<'b>(&'b Book);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn bill(book: &Arc<Book>, event: Event<Sent>) -> Result<Option<Billed>, Failure> {
    let id = event.data.id;
    book.run(&id).await;
    if book.failing.lock().unwrap().contains(&id) {
        return Err(Failure::retry("not now"));
    }
    // Nothing comes of these: no guard tells that they ran.
    Ok((!id.starts_with("nothing")).then_some(Billed { id }))
}

async fn read_trail(book: &Arc<Book>, batch: Batch<AnyEvent>, _: State) -> Result<Effects<Nothing>, Failure> {
    let ids: Vec<_> = batch.iter().map(|one| one.event.aggregate_id.clone()).collect();
    for id in &ids {
        book.run(id).await;
    }
    book.runs.lock().unwrap().push("|".into());
    Ok(Effects::none())
}

/// A broker, its consumers, and one process after the other.
struct Town {
    broker: Arc<Still>,
    book: Arc<Book>,
    events: usize,
    retries: usize,
    trail: usize,
}

struct Process {
    engine: Arc<Engine<Still>>,
    drain: CancellationToken,
    _publishing: AbortOnDropHandle<()>,
}

impl Town {
    fn new(ids: &[&str]) -> Self {
        let broker = Arc::new(Still::new());
        let (events, retries, trail) = broker.with(|server, _| {
            let mut on = |stream, filter| server.subscribe(stream, vec![Subject::from_broker(filter)], 100);
            let events = on(Stream::Events, "parcels.sent.*.*");
            (events, on(Stream::Retry, "retry.>"), on(Stream::Audit, "audit.>"))
        });
        for id in ids {
            let sent = Sent { id: (*id).into() };
            let envelope = Envelope {
                id: format!("event of {id}"),
                kind: Sent::TYPE.into(),
                aggregate_id: sent.id.clone(),
                data: serde_json::value::to_raw_value(&sent).unwrap(),
                timestamp: broker.now(),
                trace_id: String::new(),
            };
            let message =
                crate::core::broker::Message::new(envelope.subject(), envelope.write().unwrap().into());
            broker.publish_now(Stream::Events, &[message]).unwrap();
        }
        broker.with(|server, now| server.copy_to_audit(now));
        Self { broker, book: Arc::default(), events, retries, trail }
    }

    fn process(&self) -> Process {
        self.start(Bindings::new(CONTRACT, Arc::clone(&self.book), bill))
    }

    fn start(&self, bindings: Bindings) -> Process {
        let drain = CancellationToken::new();
        let (engine, publishing) = Engine::new(bindings, Arc::clone(&self.broker), drain.clone());
        Process { engine, drain, _publishing: AbortOnDropHandle::new(tokio::spawn(publishing)) }
    }

    /// Everything that `consumer` has to deliver now.
    fn fetch(&self, consumer: usize) -> Vec<Delivery<Receipt>> {
        self.broker.with(|server, now| {
            // What is due is put where it can be fetched; the server is told that there is something to look at.
            server.consumer_mut(consumer);
            server.pump(now);
            std::iter::from_fn(|| server.fetch(consumer, now)).collect()
        })
    }

    /// Time passes until what a dead process held is delivered again, and no run of it can be under way.
    fn wait(&self) {
        let now = self.broker.with(|_, now| now);
        self.broker.pass(now + ACK_WAIT + CONTRACT.terms().time_limit);
    }

    /// Everything is delivered to `process`, which dies if anything in it does not come to an end.
    async fn deliver(&self, process: Process) -> Vec<String> {
        let mut deliveries = self.fetch(self.events);
        deliveries.extend(self.fetch(self.retries));
        let lives = deliveries.into_iter().map(|delivery| live(Arc::clone(&process.engine), delivery, None));
        let _ = tokio::time::timeout(LIFE, join_all(lives)).await;
        self.wait();
        self.book.take_runs()
    }

    fn letters(&self) -> Vec<(String, String)> {
        self.broker.with(|server, _| {
            let letters = server.log(Stream::DeadLetters).history().map(|entry| &entry.stored);
            let of = |letter: &crate::core::broker::Stored, name| letter.header(name).unwrap().to_owned();
            letters.map(|letter| (of(letter, headers::SUBJECT), of(letter, headers::REASON))).collect()
        })
    }

    /// How many inputs were billed, and at which attempt at most.
    fn billed(&self) -> (usize, Option<String>) {
        self.broker.with(|server, _| {
            let events = server.log(Stream::Events).history().map(|entry| &entry.stored);
            let billed = events.filter(|event| event.subject.as_str().starts_with(Billed::TYPE));
            let attempts: Vec<_> = billed.map(|e| e.header(headers::ATTEMPT).unwrap().to_owned()).collect();
            (attempts.len(), attempts.into_iter().max())
        })
    }

    async fn mark(&self, terms: &Terms, id: &str) -> Mark {
        let cause = crate::core::inbound::Cause {
            function: terms.name,
            subject: Subject::of_event(Sent::TYPE, id, &format!("event of {id}")),
            aggregate_id: id.into(),
            redrive: None,
            attempt: 1,
            trace_id: String::new(),
            traceparent: None,
            tracestate: None,
        };
        let subject = Subject::of_mark(terms.name, &cause.id(0));
        Marked::read(&*self.broker, subject, MARK_KEPT).await.unwrap().mark
    }
}

fn sorted(mut runs: Vec<String>) -> Vec<String> {
    runs.sort();
    runs
}

#[tokio::test(start_paused = true)]
async fn one_that_kills_its_process_is_given_up_after_three_lone_runs_and_its_neighbours_are_not() {
    let town = Town::new(&["a", "b", "poison", "c"]);
    Book::set(&town.book.deadly, &["poison", "b", "c"]);
    let together = sorted(town.deliver(town.process()).await);
    assert_eq!(together.len(), 4, "{together:?}");
    // It was the poison alone: the neighbours only died with it.
    Book::set(&town.book.deadly, &["poison"]);
    let mut deaths = 0;
    let mut later = Vec::new();
    while town.letters().is_empty() {
        let runs = town.deliver(town.process()).await;
        deaths += runs.iter().filter(|run| *run == "poison").count();
        later.extend(runs);
        assert!(deaths <= LONE_RUNS_MAX, "{later:?}");
    }
    assert_eq!(deaths, LONE_RUNS_MAX);
    assert!(later.iter().all(|run| !run.ends_with('+')), "suspects run alone: {later:?}");
    let subject = Subject::of_event(Sent::TYPE, "poison", "event of poison").to_string();
    assert_eq!(town.letters(), [(subject, "process_died".to_owned())]);
    assert_eq!(town.billed(), (3, Some("1".into())), "the neighbours, each at its first attempt");
}

#[tokio::test(start_paused = true)]
async fn who_dies_twice_in_a_lone_run_by_chance_is_innocent() {
    let town = Town::new(&["nothing"]);
    for _ in 0..3 {
        Book::set(&town.book.deadly, &["nothing"]);
        town.deliver(town.process()).await;
    }
    assert_eq!(town.mark(&CONTRACT.terms(), "nothing").await.lone_runs.len(), 2);
    Book::set(&town.book.deadly, &[]);
    assert_eq!(town.deliver(town.process()).await, ["nothing"]);
    assert_eq!(town.mark(&CONTRACT.terms(), "nothing").await.lone_runs.len(), 2, "the run that came back");
    assert!(town.letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn lone_runs_of_every_attempt_count_together_and_those_that_fail_do_not() {
    let town = Town::new(&["p"]);
    Book::set(&town.book.deadly, &["p"]);
    town.deliver(town.process()).await;
    town.deliver(town.process()).await;
    Book::set(&town.book.deadly, &[]);
    Book::set(&town.book.failing, &["p"]);
    // It fails: the next attempt is another message, which runs as any other.
    assert_eq!(town.deliver(town.process()).await, ["p"]);
    assert_eq!(town.mark(&CONTRACT.terms(), "p").await.lone_runs.len(), 1);
    Book::set(&town.book.deadly, &["p"]);
    let mut runs = 0;
    while town.letters().is_empty() {
        runs += town.deliver(town.process()).await.len();
    }
    assert_eq!(runs, 3, "one as any other, and two more alone");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_is_trusted_by_every_process() {
    let town = Town::new(&["a", "b", "c"]);
    let first = town.process();
    first.drain.cancel();
    assert!(town.deliver(first).await.is_empty());
    let runs = town.deliver(town.process()).await;
    assert_eq!(runs.iter().filter(|run| run.ends_with('+')).count(), 2, "in company: {runs:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_unread_is_trusted_too() {
    let town = Town::new(&["a", "b"]);
    let first = town.process();
    for delivery in town.fetch(town.events) {
        give_back_unread(&first.engine, &delivery).await;
    }
    // And once more, by a process that knows it from the record only.
    let second = town.process();
    for delivery in town.fetch(town.events) {
        assert_eq!(delivery.delivered, 2);
        give_back_unread(&second.engine, &delivery).await;
    }
    assert_eq!(sorted(town.deliver(town.process()).await), ["a", "b+"]);
}

#[tokio::test(start_paused = true)]
async fn a_release_speaks_for_an_input_once_even_if_the_broker_counts_deliveries_anew() {
    let town = Town::new(&["a", "b"]);
    let first = town.process();
    for delivery in town.fetch(town.events) {
        give_back_unread(&first.engine, &delivery).await;
    }
    Book::set(&town.book.deadly, &["a"]);
    assert_eq!(sorted(town.deliver(town.process()).await), ["a", "b+"]);
    assert_eq!(town.deliver(town.process()).await, ["a"], "alone");
    let mut again = town.fetch(town.events).pop().unwrap();
    again.delivered = 2;
    let engine = town.process().engine;
    let inbound = Inbound::read(&CONTRACT.terms(), &again).unwrap();
    let standing = standing(&engine, &again, &inbound).await;
    assert!(matches!(standing, Standing::Suspect(_)), "{standing:?}");
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_is_given_back_stays_one() {
    let town = Town::new(&["a", "b"]);
    Book::set(&town.book.deadly, &["a", "b"]);
    town.deliver(town.process()).await;
    Book::set(&town.book.deadly, &[]);
    let second = town.process();
    second.drain.cancel();
    assert!(town.deliver(second).await.is_empty());
    assert_eq!(sorted(town.deliver(town.process()).await), ["a", "b"], "each alone");
}

#[tokio::test(start_paused = true)]
async fn a_process_trusts_what_it_gave_back_itself_even_if_nobody_could_be_told() {
    let town = Town::new(&["a", "b"]);
    let process = town.process();
    town.broker.with(|server, _| server.is_full = true);
    for delivery in town.fetch(town.events) {
        live(Arc::clone(&process.engine), delivery, None).await;
    }
    assert_eq!(town.book.take_runs().len(), 2);
    assert_eq!(town.mark(&CONTRACT.terms(), "a").await, Mark::default());
    town.broker.with(|server, _| server.is_full = false);
    town.wait();
    assert_eq!(sorted(town.deliver(process).await), ["a", "b+"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_process_gave_back_long_ago_does_not_speak_for_a_count_that_begins_anew() {
    let town = Town::new(&["a"]);
    let process = town.process();
    let delivery = town.fetch(town.events).pop().unwrap();
    let again = |delivered| Delivery { delivered, ..delivery.clone() };
    process.engine.isolation.remember(&again(1));
    assert!(process.engine.isolation.trusts(&again(2)));
    assert!(process.engine.isolation.trusts(&again(2)), "as often as it is asked");
    // Others have had it, and one may have died of it; then the broker forgets an acknowledgement.
    assert!(!process.engine.isolation.trusts(&again(4)));
    assert!(!process.engine.isolation.trusts(&again(2)));
}

#[tokio::test(start_paused = true)]
async fn an_input_that_was_committed_or_given_up_does_not_run_again() {
    let town = Town::new(&["a", "b"]);
    let process = town.process();
    let deliveries = town.fetch(town.events);
    let bury_only = |id: &str| {
        let delivery = deliveries.iter().find(|delivery| delivery.subject.as_str().contains(id)).unwrap();
        let inbound = Inbound::read(&process.engine.terms, delivery).unwrap();
        crate::core::commit::receipt(&inbound.cause, Some(Reason::Rejected), town.broker.now()).unwrap()
    };
    // The process wrote the receipt of death of b, and died before the letter; the answer to a was lost.
    town.broker.publish_now(Stream::Events, &[bury_only("sent.b")]).unwrap();
    let mut unanswered = deliveries[0].clone();
    unanswered.receipt.sequence = 77;
    live(Arc::clone(&process.engine), unanswered, None).await;
    assert_eq!(town.book.take_runs(), ["a"]);
    town.wait();
    assert!(town.deliver(town.process()).await.is_empty());
    assert_eq!(town.letters().len(), 1);
    assert!(town.fetch(town.events).is_empty(), "both are acknowledged");
}

#[tokio::test(start_paused = true)]
async fn one_that_runs_alone_elsewhere_is_not_begun_a_second_time() {
    let town = Town::new(&["a"]);
    Book::set(&town.book.deadly, &["a"]);
    town.deliver(town.process()).await;
    let (first, second) = (town.process(), town.process());
    let delivery = town.fetch(town.events).pop().unwrap();
    let sequence = delivery.sequence;
    let running = AbortOnDropHandle::new(tokio::spawn(live(Arc::clone(&first.engine), delivery, None)));
    tokio::time::sleep(WORK).await;
    assert_eq!(town.book.take_runs(), ["a"]);
    // The broker delivers it again though it is being worked on.
    town.broker.with(|server, now| server.consumer_mut(town.events).unwrap().hurry(sequence, now));
    for delivery in town.fetch(town.events) {
        live(Arc::clone(&second.engine), delivery, None).await;
    }
    assert!(town.book.take_runs().is_empty());
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_conviction_is_not_made_on_an_old_reading() {
    let town = Town::new(&["a"]);
    let process = town.process();
    let subject = Subject::of_mark("billing", "x");
    let run = |delivered| LoneRun {
        of: Occasion { stream: "Events".into(), sequence: 1, delivered },
        until_unix_ms: 0,
    };
    let mut now = Marked::absent(subject, MARK_KEPT);
    let three = Mark { lone_runs: vec![run(2), run(3), run(4)], ..Mark::default() };
    let write = |mark: &Mark| if *mark == three { Change::Made } else { Change::Write(three.clone()) };
    now.change(&*town.broker, None, write).await.unwrap();
    let mut old = now.clone();
    let two = Mark { lone_runs: vec![run(2), run(3)], ..Mark::default() };
    let change = |mark: &Mark| if *mark == two { Change::Made } else { Change::Write(two.clone()) };
    now.change(&*town.broker, None, change).await.unwrap();
    assert!(matches!(
        convict(&process.engine, &mut old).await,
        Standing::Decided(Disposition::Release { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_conviction_counts_only_runs_alone_that_are_over() {
    let town = Town::new(&["a"]);
    let process = town.process();
    let now_ms = || i64::try_from(town.broker.now().unix_timestamp_nanos() / 1_000_000).unwrap();
    let run = |delivered, until_unix_ms| LoneRun {
        of: Occasion { stream: "Events".into(), sequence: 1, delivered },
        until_unix_ms,
    };
    let mut now = Marked::absent(Subject::of_mark("billing", "x"), MARK_KEPT);
    let mut write = async |lone_runs: Vec<LoneRun>| {
        let mark = Mark { lone_runs, ..Mark::default() };
        let change = |there: &Mark| if *there == mark { Change::Made } else { Change::Write(mark.clone()) };
        now.change(&*town.broker, None, change).await.unwrap();
        now.clone()
    };
    let mut old = write(vec![run(2, 0), run(3, 0), run(4, 0)]).await;
    // One of them came back meanwhile, and another has begun: as many as before, and one is under way.
    let until_ms = now_ms() + 10_000;
    let mut newer = write(vec![run(2, 0), run(3, 0), run(5, until_ms)]).await;
    let wait = |standing| match standing {
        Standing::Decided(Disposition::Release { after, .. }) => after,
        other => panic!("{other:?}"),
    };
    let seconds = Duration::from_secs;
    assert_eq!(wait(convict(&process.engine, &mut old).await), seconds(10) + CLOCKS_APART_MAX);
    // Over by this clock, and perhaps not by the one that it was told by.
    town.broker.pass(seconds(11));
    assert_eq!(wait(convict(&process.engine, &mut newer).await), CLOCKS_APART_MAX - seconds(1));
    town.broker.pass(seconds(10) + CLOCKS_APART_MAX);
    assert!(matches!(
        convict(&process.engine, &mut newer).await,
        Standing::Decided(Disposition::DeadLetter { reason: Reason::ProcessDied, .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_trail_goes_on_one_by_one_to_the_input_that_kills_and_never_gives_it_up() {
    let town = Town::new(&["a", "b", "poison", "d"]);
    let process = || town.start(Bindings::new(TRAIL, Arc::clone(&town.book), read_trail));
    let deliver = async |process: Process| {
        let batch = town.fetch(town.trail);
        let _ = tokio::time::timeout(LIFE, live_batch(Arc::clone(&process.engine), batch)).await;
        town.wait();
        town.book.take_runs()
    };
    Book::set(&town.book.deadly, &["poison"]);
    assert_eq!(deliver(process()).await, ["a", "b", "poison"], "a batch of all");
    assert_eq!(
        deliver(process()).await,
        ["a", "|", "b", "|", "poison"],
        "one by one, up to the one that kills"
    );
    for _ in 1..LONE_RUNS_MAX {
        assert_eq!(deliver(process()).await, ["poison"]);
    }
    assert_eq!(deliver(process()).await, ["d", "|"], "it is not run again");
    assert!(deliver(process()).await.is_empty());
    assert!(town.letters().is_empty(), "a trail has no holes");
    // The function was mended meanwhile.
    Book::set(&town.book.deadly, &[]);
    let now = town.broker.with(|_, now| now);
    town.broker.pass(now + TRAIL_MEMORY);
    assert_eq!(deliver(process()).await, ["poison", "|"]);
}

mod endings;
