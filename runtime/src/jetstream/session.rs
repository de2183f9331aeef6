//! A function's connection to the broker, from its opening to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use crate::core::broker::Stream;
use crate::jetstream::api::{ApiError, Caller, RequestFailed, request};
use crate::jetstream::broker::{AckWait, JetStream};
use crate::jetstream::connect::{ConnectError, Connection};
use crate::jetstream::link::Link;
use crate::jetstream::provision::{ProvisionError, Provisioned, provision};
use crate::jetstream::pull::PullLane;
use crate::jetstream::taking::Taking;
use crate::jetstream::unreadable::{NotLookedThrough, bury_what_cannot_be_read};
use crate::jetstream::user::User;
use crate::permissions::Permissions;
use crate::telemetry::meter::Backlog;
use crate::topology::{self, Topology};

/// How long a look at the broker may take before it counts as not answering.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// The broker's code that means: there is no such consumer.
const CONSUMER_NOT_FOUND: u64 = 10014;
/// The broker's code that means: there is no such stream.
const STREAM_NOT_FOUND: u64 = 10059;

/// One connection, and what a function does with it.
#[derive(Debug)]
pub(crate) struct Session {
    caller: Caller,
    ack_wait: AckWait,
    taking: Arc<Taking>,
}

/// What a function needs at the broker and does not find, and what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    #[error(
        "the consumer {durable} on {stream} is not there, and nothing is delivered without it: a replica that starts with \
         JETLAG_PROVISION=true makes it, and this process goes on by itself then"
    )]
    Consumer { durable: String, stream: &'static str },
    #[error(
        "the stream {stream} is not there, nor is what was in it: restore it from a copy, or start a replica with \
         JETLAG_PROVISION=true, which makes it empty; this process goes on by itself then"
    )]
    Stream { stream: &'static str },
    #[error("JetStream does not answer: {0}")]
    Answer(String),
    #[error(
        "JetStream takes nothing: {0}; look at the server's log and disk: a stream that could not be written to takes nothing \
         until its server is started again"
    )]
    Takes(String),
}

/// Why a connection can be of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Over {
    /// The broker denies what the function needs.
    Denied(String),
    /// The client has ended, without being asked to: it met something that it cannot read.
    Dead,
}

/// A consumer that is there.
#[derive(Debug, Clone, Copy)]
struct Found {
    stream: &'static str,
    /// How long it waits for a sign of work.
    ack_wait: Option<Duration>,
    backlog: Backlog,
}

/// How much of a stream is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) bytes: u64,
    /// `None` if the stream has no limit.
    pub(crate) bytes_max: Option<u64>,
}

impl Session {
    /// Connects as the function `name`.
    pub(crate) async fn open(connection: &Connection, name: &str) -> Result<Self, ConnectError> {
        let caller = connection.open(name).await?;
        Ok(Self { caller, ack_wait: AckWait::default(), taking: Arc::default() })
    }

    /// What of `needed` the broker will not let this user do, in a sentence, as far as the broker tells.
    pub(crate) async fn lacks(&self, needed: &Permissions) -> Option<String> {
        User::ask(&self.caller).await?.lacks(needed)
    }

    /// What the broker has denied this user, if it has.
    pub(crate) fn denied(&self) -> Option<String> {
        self.caller.denied()
    }

    /// Makes `topology` true.
    pub(crate) async fn provision(&self, topology: &Topology) -> Result<Provisioned, ProvisionError> {
        provision(&self.caller, topology).await
    }

    /// Whether what is published is taken, as far as it was tried of late.
    pub(crate) fn takes(&self) -> Result<(), Missing> {
        self.taking.trouble(Instant::now()).map_or(Ok(()), |why| Err(Missing::Takes(why)))
    }

    /// Whether the function's consumers are there, or what is not; the answer takes 3 s at most. The broker tells how long
    /// they wait for a sign of work, and the least of that holds from then on. Gives how far each is.
    pub(crate) async fn consumers_there(
        &self,
        durable: &str,
        lanes: &[(Stream, usize)],
    ) -> Result<Vec<(&'static str, Backlog)>, Missing> {
        let looks = lanes.iter().map(|(stream, _)| self.consumer_there(durable, JetStream::name(*stream)));
        let found: Vec<Found> =
            futures::future::join_all(looks).await.into_iter().collect::<Result<_, _>>()?;
        if let Some(least) = found.iter().filter_map(|consumer| consumer.ack_wait).min() {
            self.ack_wait.set(least);
        }
        Ok(found.into_iter().map(|consumer| (consumer.stream, consumer.backlog)).collect())
    }

