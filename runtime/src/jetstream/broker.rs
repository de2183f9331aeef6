//! The real broker, as the core sees it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::header::{self, HeaderMap, HeaderName, HeaderValue};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessage;
use bytes::Bytes;
use futures::FutureExt;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as NotAValue;
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tracing::Instrument;

use crate::core::broker::{Broker, Keep, Message, PublishError, Stored, Stream};
use crate::jetstream::api::{ANSWER_TIMEOUT, ApiError, Caller, RequestFailed, request};
use crate::jetstream::link::Link;
use crate::jetstream::taking::Taking;
use crate::sequel::Sequel;
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::telemetry::spans;
use crate::{event, topology};

/// The broker's codes that mean: an expected sequence is not the last one.
const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];
/// The broker's codes that mean: the stream is at its limit.
const STREAM_FULL: [u64; 2] = [10077, 10023];

/// What the client has no name for.
const EXPECTED_SCOPE: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");

/// The broker's code that means: there is no such message.
const NO_MESSAGE: u64 = 10037;

/// JetStream over one connection.
#[derive(Debug, Clone)]
pub(crate) struct JetStream {
    caller: Caller,
    taking: Arc<Taking>,
    ack_wait: AckWait,
    /// How long the stream of events keeps messages. Asked for once, when it first matters.
    horizon: Arc<OnceCell<Duration>>,
}

/// How long the consumers of a function wait for a sign of work, as the broker told last.
#[derive(Debug, Clone)]
pub(crate) struct AckWait(Arc<AtomicU64>);

impl Default for AckWait {
    fn default() -> Self {
        let wait = Self(Arc::default());
        wait.set(topology::ACK_WAIT);
        wait
    }
}

impl AckWait {
    pub(crate) fn set(&self, wait: Duration) {
        self.0.store(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl JetStream {
    /// JetStream over the connection of `caller`.
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller, taking: Arc::default(), ack_wait: AckWait::default(), horizon: Arc::default() }
    }

    /// The same, and whether messages are taken is noted in `taking`.
    pub(super) fn noting(self, taking: Arc<Taking>) -> Self {
        Self { taking, ..self }
    }

    /// The same, with what the broker tells of its patience.
    pub(crate) fn with_ack_wait(self, ack_wait: AckWait) -> Self {
        Self { ack_wait, ..self }
    }

    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The name that `stream` has at the broker.
    pub(crate) const fn name(stream: Stream) -> &'static str {
        match stream {
            Stream::Events => topology::EVENTS,
            Stream::Retry => topology::RETRY,
            Stream::Intake => topology::INTAKE,
            Stream::DeadLetters => topology::DEAD_LETTERS,
            Stream::Audit => topology::AUDIT,
        }
    }

    /// Keeps for ever what is to stay longer than the stream of events keeps messages: the broker ends a message with its
    /// stream's `max_age`, whatever longer `Nats-TTL` it has, except `never`.
    async fn outlive_the_horizon(&self, messages: &mut [Message]) {
        // Not known: too long is the safe side.
        let horizon =
            self.horizon.get_or_try_init(|| self.ask_horizon()).await.map_or(Duration::ZERO, |known| *known);
        for message in messages {
            if let Keep::For(time) = message.keep
                && time > horizon
            {
                message.keep = Keep::Forever;
            }
        }
    }

    async fn ask_horizon(&self) -> Result<Duration, RequestFailed> {
        let subject = format!("$JS.API.STREAM.INFO.{}", topology::EVENTS);
        let answer = request(&self.caller, &subject, None, Bytes::new()).await?;
        let info: Option<serde_json::Value> = serde_json::from_slice(&answer.payload).ok();
        let age = info
            .as_ref()
            .and_then(|info| info.pointer("/config/max_age"))
            .and_then(serde_json::Value::as_u64);
        match age {
            Some(0) => Ok(Duration::MAX),
            Some(nanos) => Ok(Duration::from_nanos(nanos)),
            None => Err(RequestFailed::NoAnswer { subject, why: "no max_age in it".into() }),
        }
    }

