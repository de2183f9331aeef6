//! The real broker in the hands of a property: streams and consumers as the runtime makes them, in an account of their
//! own.

use std::cell::Cell;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;

use crate::Source;
use crate::core::broker::{Broker, Message, PublishError, Stream};
use crate::description::{Description, Kind, RetryDescription, ScalingDescription};
use crate::jetstream::api::{Caller, request};
use crate::jetstream::broker::JetStream;
use crate::jetstream::link::Link;
use crate::jetstream::provision::provision;
use crate::jetstream::pull::PullLane;
use crate::testing::conformance::rig::{Check, Consumer, Lag, Rig, Settings, eventually, message};
use crate::topology::{ConsumerSpec, Sizing, Topology};

/// How long a request for inputs stands: no test waits half a minute for one to expire.
const EXPIRES: Duration = Duration::from_secs(2);
/// The payloads that a stream is filled up with, from the largest on; the last leave no room for anything.
const FILLERS: [usize; 4] = [60_000, 4_000, 300, 0];
/// How many of one size a stream is filled with at most.
const FILLERS_MAX: u32 = 10_000;

/// One account of a real broker.
pub(crate) struct RealRig {
    url: String,
    account: String,
    replicas: u8,
    caller: Caller,
    link: watch::Sender<Link>,
    connections: Cell<usize>,
}

impl RealRig {
    /// The account `account` of the servers at `url`.
    pub(crate) async fn open(url: &str, account: &str, replicas: u8) -> Result<Self, String> {
        let caller = Caller::unwatched(connect(url, account, 0).await?);
        let (url, account) = (url.to_owned(), account.to_owned());
        // A cluster that has just started has no leader yet.
        eventually("JetStream", async || {
            request(&caller, "$JS.API.INFO", None, Bytes::new()).await.map(drop).map_err(|e| e.to_string())
        })
        .await?;
        Ok(Self {
            url,
            account,
            replicas,
            caller,
            link: watch::Sender::new(Link::Up),
            connections: Cell::new(0),
        })
    }

    /// A client at the next server, so that what one tells is looked at by another.
    async fn another(&self) -> Result<Client, String> {
        self.connections.set(self.connections.get() + 1);
        connect(&self.url, &self.account, self.connections.get()).await
    }

    fn topology(&self, settings: Settings) -> Topology {
        let kind = |name: &str| Kind {
            name: name.into(),
            aggregate: "thing".into(),
            once_per_aggregate: false,
            example: None,
        };
        let description = |reads| Description {
            name: "f".into(),
            version: "1".into(),
            summary: "A function of a property.".into(),
            reads,
            listens_to: vec![kind("a.b"), kind("c.d"), kind("e.f")],
            emits: vec![],
            admits: vec![kind("x.y")],
            keeps: vec![],
            retry: RetryDescription { first_delay_ms: 1, max_delay_ms: 1, max_attempts: 1 },
            time_limit_ms: 1,
            concurrency: 1,
            batch: 1,
            breaker: None,
            scaling: ScalingDescription::default(),
            trigger: crate::Trigger::Stream,
            endpoints: vec![],
            views: vec![],
            variables: vec![],
        };
        let sizing = Sizing {
            replicas: self.replicas,
            horizon: settings.horizon,
            events_bytes_max: settings.events_bytes_max,
            ..Sizing::default()
        };
        Topology::of(&[description(Source::Events), description(Source::Audit)], &sizing)
    }

    async fn ask(&self, subject: &str) -> Result<Value, String> {
        let answer = request(&self.caller, subject, None, Bytes::new()).await.map_err(|e| e.to_string())?;
        let json: Value = serde_json::from_slice(&answer.payload).map_err(|e| e.to_string())?;
        json.get("error").map_or_else(|| Ok(json.clone()), |error| Err(format!("{subject}: {error}")))
    }
}

impl Rig for RealRig {
    type Receipt = Arc<str>;
    type Broker = JetStream;
    type Lane = PullLane;

    fn replicas(&self) -> u8 {
        self.replicas
    }

