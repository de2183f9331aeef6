use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::contract::Breaker;
use crate::core::breaker::{LOOK_INTERVAL, Outage};
use crate::core::broker::{Message, Stored};
use crate::memory::Still;
use crate::payload::Nothing;
use crate::{AnyEvent, Contract};

const OPEN_FOR: Duration = Duration::from_secs(30);
const CONTRACT: Contract<AnyEvent, Nothing> = Contract::new("till", "Charges.")
    .time_limit(Duration::from_secs(10))
    .breaker(Breaker::after(2).open_for(OPEN_FOR));
const DOWN: Health = Health::Down(Outage { asked_for: None, last_after: None });

/// A broker that can be away, and that counts what it is asked. Its clock is tokio's.
struct Distant {
    still: Still,
    began: Instant,
    is_away: AtomicBool,
    asked: AtomicU64,
}

impl Distant {
    fn new() -> Arc<Self> {
        let (is_away, asked) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Self { still: Still::new(), began: Instant::now(), is_away, asked })
    }

    fn process(self: &Arc<Self>) -> SharedBreaker<Self> {
        SharedBreaker::new(&CONTRACT.terms(), Arc::clone(self))
    }

    fn record(&self) -> Option<Record> {
        self.still.with(|server, _| {
            let last = server.log(Stream::Events).last(&record::subject("till"))?;
            Record::read(&last.stored.payload)
        })
    }

    async fn answers(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let is_away = self.is_away.load(Ordering::Relaxed);
        if is_away {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        !is_away
    }
}

impl Broker for Distant {
    type Receipt = <Still as Broker>::Receipt;

    async fn publish(&self, stream: Stream, messages: Vec<Message>) -> Result<u64, PublishError> {
        let is_there = self.answers().await;
        if is_there {
            self.still.publish(stream, messages).await
        } else {
            Err(PublishError::Ambiguous("away".into()))
        }
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        let is_there = self.answers().await;
        if is_there { self.still.last(stream, subject).await } else { Err(Unavailable("away".into())) }
    }

    async fn last_at_leader(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        self.last(stream, subject).await
    }

    async fn ack(&self, _: &Self::Receipt) {}

    async fn give_back(&self, _: &Self::Receipt, _: Duration) {}

    async fn in_progress(&self, _: &Self::Receipt) {}

    fn message_bytes_max(&self) -> usize {
        self.still.message_bytes_max()
    }

    fn ack_wait(&self) -> Duration {
        self.still.ack_wait()
    }

    fn now(&self) -> OffsetDateTime {
        self.still.time_after(self.began.elapsed())
    }
}

fn cause(id: &str) -> Cause {
    Cause {
        function: "till",
        subject: Subject::of_event("a.b", "A", id),
        aggregate_id: "A".into(),
        redrive: None,
        attempt: 1,
        trace_id: String::new(),
        traceparent: None,
        tracestate: None,
    }
}

/// What becomes of one run of the handler: how long its input is given back for, if it is.
async fn run(process: &SharedBreaker<Distant>, id: &str, health: Health) -> Option<Duration> {
    let pass = process.pass(&cause(id)).await.expect("leave to run");
    process.tell(pass, health).await
}

async fn open(process: &SharedBreaker<Distant>) {
    assert_eq!(run(process, "1", DOWN).await, None, "an attempt while it is closed");
    assert_eq!(run(process, "2", DOWN).await, None);
    assert!(run(process, "3", DOWN).await.is_some(), "none as it opens");
}