    /// Unlike a direct read, which any replica answers as far as it has come, this one is answered by the leader.
    async fn ask_leader(
        &self,
        stream: Stream,
        ask: &serde_json::Value,
    ) -> Result<Option<Stored>, Unavailable> {
        self.connected().await.map_err(Unavailable)?;
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", Self::name(stream));
        let answer = request(&self.caller, &subject, None, ask.to_string().into()).await;
        stored_at_leader(&answer.map_err(|failed| Unavailable(failed.to_string()))?.payload)
    }

    /// Sends what is answered to nobody; a broker that takes nothing must not stop the process.
    async fn send(&self, subject: &str, payload: Bytes) {
        let mut sending = pin!(self.caller.client.publish(subject.to_owned(), payload));
        let sent = match sending.as_mut().now_or_never() {
            // There is room nearly always, and then no need of a clock.
            Some(sent) => Ok(sent),
            None => tokio::time::timeout(ANSWER_TIMEOUT, sending).await,
        };
        if !matches!(sent, Ok(Ok(()))) {
            // That the broker is away was said once, by whoever watches the connection.
            tracing::debug!(subject, "an answer did not reach the broker: the input will be delivered again");
        }
    }

    /// Waits for the connection, if it is lost, up to [`ANSWER_TIMEOUT`] after its loss: a short absence of the broker is
    /// waited out, and a long one is told at once. Without this the client would keep what it is given, and send it
    /// whenever it is connected again, long after everybody was told that it failed.
    async fn connected(&self) -> Result<(), String> {
        let Link::Down { since } = *self.caller.link.borrow() else { return Ok(()) };
        let mut link = self.caller.link.clone();
        // Boxed, as it is rare, and every publish would have room for it.
        let back = Box::pin(link.wait_for(|link| !link.is_down()));
        match tokio::time::timeout_at(since + ANSWER_TIMEOUT, back).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err("not connected to the broker".into()),
        }
    }

    async fn store(&self, mut messages: Vec<Message>) -> Result<u64, PublishError> {
        // Nothing was sent: there is nothing to be in doubt about.
        if self.caller.link.borrow().is_down() {
            Box::pin(self.connected()).await.map_err(PublishError::Rejected)?;
        }
        if messages.iter().any(|message| matches!(message.keep, Keep::For(_))) {
            Box::pin(self.outlive_the_horizon(&mut messages)).await;
        }
        match messages.len() {
            1 => match messages.pop() {
                Some(message) => self.publish_one(message, None).await,
                None => Err(PublishError::Rejected("nothing to publish".into())),
            },
            _ => Box::pin(self.publish_batch(messages)).await,
        }
    }

    async fn publish_one(&self, message: Message, batch: Option<HeaderMap>) -> Result<u64, PublishError> {
        let (subject, payload) = (message.subject.clone(), message.payload.clone());
        let headers = headers(message, batch);
        let answer = request(&self.caller, subject.as_str(), Some(headers), payload).await;
        let result = match answer {
            Ok(answer) => acknowledged(&answer.payload),
            // That says nothing about the broker.
            Err(failed @ RequestFailed::TooLarge { .. }) => {
                return Err(PublishError::Rejected(failed.to_string()));
            }
            // The second may be of an earlier message on this subject; then neither this one was taken.
            Err(failed @ (RequestFailed::NoResponders { .. } | RequestFailed::Denied(_))) => {
                Err(PublishError::Rejected(failed.to_string()))
            }
            Err(failed @ RequestFailed::NoAnswer { .. }) => Err(PublishError::Ambiguous(failed.to_string())),
        };
        self.taking.note(&result, Instant::now());
        result
    }

    async fn publish_batch(&self, mut messages: Vec<Message>) -> Result<u64, PublishError> {
        let Some(last) = messages.pop() else {
            return Err(PublishError::Rejected("nothing to publish".into()));
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let mut sequence = 0u64;
        let mut batch = |commit: bool| {
            sequence += 1;
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", id.as_str());
            headers.insert("Nats-Batch-Sequence", sequence.to_string());
            if commit {
                headers.insert("Nats-Batch-Commit", "1");
            }
            headers
        };
        for message in messages {
            let (subject, payload) = (message.subject.to_string(), message.payload.clone());
            let headers = headers(message, Some(batch(false)));
            let sent = self.caller.client.publish_with_headers(subject, headers, payload);
            match tokio::time::timeout(ANSWER_TIMEOUT, sent).await {
                Ok(Ok(())) => {}
                // The broker drops a batch that is never committed.
                Ok(Err(error)) => return Err(PublishError::Rejected(error.to_string())),
                Err(_) => return Err(PublishError::Rejected("the broker takes nothing".into())),
            }
        }
        let commit = batch(true);
        self.publish_one(last, Some(commit)).await
    }

    /// The newest message of a subject, from any replica.
    async fn newest(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        self.connected().await.map_err(Unavailable)?;
        let stream = Self::name(stream);
        let answer = if subject.as_str().contains('*') {
            let ask = serde_json::json!({"last_by_subj": subject.as_str()}).to_string();
            request(&self.caller, &format!("$JS.API.DIRECT.GET.{stream}"), None, ask.into()).await
        } else {
            request(&self.caller, &format!("$JS.API.DIRECT.GET.{stream}.{subject}"), None, Bytes::new()).await
        };
        stored(answer.map_err(|failed| Unavailable(failed.to_string()))?)
    }
}

