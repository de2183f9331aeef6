//! What an operator and the command line do with the broker: provision, look, read, and publish from outside.

use std::time::Duration;

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::jetstream::api::{Caller, RequestFailed, request};
use crate::jetstream::broker::{JetStream, stored};
use crate::jetstream::connect::{ConnectError, Connection};
use crate::jetstream::link::Link;
use crate::jetstream::provision::{ProvisionError, Provisioned, provision};
use crate::permissions;
use crate::topology::Topology;

/// How many messages are asked for at a time. The server ends a batch sooner, at about 7 MB; what each costs it is to count
/// the subjects that are left: over a second with 700,000 of them, however few messages are asked for.
const READ_BATCH: usize = 10_000;
/// How long the broker has for one batch of messages.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The broker's codes that mean: there is no such message.
const NOT_THERE: [u64; 2] = [10037, 10043];

/// A connection for looking at streams and changing them.
#[derive(Debug, Clone)]
pub struct Operator {
    caller: Caller,
}

/// Why something could not be looked at or done.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The broker does not answer.
    #[error("the broker does not answer: {0}")]
    NoAnswer(String),
    /// The broker refuses.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// The broker denies this user something.
    #[error("{0}")]
    Denied(String),
}

impl From<RequestFailed> for OperatorError {
    fn from(failed: RequestFailed) -> Self {
        match failed {
            RequestFailed::Denied(why) => Self::Denied(why),
            failed => Self::NoAnswer(failed.to_string()),
        }
    }
}

/// A message as it is stored.
#[derive(Debug, Clone)]
pub struct ReadMessage {
    /// Its subject; in a stream with sources, the one it has there.
    pub subject: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the broker stored it.
    pub stored_at: OffsetDateTime,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its bytes.
    pub payload: Bytes,
}

impl ReadMessage {
    /// The value of the header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// How much a stream, or a consumer on it, holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct StreamState {
    /// Messages in the stream.
    pub messages: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The sequence of its last message.
    pub last_sequence: u64,
}

impl Operator {
    /// Connects as the operator.
    ///
    /// # Errors
    /// Nobody answers, the user is refused, or the server is too old.
    pub async fn connect(connection: &Connection) -> Result<Self, ConnectError> {
        Self::connect_as(connection, permissions::OPERATOR).await
    }

    /// Connects as `user`, one of [`OPERATIONS`](permissions::OPERATIONS): under this name the broker lists the connection,
    /// and it hears answers in this user's inbox and in no other.
    ///
    /// # Errors
    /// Nobody answers, the user is refused, or the server is too old.
    pub async fn connect_as(connection: &Connection, user: &str) -> Result<Self, ConnectError> {
        Ok(Self { caller: connection.open(user).await? })
    }

    /// What the broker has denied this user, if it has: nothing that is asked for is answered then.
    pub fn denied(&self) -> Option<String> {
        self.caller.denied()
    }

    /// Makes `topology` true: what is missing is made.
    ///
    /// # Errors
    /// Something is there and differs, or the broker refuses or does not answer.
    pub async fn provision(&self, topology: &Topology) -> Result<Provisioned, ProvisionError> {
        provision(&self.caller, topology).await
    }