async fn may_run(process: &SharedBreaker<Distant>) -> bool {
    process.pass(&cause("another")).await.is_some()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_while_everything_works() {
    let broker = Distant::new();
    let process = broker.process();
    for id in ["1", "2", "3"] {
        assert_eq!(run(&process, id, Health::Up).await, None);
    }
    assert_eq!(broker.asked.load(Ordering::Relaxed), 1, "only at the start");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_during_an_outage_does_not_ask_first() {
    let broker = Distant::new();
    open(&broker.process()).await;
    let late = broker.process();
    assert!(!may_run(&late).await);
    assert_eq!(late.circuit().position(), Position::Open);
    assert_eq!(late.rest(), OPEN_FOR);
}

#[tokio::test(start_paused = true)]
async fn the_first_outage_elsewhere_is_enough_and_costs_no_attempt() {
    let broker = Distant::new();
    let (first, second) = (broker.process(), broker.process());
    assert_eq!(run(&second, "0", Health::Up).await, None);
    open(&first).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    let rest = run(&second, "4", DOWN).await;
    assert_eq!(rest, Some(OPEN_FOR - Duration::from_secs(3)), "as long as the first");
}

#[tokio::test(start_paused = true)]
async fn of_several_processes_one_probes() {
    let broker = Distant::new();
    let processes = [broker.process(), broker.process(), broker.process()];
    for process in &processes {
        process.begin().await;
    }
    open(&processes[0]).await;
    for process in &processes[1..] {
        run(process, "4", DOWN).await;
    }
    for round in 0..5 {
        tokio::time::advance(OPEN_FOR).await;
        let prober = &processes[round % 3];
        let probe = prober.pass(&cause("probe")).await.expect("the first to ask has leave");
        assert!(probe.is_probe);
        for process in &processes {
            assert!(!may_run(process).await, "nobody else, and nobody twice");
        }
        assert!(prober.tell(probe, DOWN).await.is_some_and(|rest| rest > OPEN_FOR), "others go first");
        for process in &processes {
            process.look().await;
            assert!(!may_run(process).await, "the same wait for all");
        }
    }
    tokio::time::advance(OPEN_FOR).await;
    let probe = processes[2].pass(&cause("probe")).await.unwrap();
    assert!(!may_run(&processes[0]).await);
    assert_eq!(processes[2].tell(probe, Health::Up).await, None);
    assert!(matches!(broker.record(), Some(Record::Closed { .. })));
    for process in &processes {
        if process.circuit().is_waiting() {
            process.look().await;
        }
        assert!(may_run(process).await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_input_that_comes_after_another_process_has_closed_it_runs_at_once() {
    let broker = Distant::new();
    let (first, second) = (broker.process(), broker.process());
    open(&first).await;
    second.begin().await;
    tokio::time::advance(OPEN_FOR).await;
    run(&first, "probe", Health::Up).await;
    assert_eq!(second.circuit().position(), Position::Open);
    assert_eq!(second.pass(&cause("4")).await, Some(Pass { is_probe: false }));
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_process_has_died_is_replaced() {
    let broker = Distant::new();
    let (first, second) = (broker.process(), broker.process());
    open(&first).await;
    second.begin().await;
    tokio::time::advance(OPEN_FOR).await;
    assert!(first.pass(&cause("probe")).await.is_some(), "it never comes back");
    assert!(!may_run(&second).await);
    tokio::time::advance(second.circuit().probe_max()).await;
    assert!(second.pass(&cause("4")).await.is_some_and(|pass| pass.is_probe));
}

#[tokio::test(start_paused = true)]
async fn without_a_broker_each_process_has_its_own_circuit_and_tells_the_others_later() {
    let broker = Distant::new();
    let process = broker.process();
    process.begin().await;
    broker.is_away.store(true, Ordering::Relaxed);
    let began = Instant::now();
    open(&process).await;
    assert!(began.elapsed() <= SHARING_MAX * 3, "each outage was held up for so long at most");
    assert_eq!(broker.record(), None);
    tokio::time::advance(OPEN_FOR).await;
    let probe = process.pass(&cause("probe")).await.expect("it probes by itself");
    assert!(process.tell(probe, DOWN).await.is_some());
    broker.is_away.store(false, Ordering::Relaxed);
    process.look().await;
    assert!(matches!(broker.record(), Some(Record::Open { .. })), "{:?}", broker.record());
}

#[tokio::test(start_paused = true)]
async fn an_idle_process_follows_the_others() {
    let broker = Distant::new();
    let (first, idle) = (broker.process(), Arc::new(broker.process()));
    open(&first).await;
    idle.begin().await;
    let following = Arc::clone(&idle);
    let following = tokio::spawn(async move { following.follow().await });
    tokio::time::sleep(OPEN_FOR).await;
    run(&first, "probe", Health::Up).await;
    assert_eq!(idle.circuit().position(), Position::Open);
    tokio::time::sleep(LOOK_INTERVAL * 2).await;
    assert_eq!(idle.circuit().position(), Position::Closed);
    // Once, since somebody was answered.
    tokio::time::sleep(OPEN_FOR).await;
    let asked = broker.asked.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(broker.asked.load(Ordering::Relaxed), asked, "nothing is looked at while it is closed");
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn whoever_is_answered_closes_what_the_others_left_open() {
    let broker = Distant::new();
    let (opened, busy) = (Arc::new(broker.process()), Arc::new(broker.process()));
    busy.begin().await;
    open(&opened).await;
    let follow = |process: &Arc<SharedBreaker<Distant>>| {
        let process = Arc::clone(process);
        tokio::spawn(async move { process.follow().await })
    };
    let following = [follow(&opened), follow(&busy)];
    for second in 0..u32::try_from(OPEN_FOR.as_secs()).unwrap() {
        assert_eq!(run(&busy, &second.to_string(), Health::Up).await, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(matches!(broker.record(), Some(Record::Open { .. })), "not before a probe could have begun");
    run(&busy, "after", Health::Up).await;
    tokio::time::sleep(OPEN_FOR + LOOK_INTERVAL * 2).await;
    assert!(matches!(broker.record(), Some(Record::Closed { .. })), "{:?}", broker.record());
    assert_eq!(opened.circuit().position(), Position::Closed);
    let asked = broker.asked.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(broker.asked.load(Ordering::Relaxed), asked, "nothing is looked at while nothing is answered");
    for following in following {
        following.abort();
    }
}