impl Broker for JetStream {
    type Receipt = Arc<str>;

    async fn publish(&self, stream: Stream, messages: Vec<Message>) -> Result<u64, PublishError> {
        let span = spans::publish(Self::name(stream), &messages);
        let result = self.store(messages).instrument(span.clone()).await;
        spans::published(&span, result.as_ref().err());
        result
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        spans::reading(Self::name(stream), subject, self.newest(stream, subject)).await
    }

    async fn last_at_leader(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        let ask = serde_json::json!({"last_by_subj": subject.as_str()});
        spans::reading(Self::name(stream), subject, self.ask_leader(stream, &ask)).await
    }

    async fn ack(&self, receipt: &Arc<str>) {
        self.send(receipt, Bytes::from_static(b"+ACK")).await;
    }

    async fn give_back(&self, receipt: &Arc<str>, delay: Duration) {
        let answer = if delay.is_zero() {
            Bytes::from_static(b"-NAK")
        } else {
            format!("-NAK {{\"delay\": {}}}", delay.as_nanos()).into()
        };
        self.send(receipt, answer).await;
    }

    async fn in_progress(&self, receipt: &Arc<str>) {
        if self.caller.link.borrow().is_down() {
            // It would come too late, and stand before the answers that wait for the connection.
            return;
        }
        self.send(receipt, Bytes::from_static(b"+WPI")).await;
    }

    fn message_bytes_max(&self) -> usize {
        self.caller.client.max_payload()
    }

