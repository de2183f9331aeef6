//! Services that are stopped together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio_util::task::TaskTracker;

use super::board::Board;
use super::keeper::{Keeper, Order};
use super::log::{LOG_LIMIT_BYTES, Log};
use super::service::Service;
use super::spawn::Spawner;
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// A group of keepers under one order. Dropping it ends their processes at once.
#[derive(Debug)]
pub(crate) struct Tier {
    orders: watch::Sender<Order>,
    keepers: TaskTracker,
    spawner: Arc<Spawner>,
    board: Board,
    console: Console,
    logs: PathBuf,
}

/// Waits for the first start of a service.
#[derive(Debug)]
#[must_use = "a service is not up before this is awaited"]
pub(crate) struct FirstStart(oneshot::Receiver<Result<(), Problem>>);

impl Tier {
    /// An empty tier whose processes write to files in `logs`.
    pub(crate) fn new(spawner: Arc<Spawner>, board: Board, console: Console, logs: &Path) -> Self {
        let (orders, _) = watch::channel(Order::Run);
        Self { orders, keepers: TaskTracker::new(), spawner, board, console, logs: logs.to_owned() }
    }

    /// Starts keeping `service` running.
    pub(crate) fn start(&self, service: impl Service + Sync) -> Result<FirstStart, Problem> {
        let path = self.logs.join(format!("{}.log", service.name()));
        let log = Log::open(path.clone(), LOG_LIMIT_BYTES).map_err(|error| {
            Problem::new(Exit::CannotCreate, format!("cannot write the log `{}`", path.display()))
                .because(error)
        })?;
        self.board.add(service.name(), service.kind(), &path);
        let keeper = Keeper {
            service,
            spawner: Arc::clone(&self.spawner),
            board: self.board.clone(),
            console: self.console,
            orders: self.orders.subscribe(),
            log: Arc::new(log),
        };
        let (up, first) = oneshot::channel();
        self.keepers.spawn(keeper.run(up));
        Ok(FirstStart(first))
    }

    /// Gives an order to all; an order that was given already, or a lesser one, changes nothing.
    pub(crate) fn order(&self, order: Order) {
        self.orders.send_if_modified(|current| {
            let more = order > *current;
            if more {
                *current = order;
            }
            more
        });
        self.keepers.close();
    }

    /// Waits until every keeper has ended; each bounds its own stop by the grace of its service.
    pub(crate) async fn ended(&self) {
        self.keepers.wait().await;
    }
}

impl FirstStart {
    /// Waits until the service is up, or given up.
    pub(crate) async fn up(self) -> Result<(), Problem> {
        self.0.await.unwrap_or_else(|_| Err(Problem::new(Exit::Interrupted, "stopped before it was up")))
    }
}
