//! A function's connection to the broker, from its opening to its end.

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use tokio::sync::watch;

use crate::core::broker::Stream;
use crate::jetstream::api::request;
use crate::jetstream::broker::{AckWait, JetStream};
use crate::jetstream::connect::{ConnectError, Connection, Link};
use crate::jetstream::provision::{ProvisionError, Provisioned, provision};
use crate::jetstream::pull::PullLane;
use crate::topology::Topology;

/// One connection, and what a function does with it.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    link: watch::Receiver<Link>,
    ack_wait: AckWait,
}

impl Session {
    /// Connects as the function `name`.
    pub(crate) async fn open(connection: &Connection, name: &str) -> Result<Self, ConnectError> {
        let (client, link) = connection.open(name).await?;
        Ok(Self { client, link, ack_wait: AckWait::default() })
    }

    /// Makes `topology` true.
    pub(crate) async fn provision(&self, topology: &Topology) -> Result<Provisioned, ProvisionError> {
        provision(&self.client, topology).await
    }

    /// Whether the function's consumers are there, or which one is not. The broker tells how long they wait for a sign of
    /// work, and the least of that holds from then on.
    pub(crate) async fn consumers_there(
        &self,
        durable: &str,
        lanes: &[(Stream, usize)],
    ) -> Result<(), String> {
        let mut ack_wait_ns = Vec::with_capacity(lanes.len());
        for (stream, _) in lanes {
            let stream = JetStream::name(*stream);
            let subject = format!("$JS.API.CONSUMER.INFO.{stream}.{durable}");
            let answer =
                request(&self.client, &subject, None, Bytes::new()).await.map_err(|e| e.to_string())?;
            let json: serde_json::Value =
                serde_json::from_slice(&answer.payload).map_err(|e| e.to_string())?;
            if let Some(error) = json.get("error") {
                return Err(format!("no consumer {durable} on {stream}: {error}"));
            }
            ack_wait_ns.extend(json.pointer("/config/ack_wait").and_then(serde_json::Value::as_u64));
        }
        if let Some(least) = ack_wait_ns.into_iter().min() {
            self.ack_wait.set(Duration::from_nanos(least));
        }
        Ok(())
    }

    pub(crate) fn broker(&self) -> JetStream {
        JetStream::new(self.client.clone()).with_ack_wait(self.ack_wait.clone())
    }

    pub(crate) async fn lane(&self, stream: Stream, durable: &str) -> Result<PullLane, ConnectError> {
        PullLane::open(self.client.clone(), stream, durable, self.link.clone()).await
    }

    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Sends what is still to be sent, within `most`: the last answers to the broker among it.
    pub(crate) async fn close(&self, most: Duration) {
        if !matches!(tokio::time::timeout(most, self.client.flush()).await, Ok(Ok(()))) {
            tracing::warn!("the last answers may not have reached the broker");
        }
    }
}
