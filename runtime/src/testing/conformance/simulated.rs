//! The simulated broker, in calm weather, in the hands of a property.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::core::broker::Stream;
use crate::memory::server::Receipt;
use crate::testing::Dice;
use crate::testing::conformance::rig::{Check, Consumer, Lag, Rig, Settings};
use crate::testing::journal::Journal;
use crate::testing::network::Network;
use crate::testing::network::connection::{Connection, Life};
use crate::testing::network::lane::NetworkLane;
use crate::testing::network::wire::Wire;
use crate::testing::weather::Weather;

/// How long the network sleeps at most if nothing is under way.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// A broker in memory and the network before it.
pub(crate) struct Simulated {
    network: Arc<Network>,
    /// The numbers of the consumers.
    consumers: RefCell<BTreeMap<&'static str, usize>>,
    connections: Cell<u32>,
    _turning: AbortOnDropHandle<()>,
}

impl Simulated {
    /// An empty one. To be called within a tokio runtime whose time is paused.
    pub(crate) fn new() -> Self {
        let wire = Wire::new(Dice::of_seed(1), Weather::calm(), Journal::new(false));
        let network = Arc::new(Network::new(wire));
        let turning = tokio::spawn({
            let network = Arc::clone(&network);
            async move {
                loop {
                    let next = network.turn().unwrap_or_else(|| network.now() + SLEEP_MAX);
                    tokio::select! {
                        () = network.news.notified() => {}
                        () = tokio::time::sleep_until(network.moment(next)) => {}
                    }
                }
            }
        });
        Self {
            network,
            consumers: RefCell::default(),
            connections: Cell::default(),
            _turning: AbortOnDropHandle::new(turning),
        }
    }

    fn number(&self, consumer: &Consumer) -> Result<usize, String> {
        let number = self.consumers.borrow().get(consumer.name).copied();
        number.ok_or_else(|| format!("no consumer {}", consumer.name))
    }

    fn connection(&self) -> Connection {
        self.connections.set(self.connections.get() + 1);
        let life = Arc::new(Life::new(self.connections.get(), "f", time::Duration::ZERO));
        Connection { network: Arc::clone(&self.network), life }
    }
}

impl Rig for Simulated {
    type Receipt = Receipt;
    type Broker = Connection;
    type Lane = NetworkLane;

    fn replicas(&self) -> u8 {
        1
    }

    async fn provide(&self, _: &[Stream], settings: Settings) -> Check {
        self.network.lock().server.keep(Stream::Events, settings.horizon);
        Ok(())
    }

    async fn subscribe(&self, consumer: &Consumer) -> Check {
        let filters = consumer.filters.iter().map(|filter| super::rig::subject(filter)).collect();
        let mut wire = self.network.lock();
        let number = wire.server.subscribe(consumer.stream, filters, consumer.held_max);
        if let Some(made) = wire.server.consumer_mut(number) {
            made.ack_wait = consumer.ack_wait;
        }
        self.consumers.borrow_mut().insert(consumer.name, number);
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, String> {
        Ok(self.connection())
    }

    async fn lane(&self, consumer: &Consumer) -> Result<NetworkLane, String> {
        Ok(NetworkLane::open(self.connection(), self.number(consumer)?, usize::MAX))
    }

    async fn lag(&self, consumer: &Consumer) -> Result<Lag, String> {
        let number = self.number(consumer)?;
        let now = self.network.now();
        let mut wire = self.network.lock();
        wire.server.expire(now);
        let made = wire.server.consumer(number).ok_or("no such consumer")?;
        let undelivered = made.undelivered(wire.server.log(consumer.stream)) as u64;
        Ok(Lag { undelivered, unanswered: made.in_flight() as u64 })
    }

    async fn remove(&self, consumer: &Consumer) -> Check {
        let number = self.number(consumer)?;
        let mut wire = self.network.lock();
        if let Some(made) = wire.server.consumer_mut(number) {
            made.is_gone = true;
            made.disconnect_all();
        }
        Ok(())
    }

    async fn count(&self, stream: Stream) -> Result<u64, String> {
        let now = self.network.now();
        let mut wire = self.network.lock();
        wire.server.expire(now);
        Ok(wire.server.log(stream).count() as u64)
    }

    async fn fill(&self) -> Check {
        self.network.lock().server.is_full = true;
        Ok(())
    }
}
