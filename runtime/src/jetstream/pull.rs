//! Pulling from a consumer by credit: so many inputs are asked for, and what does not come is given back as credit.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures::{FutureExt, StreamExt};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::core::broker::{Delivery, Lane, Pulled, Stream};
use crate::jetstream::broker::{JetStream, list};
use crate::jetstream::connect::ConnectError;
use crate::jetstream::link::Link;
use crate::subject::Subject;
use crate::telemetry::names;

/// How long a request for inputs stands. A lane that closes waits for the end of its requests, which cannot be taken back
/// (see [`PullLane::close`]): so this is how long a drain lasts where nothing comes, and idle lanes ask as often. And it is
/// shorter than `ACK_WAIT`: if the network is cut, the broker goes on delivering to requests that nobody hears of, and what
/// this process held must not be given to its own dead requests again.
const EXPIRES: Duration = Duration::from_secs(1);
/// How often the broker signals that a longer request still stands; no more than half of its time, says the broker.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// After so long without a signal the requests are taken for lost.
const SILENCE_MAX: Duration = Duration::from_secs(12);
/// How long nothing is asked for after the broker refused, doubled with each refusal up to [`PAUSE_MAX`]: a consumer or a
/// stream that is gone, or JetStream itself, is refused as fast as it is asked for.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause: how soon a consumer that is made again is noticed.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a closed lane waits for the word that a request has ended, after it must have: a busy broker counts the time of
/// a request from when it has read it.
const LATE_MAX: Duration = Duration::from_secs(5);
/// How long a closed lane waits for its subscription to end.
const CLOSING_MAX: Duration = Duration::from_secs(2);
/// The broker tells times in nanoseconds.
const NANOS_PER_S: i64 = 1_000_000_000;

/// One consumer, pulled from by this process.
pub(crate) struct PullLane {
    client: Client,
    stream: Stream,
    request: String,
    inbox: String,
    subscriber: Subscriber,
    link: watch::Receiver<Link>,
    /// Whether anything was asked for and may still come.
    asking: bool,
    /// How many inputs were asked for and neither came nor were called off.
    outstanding: usize,
    /// When the last request ends, whatever comes.
    ends: Instant,
    expires: Duration,
    /// When the broker was last heard, or first asked: kept here, since whoever waits for the next input may stop waiting and
    /// begin anew, more often than the silence may last.
    heard: Instant,
    /// Counts how often everything that was asked for was lost. It ends the inbox of each request, so that what the broker
    /// says about an earlier one is not taken for credit of a later one.
    generation: u64,
    /// Until when nothing is asked for, after a refusal.
    pause: Option<Instant>,
    /// Refusals in a row.
    refusals: u32,
    /// Requests that went out.
    pulls: metrics::Counter,
}

impl PullLane {
    /// The lane of the consumer `durable` on `stream`.
    pub(crate) async fn open(
        client: Client,
        stream: Stream,
        durable: &str,
        link: watch::Receiver<Link>,
    ) -> Result<Self, ConnectError> {
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(format!("{inbox}.*")).await.map_err(ConnectError::Subscribe)?;
        let request = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{durable}", JetStream::name(stream));
        Ok(Self {
            client,
            stream,
            request,
            inbox,
            subscriber,
            link,
            asking: false,
            outstanding: 0,
            ends: Instant::now(),
            expires: EXPIRES,
            heard: Instant::now(),
            generation: 0,
            pause: None,
            refusals: 0,
            pulls: metrics::counter!(
                names::PULLS, "function" => durable.to_owned(), "stream" => JetStream::name(stream)
            ),
        })
    }

    /// The same lane with requests that stand for `expires`.
    #[cfg(feature = "testing")]
    pub(crate) const fn expiring(mut self, expires: Duration) -> Self {
        self.expires = expires;
        self
    }

