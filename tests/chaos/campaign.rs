//! One run: stock arrives, customers order, things go wrong, everything calms down, the books are balanced.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jetlag_cli::console::Console;
use jetlag_cli::demo::{self, Rest};
use rustix::process::Signal;

use crate::customers::{Answers, Pace, place};
use crate::disk::Disk;
use crate::fault::Schedule;
use crate::fleet::{Fleet, Setup};
use crate::market::Market;
use crate::mischief::inflict;
use crate::rolling::{Rolled, roll};
use crate::verdict::{Verdict, last_event, verdict};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(10);

/// What goes wrong while customers order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Faults from the schedule of the seed, one each tick: at least so many, and more while orders are being placed.
    Schedule { faults_min: usize },
    /// The broker is killed so many times, a tick apart.
    BrokerKills { times: usize },
    /// The broker's disk loses its power so many times, a tick apart.
    PowerCuts { times: usize },
    /// So many drains over all processes, in turn.
    Drains { times: usize },
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    pub seed: u64,
    pub orders: usize,
    pub replicas: u16,
    pub tick: Duration,
    pub trouble: Trouble,
    pub sync_always: bool,
    pub concurrency: usize,
    pub per_second: Option<NonZeroU32>,
    /// Placing ends after this long, however many orders are left.
    pub limit: Duration,
    pub data: PathBuf,
    /// Where the broker keeps everything, if not in `data`.
    pub disk: Option<Arc<Disk>>,
    /// Say what happens on standard output.
    pub told: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub answers: Answers,
    /// How often each kind of fault happened.
    pub faults: BTreeMap<&'static str, usize>,
    pub rolled: Rolled,
    /// From the first order to the end of placing and trouble, and to the balanced books.
    pub trouble_took: Duration,
    pub calm_took: Duration,
}

struct Teller {
    told: bool,
    began: Instant,
}

impl Teller {
    fn tell(&self, text: &str) {
        if self.told {
            println!("{:8.1} s  {text}", self.began.elapsed().as_secs_f64());
        }
    }
}

impl Options {
    /// A run of so many orders in `data`, as the ordinary tests make it.
    pub fn of(seed: u64, orders: usize, trouble: Trouble, data: PathBuf) -> Self {
        Self {
            seed,
            orders,
            replicas: 2,
            tick: Duration::from_millis(1_200),
            trouble,
            sync_always: false,
            concurrency: 64,
            per_second: None,
            limit: Duration::from_secs(600),
            data,
            disk: None,
            told: false,
        }
    }
}

