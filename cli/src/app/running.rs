//! An application that runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jetlag::topology::{EVENTS, Topology};

use super::rescuer::Rescuer;
use super::scaling::Scaling;
use crate::console::Console;
use crate::supervisor::lock::DataLock;
use crate::supervisor::spawn::Spawner;
use crate::supervisor::{Addresses, Board, Entry, Kind, Order, Status, Tier};

/// A running application. Dropping it kills every process; [`Self::drain`] stops them in order.
#[derive(Debug)]
pub struct Running {
    // Fields are dropped in this order: what depends on others goes first.
    rescuer: Mutex<Option<Rescuer>>,
    scaling: Mutex<Option<Scaling>>,
    pub(crate) functions: Arc<Tier>,
    pub(crate) companions: Tier,
    pub(crate) brokers: Tier,
    board: Board,
    topology: Topology,
    lock: Mutex<Option<DataLock>>,
}

impl Running {
    pub(crate) fn new(
        spawner: &Arc<Spawner>,
        board: Board,
        console: Console,
        logs: &Path,
        topology: Topology,
        lock: Option<DataLock>,
    ) -> Self {
        let tier = || Tier::new(Arc::clone(spawner), board.clone(), console, logs);
        let (functions, companions, brokers) = (Arc::new(tier()), tier(), tier());
        let (rescuer, scaling, lock) = (Mutex::new(None), Mutex::new(None), Mutex::new(lock));
        Self { rescuer, scaling, functions, companions, brokers, board, topology, lock }
    }

    /// Where the function `name` answers HTTP, such as `http://127.0.0.1:8080`; where it is scaled, its process for requests.
    pub fn url(&self, name: &str) -> Option<String> {
        self.board.status().door(name).map(str::to_owned)
    }

    /// Where the companion `name` answers HTTP.
    pub fn companion(&self, name: &str) -> Option<String> {
        self.entry(name).filter(|entry| entry.kind == Kind::Companion)?.url
    }

    /// Where clients reach the broker, such as `nats://127.0.0.1:4222`. It stays the same when it is restarted.
    pub fn broker_url(&self) -> Option<String> {
        self.board.status().broker_url
    }

    /// Where the broker's monitoring answers HTTP.
    pub fn monitor_url(&self) -> Option<String> {
        self.board.status().monitor_url
    }

    /// The pid of a process now, `broker` included; `None` while it is not running.
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.entry(name)?.pid
    }

    /// The log of a process.
    pub fn log(&self, name: &str) -> Option<PathBuf> {
        Some(self.entry(name)?.log)
    }

    /// The streams and consumers of the functions, as their descriptions ask for them.
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Everything known of one process.
    pub fn entry(&self, name: &str) -> Option<Entry> {
        self.board.entry(name)
    }

    /// Everything known, as it stands in `up.json`.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// Stops the functions (each finishes what it has begun, up to 35 s), then the companions, then the broker.
    /// Returns when no process is left. A second caller waits for the same.
    pub async fn drain(&self) {
        self.stop(Order::Drain).await;
    }

    /// Kills everything at once, also while a drain is under way.
    pub async fn kill(&self) {
        // All orders are given before any is waited for.
        for tier in self.tiers() {
            tier.order(Order::Kill);
        }
        self.stop(Order::Kill).await;
    }

    /// Sees to it from now on that nothing expires which a function has not answered for.
    pub(crate) fn look_after_functions(&self, broker_url: &str, console: Console) {
        let functions = self.topology.consumers.iter().filter(|consumer| consumer.stream == EVENTS);
        let functions = functions.map(|consumer| consumer.durable.clone()).collect();
        if let Ok(mut rescuer) = self.rescuer.lock() {
            *rescuer = Some(Rescuer::start(broker_url.to_owned(), functions, console));
        }
    }

    /// From now on somebody else says how many processes there are.
    pub(crate) fn scale(&self, scaling: Scaling) {
        if let Ok(mut slot) = self.scaling.lock() {
            *slot = Some(scaling);
        }
    }

    /// Leaves the number of processes as it is, from now on.
    pub async fn settle(&self) {
        let scaling = self.scaling.lock().ok().and_then(|mut scaling| scaling.take());
        if let Some(scaling) = scaling {
            scaling.stop().await;
        }
    }

    /// The board that its processes are on.
    pub(crate) const fn board(&self) -> &Board {
        &self.board
    }

    pub(crate) fn addresses(&self) -> BTreeMap<String, Addresses> {
        let processes = self.board.status().processes.into_iter();
        processes
            .filter(|entry| entry.kind == Kind::Companion)
            .map(|entry| (entry.name, entry.addresses))
            .collect()
    }

    fn tiers(&self) -> [&Tier; 3] {
        [&self.functions, &self.companions, &self.brokers]
    }

    async fn stop(&self, order: Order) {
        self.settle().await;
        if let Ok(mut rescuer) = self.rescuer.lock() {
            *rescuer = None;
        }
        for tier in self.tiers() {
            tier.order(order);
            tier.ended().await;
        }
        // The file goes before the lock, so that the next run never loses its own.
        if let Ok(mut lock) = self.lock.lock()
            && lock.is_some()
        {
            self.board.remove();
            *lock = None;
        }
    }
}
