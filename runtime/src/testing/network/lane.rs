//! A process's way to the inputs of one consumer.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::core::broker::{Delivery, Lane, Pulled};
use crate::memory::server::Receipt;
use crate::testing::network::connection::Connection;
use crate::testing::network::parcel::Arrival;

/// How long a process waits for a sign that its request for inputs stands.
const SILENCE_MAX: Duration = Duration::from_secs(12);
/// How long a lane that closes waits for what is on its way.
const CLOSING_MAX: Duration = Duration::from_millis(50);

/// A lane.
pub(crate) struct NetworkLane {
    connection: Connection,
    consumer: usize,
    number: u64,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    /// How much of each request has not come.
    asked: BTreeMap<u64, usize>,
    /// When the broker was last heard, or asked: kept here, since whoever waits for the next input may stop waiting.
    heard: Instant,
}

impl NetworkLane {
    /// Opens a lane from `consumer`, whose inputs the process holds `most` of at a time.
    pub(crate) fn open(connection: Connection, consumer: usize, most: usize) -> Self {
        let (number, arrivals) = connection.network.open_lane(&connection.life, consumer, most);
        Self { connection, consumer, number, arrivals, asked: BTreeMap::new(), heard: Instant::now() }
    }

    fn take_in(&mut self, arrival: Arrival) -> Option<Pulled<Receipt>> {
        match arrival {
            Arrival::Input { request, delivery } => {
                if let Some(left) = self.asked.get_mut(&request) {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        self.asked.remove(&request);
                    }
                }
                Some(Pulled::Delivery(delivery))
            }
            Arrival::Expired { request } => self.asked.remove(&request).map(Pulled::Expired),
            Arrival::Silence => {
                self.asked.clear();
                Some(Pulled::Lost)
            }
        }
    }
}

impl Lane<Receipt> for NetworkLane {
    async fn request(&mut self, credit: usize) {
        self.connection.step().await;
        let request = self.connection.network.pull(self.consumer, self.number, credit);
        if self.asked.is_empty() {
            self.heard = Instant::now();
        }
        self.asked.insert(request, credit);
    }

    async fn next(&mut self) -> Pulled<Receipt> {
        loop {
            self.connection.step().await;
            let arrival = if self.asked.is_empty() {
                self.arrivals.recv().await
            } else {
                match timeout_at(self.heard + SILENCE_MAX, self.arrivals.recv()).await {
                    Ok(arrival) => arrival,
                    // The broker sends signs of life for as long as a request stands.
                    Err(_) if self.connection.network.stands(self.consumer, self.number) => {
                        self.heard = Instant::now();
                        continue;
                    }
                    Err(_) => Some(Arrival::Silence),
                }
            };
            let Some(arrival) = arrival else { return pending().await };
            self.heard = Instant::now();
            if let Some(pulled) = self.take_in(arrival) {
                return pulled;
            }
        }
    }

    async fn close(mut self) -> Vec<Delivery<Receipt>> {
        self.connection.step().await;
        self.connection.network.disconnect(self.number);
        let mut left = Vec::new();
        let rest = async {
            while let Some(arrival) = self.arrivals.recv().await {
                if let Some(Pulled::Delivery(delivery)) = self.take_in(arrival) {
                    left.push(*delivery);
                }
            }
        };
        // What comes later than this is delivered again after a while.
        let _ = tokio::time::timeout(CLOSING_MAX, rest).await;
        self.connection.step().await;
        left
    }
}