/// Runs it all, and leaves no process behind.
pub async fn run(options: &Options) -> Outcome {
    let teller = Arc::new(Teller { told: options.told, began: Instant::now() });
    let market = Market::of(options.seed, options.orders);
    let console = if options.told { Console::stderr() } else { Console::silent() };
    if let Some(disk) = &options.disk {
        std::fs::create_dir_all(disk.path().join("broker")).unwrap();
        std::os::unix::fs::symlink(disk.path().join("broker"), options.data.join("broker")).unwrap();
    }
    let fleet = Fleet::start(Setup {
        data: options.data.clone(),
        replicas: options.replicas,
        sync_always: options.sync_always,
        console,
    });
    let fleet = Arc::new(fleet.await);
    stock(&fleet, &market).await;
    let before = last_event(&fleet).await;
    teller.tell(&format!("stocked {} things; seed {}", market.opening.skus(), options.seed));

    let (enough, placed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let began = Instant::now();
    let pace = Pace { concurrency: options.concurrency, per_second: options.per_second };
    let placing = async {
        let answers = place(fleet.counter(), &market.wishes, 0, &pace, &enough, &placed).await;
        enough.store(true, Ordering::Relaxed);
        let rate = answers.placed as f64 / answers.took.as_secs_f64();
        teller.tell(&format!("placed {} in {:.1?} ({rate:.0}/s)", answers.placed, answers.took));
        answers
    };
    let watching = async {
        loop {
            tokio::time::sleep(PROGRESS).await;
            teller.tell(&format!("{} of {} placed", placed.load(Ordering::Relaxed), options.orders));
            if began.elapsed() > options.limit {
                enough.store(true, Ordering::Relaxed);
            }
        }
    };
    let troubled = async { tokio::join!(placing, trouble(&fleet, options, &teller, &enough)) };
    let (answers, (faults, rolled)) = tokio::select! {
        troubled = troubled => troubled,
        never = watching => never,
    };
    let trouble_took = began.elapsed();
    teller.tell("everything is mended");
    fleet.heal().await;
    let verdict = verdict(&fleet, &options.data, &market, &answers, before).await;
    let calm_took = began.elapsed() - trouble_took;
    teller.tell(&format!("at rest and balanced {calm_took:.1?} later"));
    fleet.running.drain().await;
    Outcome { verdict, answers, faults, rolled, trouble_took, calm_took }
}

/// Lets the opening stock arrive, and waits until it is booked.
async fn stock(fleet: &Fleet, market: &Market) {
    for delivery in &market.opening.deliveries {
        let (id, sku, quantity) = (&delivery.id, &delivery.sku, delivery.quantity);
        let event = format!(
            r#"{{"id":"{id}","type":"stock.received","aggregate_id":"{sku}","data":{{"sku":"{sku}","quantity":{quantity}}},"timestamp":"2026-11-21T14:00:00Z","trace_id":""}}"#
        );
        fleet.operator.publish("stock.received", id, event.into()).await.unwrap();
    }
    let deliveries = market.opening.deliveries.iter().map(demo::Delivery::subject).collect();
    let rest = demo::at_rest(&fleet.operator, fleet.running.topology(), &BTreeSet::new(), deliveries).await;
    assert_eq!(rest, Rest::Reached, "the stock is not booked");
}

async fn trouble(
    fleet: &Arc<Fleet>,
    options: &Options,
    teller: &Arc<Teller>,
    enough: &AtomicBool,
) -> (BTreeMap<&'static str, usize>, Rolled) {
    let (mut happened, mut rolled) = (BTreeMap::new(), Rolled::default());
    match options.trouble {
        Trouble::Drains { times } => {
            rolled = roll(fleet, times, |text| teller.tell(text)).await;
            enough.store(true, Ordering::Relaxed);
        }
        Trouble::BrokerKills { times } => {
            for number in 1..=times {
                tokio::time::sleep(options.tick).await;
                let old = fleet.up("broker", None).await.pid;
                fleet.signal("broker", Signal::KILL);
                teller.tell(&format!("kill {number} of the broker"));
                fleet.up("broker", old).await;
                count(&mut happened, ("kill broker", true));
            }
        }
        Trouble::PowerCuts { times } => {
            let disk = options.disk.as_ref().unwrap();
            for number in 1..=times {
                tokio::time::sleep(options.tick).await;
                let old = fleet.up("broker", None).await.pid;
                // It acknowledges nothing more, then the power goes.
                fleet.signal("broker", Signal::STOP);
                disk.cut();
                fleet.signal("broker", Signal::KILL);
                disk.recover().await;
                teller.tell(&format!("power cut {number}"));
                fleet.up("broker", old).await;
                count(&mut happened, ("power cut", true));
            }
        }
        Trouble::Schedule { faults_min } => {
            let mut under_way = FuturesUnordered::new();
            for (number, fault) in Schedule::of(options.seed, options.replicas).enumerate() {
                if number >= faults_min && enough.load(Ordering::Relaxed) {
                    break;
                }
                let tick = tokio::time::sleep(options.tick);
                tokio::select! {
                    () = tick => {}
                    () = async {
                        while let Some(done) = under_way.next().await {
                            count(&mut happened, done);
                        }
                        std::future::pending().await
                    } => {}
                }
                teller.tell(&fault.to_string());
                under_way.push(async move { (fault.kind(), inflict(fleet, &fault).await) });
            }
            while let Some(done) = under_way.next().await {
                count(&mut happened, done);
            }
        }
    }
    (happened, rolled)
}

fn count(happened: &mut BTreeMap<&'static str, usize>, (kind, is_done): (&'static str, bool)) {
    *happened.entry(kind).or_default() += usize::from(is_done);
}

impl Outcome {
    /// Everything in a few lines.
    pub fn summary(&self) -> String {
        let (verdict, answers) = (&self.verdict, &self.answers);
        let orders = &verdict.books.orders;
        let ended = orders.confirmed + orders.cancelled();
        let all = (self.trouble_took + self.calm_took).as_secs_f64();
        format!(
            "{} asked for, {} orders accepted in {:.1?}, {} confirmed, {} cancelled {:?}, {} open; {:.0} orders/s from the first to the balanced books\n{:?}\nfaults: {:?}\ndrains: {}\naudit: {:?}\n{}",
            answers.placed,
            answers.accepted.len(),
            answers.took,
            orders.confirmed,
            orders.cancelled(),
            orders.cancelled,
            orders.open,
            ended as f64 / all,
            verdict.felt,
            self.faults,
            self.rolled,
            verdict.books.audit,
            if verdict.faults.is_empty() {
                "0 lost, 0 doubled, stock conserved, every dead letter explained".to_owned()
            } else {
                format!("{} FAULTS", verdict.faults.len())
            },
        )
    }
}