    /// What `message` means: an input, credit that comes back, or nothing.
    fn read(&mut self, message: async_nats::Message) -> Option<Pulled<Arc<str>>> {
        // An input has a place to answer to, whatever its publisher wrote where a status stands.
        let Some(status) = message.status.filter(|_| message.reply.is_none()) else {
            self.refusals = 0;
            self.outstanding = self.outstanding.saturating_sub(1);
            return self.delivery(message).map(|delivery| Pulled::Delivery(Box::new(delivery)));
        };
        if message.subject.as_str() != self.reply() {
            // About a request that counts as lost already.
            return None;
        }
        let code = status.as_u16();
        let pending = message.headers.as_ref().and_then(|h| h.get("Nats-Pending-Messages"));
        match (code, pending.and_then(|text| text.as_str().parse().ok())) {
            // A heartbeat.
            (100, _) => {
                self.refusals = 0;
                None
            }
            // The request has expired, or was answered in part: the rest comes back as credit.
            (404 | 408 | 409, Some(credit)) if !is_an_end(message.description.as_deref()) => {
                self.outstanding = self.outstanding.saturating_sub(credit);
                Some(Pulled::Expired(credit))
            }
            _ => {
                self.refuse(message.description.as_deref().unwrap_or("nobody answers"));
                None
            }
        }
    }

    /// The broker does not take requests: the next one waits for the end of a pause.
    fn refuse(&mut self, why: &str) {
        let pause = PAUSE_MIN.saturating_mul(2u32.saturating_pow(self.refusals.min(16))).min(PAUSE_MAX);
        self.refusals = self.refusals.saturating_add(1);
        let stream = JetStream::name(self.stream);
        tracing::debug!(stream, why, ?pause, "a request for inputs is refused");
        self.pause = Some(Instant::now() + pause);
    }

    fn reply(&self) -> String {
        format!("{}.{}", self.inbox, self.generation)
    }

    fn delivery(&self, message: async_nats::Message) -> Option<Delivery<Arc<str>>> {
        let receipt: Arc<str> = message.reply.as_ref()?.as_str().into();
        let Place { delivered, sequence, time } = place(&receipt)?;
        Some(Delivery {
            stream: self.stream,
            subject: Subject::from_broker(&message.subject),
            headers: list(message.headers.as_ref()),
            payload: message.payload,
            sequence,
            time,
            delivered,
            receipt,
        })
    }

    fn lost(&mut self, why: &str) -> Pulled<Arc<str>> {
        self.asking = false;
        self.outstanding = 0;
        self.pause = None;
        self.generation += 1;
        tracing::debug!(
            stream = JetStream::name(self.stream),
            why,
            "a request for inputs is lost, and made again"
        );
        Pulled::Lost
    }
}

impl Lane<Arc<str>> for PullLane {
    async fn request(&mut self, credit: usize) {
        let ask = serde_json::json!({
            "batch": credit,
            "expires": u64::try_from(self.expires.as_nanos()).unwrap_or(u64::MAX),
            "idle_heartbeat": u64::try_from(HEARTBEAT.min(self.expires / 2).as_nanos()).unwrap_or(u64::MAX),
        });
        if !self.asking {
            self.heard = Instant::now();
        }
        self.asking = true;
        if self.link.borrow().is_down() {
            // It would be sent once there is a connection, and made again then: twice the credit.
            return;
        }
        let sent = self.client.publish_with_reply(self.request.clone(), self.reply(), ask.to_string().into());
        // One that does not go out is noticed by the silence that follows.
        let _ = tokio::time::timeout(HEARTBEAT, sent).await;
        self.pulls.increment(1);
        self.outstanding += credit;
        self.ends = Instant::now() + self.expires;
    }

    async fn next(&mut self) -> Pulled<Arc<str>> {
        loop {
            // What has come already needs no clock, and nobody to wait for.
            if let Some(Some(message)) = self.subscriber.next().now_or_never() {
                self.heard = Instant::now();
                match self.read(message) {
                    Some(pulled) => return pulled,
                    None => continue,
                }
            }
            let (asking, pause) = (self.asking && self.pause.is_none(), self.pause);
            tokio::select! {
                message = self.subscriber.next() => match message {
                    Some(message) => {
                        self.heard = Instant::now();
                        if let Some(pulled) = self.read(message) {
                            return pulled;
                        }
                    }
                    // The client is closed, which only the end of the process does.
                    None => std::future::pending().await,
                },
                // A request does not survive its connection.
                Ok(()) = self.link.changed() => {
                    if *self.link.borrow_and_update() == Link::Up {
                        return self.lost("connected again");
                    }
                }
                () = tokio::time::sleep_until(self.heard + SILENCE_MAX), if asking => return self.lost("silence"),
                () = tokio::time::sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some() => {
                    return self.lost("refused");
                }
            }
        }
    }

