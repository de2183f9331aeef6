//! One task that keeps one service running.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::board::{Board, Phase};
use super::log::Log;
use super::process::{Ending, Process, Stop};
use super::restart::{Failures, Verdict};
use super::service::{Addresses, Service};
use super::spawn::Spawner;
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// What the keepers of a tier are to do, each more urgent than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Keep the process running.
    Run,
    /// Stop it: SIGTERM, its grace, then SIGKILL.
    Drain,
    /// Kill it now.
    Kill,
}

/// Keeps `service` running until it is ordered to stop.
#[derive(Debug)]
pub(crate) struct Keeper<S> {
    pub(crate) service: S,
    pub(crate) spawner: Arc<Spawner>,
    pub(crate) board: Board,
    pub(crate) console: Console,
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) log: Arc<Log>,
}

/// How one life of the process went.
enum Life {
    Stopped,
    Failed(Failure),
}

struct Failure {
    problem: Problem,
    /// How long it was up; `None` if it never was.
    lived: Option<Duration>,
    /// Another start would fail alike.
    hopeless: bool,
    /// It ended in order: somebody told it to.
    orderly: bool,
}

/// Who waits for the first start, until it is told.
type Waiting = Option<oneshot::Sender<Result<(), Problem>>>;

impl<S: Service + Sync> Keeper<S> {
    /// Runs until the order to stop, or until the service is given up. `first` is told once: the service is up,
    /// or why it never was.
    pub(crate) async fn run(mut self, first: oneshot::Sender<Result<(), Problem>>) {
        let mut first = Some(first);
        let mut known = Addresses::new();
        let mut failures = Failures::default();
        loop {
            let failure = match self.live(&mut known, &mut first).await {
                Life::Stopped => return self.board.ended(self.service.name(), Phase::Stopped),
                Life::Failed(failure) => failure,
            };
            match failures.count(failure.lived, failure.hopeless, failure.orderly) {
                Verdict::GiveUp => return self.give_up(failure.problem, first),
                Verdict::Again(delay) => {
                    self.board.ended(self.service.name(), Phase::Waiting);
                    let (why, log) = (failure.problem.sentence(), self.log.path().display());
                    self.console
                        .warn(&format!("{why}; starting again in {} ms (log: {log})", delay.as_millis()));
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        _ = told(&mut self.orders, Order::Run) => {
                            return self.board.ended(self.service.name(), Phase::Stopped);
                        }
                    }
                }
            }
        }
    }

    fn give_up(&self, problem: Problem, first: Waiting) {
        self.board.ended(self.service.name(), Phase::Failed);
        let untold = match first {
            Some(first) => first.send(Err(problem)).err().and_then(Result::err),
            None => Some(problem),
        };
        if let Some(problem) = untold {
            self.console.error(&format!("{}\n  it is not started again", problem.render()));
        }
    }

    async fn live(&mut self, known: &mut Addresses, first: &mut Waiting) -> Life {
        let started = match self.service.launch(known) {
            Ok(launch) => {
                Process::start(&launch, &self.spawner, Arc::clone(&self.log)).await.map_err(|error| {
                    let program = launch.program.display();
                    Problem::new(
                        Exit::Unavailable,
                        format!("`{}` cannot be started: {program}", self.service.name()),
                    )
                    .because(error)
                })
            }
            Err(problem) => Err(problem),
        };
        let mut process = match started {
            Ok(process) => process,
            Err(problem) => {
                return Life::Failed(Failure { problem, lived: None, hopeless: false, orderly: false });
            }
        };
        self.board.starting(self.service.name(), process.pid());
        match self.until_up(&mut process, known).await {
            Ok(Some(addresses)) => *known = addresses,
            Ok(None) => return self.stop(process).await,
            Err(failure) => {
                process.kill().await;
                return Life::Failed(failure);
            }
        }
        self.announce(process.pid(), known, first);
        let up_since = Instant::now();
        tokio::select! {
            _ = told(&mut self.orders, Order::Run) => {}
            ended = process.ended() => {
                return Life::Failed(self.death(ended.ok(), process.pid(), Some(up_since.elapsed())));
            }
        }
        self.stop(process).await
    }

    /// Waits until the process is up; `None` if it is to stop before.
    async fn until_up(
        &mut self,
        process: &mut Process,
        known: &Addresses,
    ) -> Result<Option<Addresses>, Failure> {
        let (pid, output) = (process.pid(), process.output());
        let (service, limit) = (&self.service, self.service.start_limit());
        let ended = tokio::select! {
            _ = told(&mut self.orders, Order::Run) => return Ok(None),
            ended = process.ended() => ended,
            up = tokio::time::timeout(limit, service.up(pid, &output, known)) => {
                let problem = match up {
                    Ok(Ok(addresses)) => return Ok(Some(addresses)),
                    Ok(Err(problem)) => problem,
                    Err(_) => Problem::new(
                        Exit::Unavailable,
                        format!("`{}` (pid {pid}) was not up within {} s", service.name(), limit.as_secs()),
                    ),
                };
                return Err(Failure { problem: self.with_last_words(problem), lived: None, hopeless: false, orderly: false });
            }
        };
        Err(self.death(ended.ok(), pid, None))
    }

    fn announce(&self, pid: u32, addresses: &Addresses, first: &mut Waiting) {
        let name = self.service.name();
        self.board.up(name, addresses);
        let urls: Vec<_> = addresses.values().map(String::as_str).collect();
        self.console
            .good(name, &format!("pid {pid:<8} {:<28} {}", urls.join(" "), self.log.path().display()));
        if let Some(first) = first.take() {
            // Nobody waits any more if the start was cancelled; the order to stop is then on its way.
            let _ = first.send(Ok(()));
        }
    }

    fn death(&self, ending: Option<Ending>, pid: u32, lived: Option<Duration>) -> Failure {
        let name = self.service.name();
        let how = ending.map_or_else(|| "an unknown end".to_owned(), |ending| ending.to_string());
        self.board.died(name, how.clone());
        let hopeless = ending.is_some_and(Ending::is_configuration);
        let orderly = ending.is_some_and(Ending::is_orderly);
        let (exit, when) = match (hopeless, lived) {
            (true, _) => (Exit::Config, " because of its configuration"),
            (false, None) => (Exit::Unavailable, " before it was up"),
            (false, Some(_)) => (Exit::Unavailable, ""),
        };
        let problem = Problem::new(exit, format!("`{name}` (pid {pid}) ended{when}: {how}"));
        // A process that was up said much already; its log is enough, unless it is given up.
        let problem = if lived.is_none() || hopeless { self.with_last_words(problem) } else { problem };
        Failure { problem, lived, hopeless, orderly }
    }

    fn with_last_words(&self, problem: Problem) -> Problem {
        problem.details(self.log.tail()).remedy(format!("all of its log: {}", self.log.path().display()))
    }

    async fn stop(&mut self, mut process: Process) -> Life {
        let grace = self.service.grace();
        let name = self.service.name().to_owned();
        self.board.stopping(&name);
        let order = *self.orders.borrow();
        let stop = if order == Order::Kill || self.orders.has_changed().is_err() {
            process.kill().await
        } else {
            let orders = &mut self.orders;
            let hurry = async {
                told(orders, Order::Drain).await;
            };
            process.stop(grace, hurry).await
        };
        let ordered = *self.orders.borrow() == Order::Kill;
        match stop {
            Stop::Graceful => self.console.aside(&name, "stopped"),
            Stop::Forced if ordered => self.console.aside(&name, "killed"),
            Stop::Forced => {
                self.console
                    .warn(&format!("`{name}` did not stop within {} s of SIGTERM: killed", grace.as_secs()));
            }
            Stop::Stuck => {
                self.console
                    .warn(&format!("`{name}` (pid {}) did not end after SIGKILL: left", process.pid()));
            }
        }
        Life::Stopped
    }
}

/// Waits for an order beyond `beyond`. Nobody left to give orders means: kill.
async fn told(orders: &mut watch::Receiver<Order>, beyond: Order) -> Order {
    match orders.wait_for(|order| *order > beyond).await {
        Ok(order) => *order,
        Err(_) => Order::Kill,
    }
}
