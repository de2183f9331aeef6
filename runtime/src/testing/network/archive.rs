//! Looking through the simulated broker's streams, as one who looks after functions does.

use crate::core::broker::{Archive, Kept, Stream};
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::testing::network::connection::Connection;

/// How many messages come at a time: few, so that there is more than one page.
const PAGE: usize = 4;

impl Archive for Connection {
    async fn page(&self, stream: Stream, filter: &Subject, from: u64) -> Result<Vec<Kept>, Unavailable> {
        self.step().await;
        let page = self.network.lock().page(self.network.now(), stream, filter, from, PAGE);
        self.pause().await;
        page
    }

    async fn remove(&self, stream: Stream, sequence: u64) -> Result<(), Unavailable> {
        self.step().await;
        let removed = self.network.lock().remove(self.network.now(), &self.life, stream, sequence);
        self.network.news.notify_one();
        self.pause().await;
        removed
    }
}

impl Connection {
    /// The way to the broker and back.
    async fn pause(&self) {
        let time = self.network.lock().latency();
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        self.step().await;
    }
}