    /// How much `stream` holds.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn stream_state(&self, stream: &str) -> Result<StreamState, OperatorError> {
        let info = self.ask(&format!("$JS.API.STREAM.INFO.{stream}")).await?;
        let number =
            |name: &str| info.pointer(&format!("/state/{name}")).and_then(Value::as_u64).unwrap_or_default();
        Ok(StreamState {
            messages: number("messages"),
            bytes: number("bytes"),
            last_sequence: number("last_seq"),
        })
    }

    /// Inputs that the consumer `durable` on `stream` has not delivered, and those it waits for an answer to: the lag.
    ///
    /// # Errors
    /// There is no such consumer, or no answer.
    pub async fn lag(&self, stream: &str, durable: &str) -> Result<(u64, u64), OperatorError> {
        let info = self.ask(&format!("$JS.API.CONSUMER.INFO.{stream}.{durable}")).await?;
        let number = |name: &str| info.get(name).and_then(Value::as_u64).unwrap_or_default();
        Ok((number("num_pending"), number("num_ack_pending")))
    }

    /// Every message of `stream` on a subject that matches `filter`, from the sequence `from` on, oldest first, up to the
    /// last one that is there now.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn read(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
    ) -> Result<Vec<ReadMessage>, OperatorError> {
        let mut messages = Vec::new();
        let mut next = from.max(1);
        loop {
            let batch = read_batch(&self.caller, stream, filter, next).await?;
            let Some(last) = batch.last() else { return Ok(messages) };
            next = last.sequence + 1;
            messages.extend(batch);
        }
    }

    /// The next messages of `stream` on a subject that matches `filter`, from the sequence `from` on: as many as come at
    /// a time, and none if there are no more. For a stream that may be longer than memory.
    ///
    /// # Errors
    /// There is no such stream, or no answer.
    pub async fn page(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
    ) -> Result<Vec<ReadMessage>, OperatorError> {
        read_batch(&self.caller, stream, filter, from.max(1)).await
    }

    /// Publishes `payload` as a publisher outside does, with a message id for the broker to recognise repetitions by.
    ///
    /// # Errors
    /// No stream takes the subject, or no answer.
    pub async fn publish(
        &self,
        subject: &str,
        message_id: &str,
        payload: Bytes,
    ) -> Result<(), OperatorError> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", message_id);
        let answer = request(&self.caller, subject, Some(headers), payload).await;
        refused(&answer?.payload).map(drop)
    }

    /// Publishes `payload` with `headers`, as a publisher outside may that writes whatever it likes.
    ///
    /// # Errors
    /// A header's value has a line break, no stream takes the subject, the stream refuses, or no answer.
    pub async fn publish_with(
        &self,
        subject: &str,
        headers: &[(&str, &str)],
        payload: Bytes,
    ) -> Result<(), OperatorError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value: HeaderValue = value
                .parse()
                .map_err(|_| OperatorError::Refused(format!("the header {name} has a line break")))?;
            map.append(*name, value);
        }
        let answer = request(&self.caller, subject, Some(map), payload).await;
        refused(&answer?.payload).map(drop)
    }

    pub(super) fn broker(&self) -> JetStream {
        JetStream::new(self.caller.clone())
    }

    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Deletes one message; one that is not there is no error.
    pub(super) async fn delete(&self, stream: &str, sequence: u64) -> Result<(), OperatorError> {
        delete(&self.caller, stream, sequence).await
    }

    /// The state of the connection, to be told of changes from now on: that it was opened is no change.
    pub(super) fn link(&self) -> watch::Receiver<Link> {
        let mut link = self.caller.link.clone();
        link.mark_unchanged();
        link
    }

    /// Waits until the broker denies this user something.
    pub(super) async fn denial(&self) -> String {
        let mut link = self.link();
        loop {
            if let Some(why) = self.denied() {
                return why;
            }
            if link.changed().await.is_err() {
                // The client has ended, which whoever waits for an answer is told in another way.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) async fn ask(&self, subject: &str) -> Result<Value, OperatorError> {
        self.ask_with(subject, &Value::Null).await
    }

    pub(super) async fn ask_with(&self, subject: &str, what: &Value) -> Result<Value, OperatorError> {
        let payload = if what.is_null() { Bytes::new() } else { what.to_string().into() };
        let answer = request(&self.caller, subject, None, payload).await;
        refused(&answer?.payload)
    }
}

/// The next messages of `stream` that `filter` covers, from the sequence `from` on.
pub(super) async fn read_batch(
    caller: &Caller,
    stream: &str,
    filter: &str,
    from: u64,
) -> Result<Vec<ReadMessage>, OperatorError> {
    read_some(caller, stream, filter, from, READ_BATCH).await
}

/// The next `most` messages of `stream` that `filter` covers, from the sequence `from` on.
pub(super) async fn read_some(
    caller: &Caller,
    stream: &str,
    filter: &str,
    from: u64,
    most: usize,
) -> Result<Vec<ReadMessage>, OperatorError> {
    let ask = serde_json::json!({"batch": most, "seq": from, "next_by_subj": filter});
    Ok(gather(caller, stream, &ask).await?.0)
}

/// The messages of `stream` that the broker sends for `ask`, up to the end of the batch, and how many more there are.
pub(super) async fn gather(
    caller: &Caller,
    stream: &str,
    ask: &Value,
) -> Result<(Vec<ReadMessage>, u64), OperatorError> {
    let no_answer = |why: &dyn std::fmt::Display| OperatorError::NoAnswer(why.to_string());
    let client = &caller.client;
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| no_answer(&error))?;
    let subject = format!("$JS.API.DIRECT.GET.{stream}");
    client
        .publish_with_reply(subject.clone(), inbox, ask.to_string().into())
        .await
        .map_err(|error| no_answer(&error))?;
    let collect = async {
        let (mut messages, mut left) = (Vec::new(), 0);
        while let Some(message) = answers.next().await {
            let header = |name| message.headers.as_ref().and_then(|headers| headers.get(name));
            left = header("Nats-Num-Pending").and_then(|text| text.as_str().parse().ok()).unwrap_or(left);
            match message.status.map(|status| status.as_u16()) {
                // The end of the batch, or nothing that matches.
                Some(204 | 404) => return Ok((messages, left)),
                Some(503) => return Err(no_answer(&format!("is there a stream {stream}?"))),
                _ => {}
            }
            messages.extend(read_message(message)?);
        }
        Ok((messages, left))
    };
    tokio::select! {
        biased;
        collected = tokio::time::timeout(READ_TIMEOUT, collect) => collected
            .map_err(|_| no_answer(&format!("no end of a batch of {stream} within {READ_TIMEOUT:?}")))?,
        why = caller.denial(&subject) => Err(OperatorError::Denied(why)),
    }
}