    async fn consumer_there(&self, durable: &str, stream: &'static str) -> Result<Found, Missing> {
        match self.look(&format!("$JS.API.CONSUMER.INFO.{stream}.{durable}")).await? {
            Ok(info) => {
                let number = |path: &str| info.pointer(path).and_then(Value::as_u64);
                let count = |path: &str| number(path).unwrap_or_default();
                Ok(Found {
                    stream,
                    ack_wait: number("/config/ack_wait").map(Duration::from_nanos),
                    backlog: Backlog {
                        pending: count("/num_pending"),
                        unanswered: count("/num_ack_pending"),
                        redelivered: count("/num_redelivered"),
                        pulls: count("/num_waiting"),
                    },
                })
            }
            Err(error) if error.err_code == CONSUMER_NOT_FOUND => {
                Err(Missing::Consumer { durable: durable.into(), stream })
            }
            Err(error) if error.err_code == STREAM_NOT_FOUND => Err(Missing::Stream { stream }),
            Err(error) => Err(Missing::Answer(error.to_string())),
        }
    }

    /// How much of the stream of events is taken.
    pub(crate) async fn events_fill(&self) -> Result<Fill, Missing> {
        let info = self.look(&format!("$JS.API.STREAM.INFO.{}", topology::EVENTS)).await?;
        let info = info.map_err(|error| Missing::Answer(error.to_string()))?;
        let number = |pointer: &str| info.pointer(pointer).and_then(Value::as_u64);
        Ok(Fill {
            bytes: number("/state/bytes").unwrap_or_default(),
            // -1, which is no u64, means that there is no limit.
            bytes_max: number("/config/max_bytes").filter(|most| *most > 0),
        })
    }

    async fn look(&self, subject: &str) -> Result<Result<Value, ApiError>, Missing> {
        let asked = request(&self.caller, subject, None, Bytes::new());
        let answer = tokio::time::timeout(LOOK_TIMEOUT, asked).await.unwrap_or_else(|_| {
            let why = format!("nothing within {LOOK_TIMEOUT:?}");
            Err(RequestFailed::NoAnswer { subject: subject.into(), why })
        });
        let answer = answer.map_err(|failed| Missing::Answer(failed.to_string()))?;
        let odd = |error: serde_json::Error| Missing::Answer(format!("an odd answer on {subject}: {error}"));
        let json: Value = serde_json::from_slice(&answer.payload).map_err(odd)?;
        match json.get("error") {
            None => Ok(Ok(json)),
            Some(error) => Ok(Err(serde_json::from_value(error.clone()).map_err(odd)?)),
        }
    }

    pub(crate) fn broker(&self) -> JetStream {
        let broker = JetStream::new(self.caller.clone()).with_ack_wait(self.ack_wait.clone());
        broker.noting(Arc::clone(&self.taking))
    }

    pub(crate) async fn lane(&self, stream: Stream, durable: &str) -> Result<PullLane, ConnectError> {
        PullLane::open(self.caller.client.clone(), stream, durable, self.caller.link.clone()).await
    }

    pub(crate) fn link(&self) -> watch::Receiver<Link> {
        self.caller.link.clone()
    }

    /// Waits until the broker denies something, or the client is dead.
    pub(crate) async fn over(&self) -> Over {
        let mut link = self.caller.link.clone();
        loop {
            if let Link::Denied(why) = &*link.borrow_and_update() {
                return Over::Denied(why.clone());
            }
            if link.changed().await.is_err() {
                return Over::Dead;
            }
        }
    }

    /// Buries what the function was given, has not answered, and never can, as its headers are unreadable: the client ends
    /// its connection, or itself, at them, and would at each redelivery.
    pub(crate) async fn bury_what_cannot_be_read(
        &self,
        function: &'static str,
        lanes: &[(Stream, usize)],
    ) -> Result<usize, NotLookedThrough> {
        let broker = self.broker();
        let mut buried = 0;
        for (stream, _) in lanes {
            buried += bury_what_cannot_be_read(&broker, function, *stream).await?;
        }
        Ok(buried)
    }

    /// Sends what is still to be sent, within `most`: the last answers to the broker among it. It has read them once it
    /// answers a question that was asked after them; what has only been written may be lost with the process.
    pub(crate) async fn close(&self, most: Duration, durable: &str, lanes: &[(Stream, usize)]) {
        let sending = async {
            let sent = self.caller.client.flush().await.is_ok();
            sent && !matches!(self.consumers_there(durable, lanes).await, Err(Missing::Answer(_)))
        };
        if !matches!(tokio::time::timeout(most, sending).await, Ok(true)) {
            tracing::warn!("the last answers may not have reached the broker");
        }
    }
}
