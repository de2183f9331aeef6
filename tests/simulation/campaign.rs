//! Many seeds, on several threads, until one fails or the time is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::scenario;

/// How many seeds, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    pub from: u64,
    pub seeds: u64,
    pub time: Duration,
    /// On how many threads.
    pub jobs: usize,
    /// Whether it is said from time to time how far it is.
    pub is_told: bool,
}

/// How often it is said how far a campaign is, and how often it is looked whether that is due.
const TELL_EVERY: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How many threads there may be at a time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What came of a campaign.
#[derive(Debug)]
pub struct Report {
    pub tried: u64,
    pub took: Duration,
    pub runs_of_handlers: u64,
    /// The lowest seed that failed, and what went wrong.
    pub failure: Option<(u64, String)>,
}

impl Campaign {
    /// Tries seed after seed until one fails.
    pub fn run(self) -> Report {
        let began = Instant::now();
        let (next, tried, handlers) = (AtomicU64::new(self.from), AtomicU64::new(0), AtomicU64::new(0));
        let (is_over, failure) = (AtomicBool::new(false), Mutex::new(None::<(u64, String)>));
        let end = self.from.saturating_add(self.seeds);
        let working = AtomicUsize::new(self.jobs);
        let report = |failure| Report {
            tried: tried.load(Ordering::Relaxed),
            took: began.elapsed(),
            runs_of_handlers: handlers.load(Ordering::Relaxed),
            failure,
        };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    let _at_work = AtWork(&working);
                    while !is_over.load(Ordering::Relaxed) && began.elapsed() < self.time {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end {
                            return;
                        }
                        let result = attempt(seed);
                        tried.fetch_add(1, Ordering::Relaxed);
                        match result {
                            Ok(runs) => drop(handlers.fetch_add(runs, Ordering::Relaxed)),
                            Err(why) => {
                                is_over.store(true, Ordering::Relaxed);
                                let mut failure = failure.lock().unwrap();
                                if failure.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
                                    *failure = Some((seed, why));
                                }
                            }
                        }
                    }
                });
            }
            let mut told = Instant::now();
            while self.is_told && working.load(Ordering::Relaxed) > 0 {
                std::thread::sleep(LOOK_EVERY);
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    eprintln!("{}", report(None).line());
                }
            }
        });
        let failure = failure.lock().unwrap().take();
        report(failure)
    }
}

/// A thread at work, until this is dropped.
struct AtWork<'c>(&'c AtomicUsize);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many handlers ran, or what went wrong.
pub fn attempt(seed: u64) -> Result<u64, String> {
    match catch_unwind(AssertUnwindSafe(|| scenario::run(seed, false))) {
        Ok(simulated) => simulated.result.map(|tally| tally.runs),
        Err(panic) => Err(panicked(&*panic)),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    format!("it panics: {}", text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default())
}

/// The seed once more, with its journal, and what came of it.
pub fn replay(seed: u64) -> String {
    match catch_unwind(AssertUnwindSafe(|| scenario::run(seed, true))) {
        Ok(simulated) => {
            let end = match simulated.result {
                Ok(tally) => format!("seed {seed}: all is well: {tally:?}"),
                Err(why) => format!("seed {seed}: {why}"),
            };
            format!("{}\n{end}", simulated.journal.join("\n"))
        }
        Err(panic) => format!("seed {seed}: {}", panicked(&*panic)),
    }
}

impl Report {
    /// How much was tried, in one line.
    pub fn line(&self) -> String {
        let seconds = self.took.as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.tried as f64 / seconds;
        format!(
            "{} seeds in {seconds:.1} s, {rate:.0} per second, {} runs of handlers",
            self.tried, self.runs_of_handlers
        )
    }
}