/// A message as a direct answer has it; nothing if there is none.
pub(super) fn read_message(message: async_nats::Message) -> Result<Option<ReadMessage>, OperatorError> {
    let stored_at =
        message.headers.as_ref().and_then(|headers| headers.get("Nats-Time-Stamp")).and_then(|text| {
            OffsetDateTime::parse(text.as_str(), &time::format_description::well_known::Rfc3339).ok()
        });
    let stored = stored(message).map_err(|error| OperatorError::NoAnswer(error.to_string()))?;
    Ok(stored.map(|stored| ReadMessage {
        subject: stored.subject.to_string(),
        sequence: stored.sequence,
        stored_at: stored_at.unwrap_or(OffsetDateTime::UNIX_EPOCH),
        headers: stored.headers,
        payload: stored.payload,
    }))
}

/// Deletes one message; one that is not there is no error.
pub(super) async fn delete(caller: &Caller, stream: &str, sequence: u64) -> Result<(), OperatorError> {
    let subject = format!("$JS.API.STREAM.MSG.DELETE.{stream}");
    let ask = serde_json::json!({"seq": sequence, "no_erase": true}).to_string();
    let answer = request(caller, &subject, None, ask.into()).await?;
    let json: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    let code = json.pointer("/error/err_code").and_then(Value::as_u64);
    if code.is_some_and(|code| NOT_THERE.contains(&code)) {
        return Ok(());
    }
    refused(&answer.payload).map(drop)
}

fn refused(json: &[u8]) -> Result<Value, OperatorError> {
    let answer: Value = serde_json::from_slice(json)
        .map_err(|error| OperatorError::NoAnswer(format!("an odd answer: {error}")))?;
    match answer.get("error") {
        None => Ok(answer),
        Some(error) => Err(OperatorError::Refused(error.to_string())),
    }
}
