//! Services that are stopped together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};
use tokio_util::task::TaskTracker;

use super::board::Board;
use super::keeper::{Keeper, Order};
use super::log::{LOG_LIMIT_BYTES, Log};
use super::service::Service;
use super::spawn::Spawner;
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// Keepers that are given orders together, and one by one. Dropping it ends their processes at once.
#[derive(Debug)]
pub(crate) struct Tier {
    orders: Arc<Mutex<Orders>>,
    keepers: TaskTracker,
    spawner: Arc<Spawner>,
    board: Board,
    console: Console,
    logs: PathBuf,
}

/// What was ordered.
#[derive(Debug)]
struct Orders {
    /// Of all.
    all: Order,
    /// Of each keeper that has not ended, by the name of its service.
    each: BTreeMap<String, watch::Sender<Order>>,
}

/// Waits for the first start of a service.
#[derive(Debug)]
#[must_use = "a service is not up before this is awaited"]
pub(crate) struct FirstStart(oneshot::Receiver<Result<(), Problem>>);

impl Tier {
    /// An empty tier whose processes write to files in `logs`.
    pub(crate) fn new(spawner: Arc<Spawner>, board: Board, console: Console, logs: &Path) -> Self {
        let orders = Arc::new(Mutex::new(Orders { all: Order::Run, each: BTreeMap::new() }));
        Self { orders, keepers: TaskTracker::new(), spawner, board, console, logs: logs.to_owned() }
    }

    /// The board that its processes are on.
    pub(crate) const fn board(&self) -> &Board {
        &self.board
    }

    /// Starts keeping `service` running.
    ///
    /// # Errors
    /// Its log cannot be written (73), or the tier has been told to stop (130).
    pub(crate) fn start(&self, service: impl Service + Sync) -> Result<FirstStart, Problem> {
        let path = self.logs.join(format!("{}.log", service.name()));
        let log = Log::open(path.clone(), LOG_LIMIT_BYTES).map_err(|error| {
            Problem::new(Exit::CannotCreate, format!("cannot write the log `{}`", path.display()))
                .because(error)
        })?;
        let name = service.name().to_owned();
        let (order, orders) = watch::channel(Order::Run);
        {
            let mut all = lock(&self.orders);
            if all.all > Order::Run {
                return Err(Problem::new(Exit::Interrupted, format!("`{name}` is stopped before it starts")));
            }
            all.each.insert(name.clone(), order);
        }
        self.board.add(&name, service.kind(), &path);
        let keeper = Keeper {
            service,
            spawner: Arc::clone(&self.spawner),
            board: self.board.clone(),
            console: self.console,
            orders,
            log: Arc::new(log),
        };
        let (up, first) = oneshot::channel();
        // Whoever drops the tier kills its processes: their keepers must not hold what they listen to.
        let (orders, board) = (Arc::downgrade(&self.orders), self.board.clone());
        self.keepers.spawn(async move {
            keeper.run(up).await;
            let Some(orders) = orders.upgrade() else { return };
            let mut orders = lock(&orders);
            let ordered = orders.each.remove(&name).map(|order| *order.borrow());
            // It alone was stopped: nobody asks for it any more. One that was given up stays, for who looks.
            if orders.all == Order::Run && ordered.is_some_and(|order| order > Order::Run) {
                board.forget(&name);
            }
        });
        Ok(FirstStart(first))
    }

    /// Stops the service `name`: SIGTERM, and its grace. One that was given up is forgotten.
    pub(crate) fn retire(&self, name: &str) {
        match lock(&self.orders).each.get(name) {
            Some(order) => raise(order, Order::Drain),
            None => self.board.forget(name),
        }
    }

    /// Gives an order to all; an order that was given already, or a lesser one, changes nothing.
    pub(crate) fn order(&self, order: Order) {
        let mut orders = lock(&self.orders);
        orders.all = orders.all.max(order);
        orders.each.values().for_each(|each| raise(each, order));
        self.keepers.close();
    }

    /// Waits until every keeper has ended; each bounds its own stop by the grace of its service.
    pub(crate) async fn ended(&self) {
        self.keepers.wait().await;
    }
}

fn lock(orders: &Mutex<Orders>) -> MutexGuard<'_, Orders> {
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raise(order: &watch::Sender<Order>, to: Order) {
    order.send_if_modified(|current| {
        let more = to > *current;
        *current = to.max(*current);
        more
    });
}

impl FirstStart {
    /// Waits until the service is up, or given up.
    pub(crate) async fn up(self) -> Result<(), Problem> {
        self.0.await.unwrap_or_else(|_| Err(Problem::new(Exit::Interrupted, "stopped before it was up")))
    }
}