    fn ack_wait(&self) -> Duration {
        self.ack_wait.get()
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

impl Sequel for JetStream {
    async fn at(&self, stream: Stream, sequence: u64) -> Result<Option<Stored>, Unavailable> {
        self.ask_leader(stream, &serde_json::json!({"seq": sequence})).await
    }
}

/// A message's headers, and the broker's instructions among them.
fn headers(message: Message, batch: Option<HeaderMap>) -> HeaderMap {
    let mut headers = batch.unwrap_or_default();
    for (name, value) in message.headers {
        headers.insert(HeaderName::from_static(name), one_line(value));
    }
    if let Some(expect) = &message.expect {
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, one_line(expect.sequence.to_string()));
        if let Some(scope) = &expect.scope {
            headers.insert(EXPECTED_SCOPE, one_line(scope.as_str().to_owned()));
        }
    }
    match message.keep {
        Keep::Default => {}
        Keep::Forever => headers.insert("Nats-TTL", "never"),
        Keep::For(time) => headers.insert("Nats-TTL", format!("{}s", time.as_secs().max(1))),
    }
    if let Some(schedule) = &message.schedule {
        headers.insert("Nats-Schedule", format!("@at {}", event::rfc3339(schedule.at)));
        headers.insert("Nats-Schedule-Target", schedule.target.as_str());
    }
    headers
}

/// A header's value cannot hold line breaks; text from outside may.
fn one_line(value: String) -> HeaderValue {
    // All bytes, whatever the first ones are: that is done many at a time.
    let breaks = value.bytes().fold(false, |any, byte| any | matches!(byte, b'\r' | b'\n'));
    let value = if breaks { value.replace(['\r', '\n'], " ") } else { value };
    // Not by `From`, which looks for breaks again, one character after the other.
    HeaderValue::deserialize(IntoDeserializer::<NotAValue>::into_deserializer(value)).unwrap_or_default()
}

/// The sequence in the broker's answer to a publish, or its error.
fn acknowledged(json: &[u8]) -> Result<u64, PublishError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        seq: u64,
        error: Option<ApiError>,
    }
    let answer: Answer = serde_json::from_slice(json)
        .map_err(|error| PublishError::Ambiguous(format!("an odd answer: {error}")))?;
    match answer.error {
        // No answer of a publish, whoever gave it.
        None if answer.seq == 0 => Err(PublishError::Ambiguous("an answer without a sequence".into())),
        None => Ok(answer.seq),
        Some(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code) => Err(PublishError::Refused),
        Some(error) if STREAM_FULL.contains(&error.err_code) => Err(PublishError::Full),
        Some(error) => Err(PublishError::Rejected(error.to_string())),
    }
}

/// A message in the form of a direct answer: its place in headers.
pub(super) fn stored(message: async_nats::Message) -> Result<Option<Stored>, Unavailable> {
    if let Some(status) = message.status {
        return match status.as_u16() {
            404 => Ok(None),
            code => Err(Unavailable(format!("status {code} {}", message.description.unwrap_or_default()))),
        };
    }
    let mut headers = list(message.headers.as_ref());
    let mut take = |name: &str| {
        let at = headers.iter().position(|(key, _)| key == name)?;
        Some(headers.remove(at).1)
    };
    let (subject, sequence) =
        (take("Nats-Subject"), take("Nats-Sequence").and_then(|text| text.parse().ok()));
    let (Some(subject), Some(sequence)) = (subject, sequence) else {
        return Err(Unavailable("an answer without subject and sequence".into()));
    };
    Ok(Some(Stored { subject: Subject::from_broker(&subject), sequence, headers, payload: message.payload }))
}

/// A message in the form of the stream's API: JSON, with headers and payload in base 64.
fn stored_at_leader(json: &[u8]) -> Result<Option<Stored>, Unavailable> {
    #[derive(Deserialize)]
    struct Answer {
        message: Option<RawMessage>,
        error: Option<ApiError>,
    }
    let odd = |error: &dyn std::fmt::Display| Unavailable(format!("an odd answer: {error}"));
    let answer: Answer = serde_json::from_slice(json).map_err(|error| odd(&error))?;
    match (answer.message, answer.error) {
        (_, Some(error)) if error.err_code == NO_MESSAGE => Ok(None),
        (_, Some(error)) => Err(Unavailable(error.to_string())),
        (None, None) => Err(odd(&"neither a message nor an error")),
        (Some(raw), None) => {
            let message = StreamMessage::try_from(raw).map_err(|error| odd(&error))?;
            Ok(Some(Stored {
                subject: Subject::from_broker(&message.subject),
                sequence: message.sequence,
                headers: list(Some(&message.headers)),
                payload: message.payload,
            }))
        }
    }
}

/// Headers as the core has them.
pub(super) fn list(headers: Option<&HeaderMap>) -> Vec<(String, String)> {
    let Some(headers) = headers else { return Vec::new() };
    let mut list: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        list.extend(values.iter().map(|value| (name.to_owned(), value.as_str().to_owned())));
    }
    // The client keeps the order of one name's values, and none between names: so it is theirs, and always the same.
    list.sort_by(|(one, _), (other, _)| one.cmp(other));
    list
}

#[cfg(test)]
mod tests;
