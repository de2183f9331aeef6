//! Many seeds, on every core, until one fails or the time is over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::scenario;

/// How many seeds, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    pub from: u64,
    pub seeds: u64,
    pub time: Duration,
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
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
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
        });
        Report {
            tried: tried.into_inner(),
            took: began.elapsed(),
            runs_of_handlers: handlers.into_inner(),
            failure: failure.into_inner().unwrap(),
        }
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