    /// Takes what still comes until every request is over. They cannot be called off: to stop listening is all that the
    /// broker understands, and what it sends before it has heard of that would wait for `ack_wait`, as the client forgets
    /// a subscription before the server does.
    async fn close(mut self) -> Vec<Delivery<Arc<str>>> {
        let mut left = Vec::new();
        let over = self.ends + LATE_MAX;
        while self.outstanding > 0 && self.pause.is_none() && !self.link.borrow().is_down() {
            match tokio::time::timeout_at(over, self.next()).await {
                Ok(Pulled::Delivery(delivery)) => left.push(*delivery),
                Ok(Pulled::Expired(_)) => {}
                Ok(Pulled::Lost) => break,
                Err(_) => {
                    let stream = JetStream::name(self.stream);
                    let outstanding = self.outstanding;
                    tracing::warn!(
                        stream,
                        outstanding,
                        "the broker has not said that the last requests for inputs are over: what it still sends waits there \
                         until it is delivered again"
                    );
                    break;
                }
            }
        }
        if matches!(tokio::time::timeout(CLOSING_MAX, self.subscriber.drain()).await, Ok(Ok(()))) {
            let rest = async {
                while let Some(message) = self.subscriber.next().await {
                    if let Some(Pulled::Delivery(delivery)) = self.read(message) {
                        left.push(*delivery);
                    }
                }
            };
            let _ = tokio::time::timeout(CLOSING_MAX, rest).await;
        }
        left
    }
}

/// Whether the broker's words mean that the consumer, or the server that has it, takes no requests now.
fn is_an_end(description: Option<&str>) -> bool {
    description.is_some_and(|text| {
        let text = text.to_lowercase();
        ["consumer deleted", "leadership change", "server shutdown"].iter().any(|end| text.contains(end))
    })
}

/// The subject of an answer to whatever delivery of the message there was last: the broker goes by the sequence in the
/// stream alone, and knows the rest itself.
pub(super) fn receipt_of(stream: &str, durable: &str, sequence: u64) -> Arc<str> {
    format!("$JS.ACK.{stream}.{durable}.1.{sequence}.1.0.0").into()
}

/// What the subject of an answer tells of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// How often it was delivered.
    delivered: u64,
    /// Its sequence in the stream.
    sequence: u64,
    /// When it was stored.
    time: OffsetDateTime,
}

/// `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<time>.…`, with domain and account before the
/// stream in newer forms.
fn place(receipt: &str) -> Option<Place> {
    let at = match receipt.bytes().filter(|byte| *byte == b'.').count() {
        8 => 4,
        10.. => 6,
        _ => return None,
    };
    let mut tokens = receipt.as_bytes().split(|byte| *byte == b'.').skip(at);
    let mut number = || str::from_utf8(tokens.next()?).ok();
    let (delivered, sequence) = (number()?.parse().ok()?, number()?.parse().ok()?);
    let _consumers = number()?;
    let nanos: i64 = number()?.parse().ok()?;
    let time = OffsetDateTime::from_unix_timestamp(nanos.div_euclid(NANOS_PER_S)).ok()?;
    Some(Place {
        delivered,
        sequence,
        time: time + Duration::from_nanos(nanos.rem_euclid(NANOS_PER_S).unsigned_abs()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_consumer_is_told_from_the_end_of_a_request() {
        for end in ["Consumer Deleted", "Leadership Change", "Server Shutdown"] {
            assert!(is_an_end(Some(end)));
        }
        assert!(!is_an_end(Some("Request Timeout")) && !is_an_end(Some("Message Size Exceeds MaxBytes")));
        assert!(!is_an_end(None));
    }

    #[test]
    fn both_forms_of_an_answers_subject_are_read() {
        let time = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let told = |delivered, sequence| Some(Place { delivered, sequence, time });
        assert_eq!(place("$JS.ACK.EVENTS.payment.2.77.5.1700000000000000000.0"), told(2, 77));
        assert_eq!(place("$JS.ACK.hub.ACC.EVENTS.payment.1.9.9.1700000000000000000.3.x"), told(1, 9));
        assert_eq!(place("_INBOX.x"), None);
        let made = place(&receipt_of("EVENTS", "payment", 77)).unwrap();
        assert_eq!((made.delivered, made.sequence), (1, 77));
    }
}