    async fn provide(&self, streams: &[Stream], settings: Settings) -> Check {
        let mut topology = self.topology(settings);
        topology.streams.retain(|spec| streams.iter().any(|stream| JetStream::name(*stream) == spec.name));
        topology.consumers.clear();
        provision(&self.caller, &topology).await.map(drop).map_err(|error| format!("{error:?}"))
    }

    async fn subscribe(&self, consumer: &Consumer) -> Check {
        let stream = JetStream::name(consumer.stream);
        let mut topology = self.topology(Settings::default());
        topology.streams.clear();
        topology.consumers.retain(|spec| spec.stream == stream);
        let Some(ConsumerSpec { config, durable, .. }) = topology.consumers.first_mut() else {
            return Err(format!("the runtime makes no consumer on {stream}"));
        };
        consumer.name.clone_into(durable);
        for (field, value) in [
            ("durable_name", Value::from(consumer.name)),
            ("filter_subjects", Value::from(consumer.filters)),
            ("ack_wait", Value::from(u64::try_from(consumer.ack_wait.as_nanos()).unwrap_or(u64::MAX))),
            ("max_ack_pending", Value::from(consumer.held_max)),
        ] {
            if let Some(object) = config.as_object_mut() {
                object.insert(field.into(), value);
            }
        }
        topology.consumers.truncate(1);
        provision(&self.caller, &topology).await.map(drop).map_err(|error| format!("{error:?}"))
    }

    async fn connect(&self) -> Result<JetStream, String> {
        Ok(JetStream::new(Caller::unwatched(self.another().await?)))
    }

    async fn lane(&self, consumer: &Consumer) -> Result<PullLane, String> {
        let client = self.another().await?;
        let lane = PullLane::open(client, consumer.stream, consumer.name, self.link.subscribe()).await;
        Ok(lane.map_err(|error| format!("{error:?}"))?.expiring(EXPIRES))
    }

    async fn lag(&self, consumer: &Consumer) -> Result<Lag, String> {
        let stream = JetStream::name(consumer.stream);
        let info = self.ask(&format!("$JS.API.CONSUMER.INFO.{stream}.{}", consumer.name)).await?;
        let number = |name: &str| info.get(name).and_then(Value::as_u64).unwrap_or_default();
        Ok(Lag { undelivered: number("num_pending"), unanswered: number("num_ack_pending") })
    }

    async fn remove(&self, consumer: &Consumer) -> Check {
        let stream = JetStream::name(consumer.stream);
        self.ask(&format!("$JS.API.CONSUMER.DELETE.{stream}.{}", consumer.name)).await.map(drop)
    }

    async fn count(&self, stream: Stream) -> Result<u64, String> {
        let info = self.ask(&format!("$JS.API.STREAM.INFO.{}", JetStream::name(stream))).await?;
        Ok(info.pointer("/state/messages").and_then(Value::as_u64).unwrap_or_default())
    }

    async fn fill(&self) -> Check {
        let broker = JetStream::new(self.caller.clone());
        for size in FILLERS {
            let mut number = 0;
            loop {
                let filler =
                    Message { payload: vec![b'x'; size].into(), ..message(&format!("a.b.{size}.{number}")) };
                match broker.publish(Stream::Events, vec![filler]).await {
                    Ok(_) if number < FILLERS_MAX => number += 1,
                    Ok(_) => return Err(format!("{number} messages of {size} bytes do not fill it")),
                    Err(PublishError::Full) => break,
                    Err(error) => return Err(error.to_string()),
                }
            }
        }
        Ok(())
    }
}

async fn connect(url: &str, account: &str, turn: usize) -> Result<Client, String> {
    let servers: Vec<&str> = url.split(',').collect();
    let first = servers.get(turn % servers.len().max(1)).copied().unwrap_or(url);
    ConnectOptions::with_user_and_password(account.to_owned(), account.to_owned())
        .name("conformance")
        .custom_inbox_prefix("_INBOX_conformance")
        .connect(first)
        .await
        .map_err(|error| format!("no connection to {first}: {error}"))
}
