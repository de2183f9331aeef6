//! Pulling from a consumer by credit: so many inputs are asked for, and what does not come is given back as credit.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::core::broker::{Delivery, Lane, Pulled, Stream};
use crate::jetstream::broker::{JetStream, list};
use crate::jetstream::connect::{ConnectError, Link};
use crate::subject::Subject;

/// How long a request for inputs stands.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the broker signals that a request still stands.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// After so long without a signal the requests are taken for lost.
const SILENCE_MAX: Duration = Duration::from_secs(12);
/// How long a closed lane waits for what is on its way.
const CLOSING_MAX: Duration = Duration::from_secs(2);

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
    /// When the broker was last heard, or first asked: kept here, since whoever waits for the next input may stop waiting and
    /// begin anew, more often than the silence may last.
    heard: Instant,
    expires: Duration,
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
        let subscriber = client.subscribe(inbox.clone()).await.map_err(ConnectError::Subscribe)?;
        let request = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{durable}", JetStream::name(stream));
        let (asking, heard, expires) = (false, Instant::now(), EXPIRES);
        Ok(Self { client, stream, request, inbox, subscriber, link, asking, heard, expires })
    }

    /// The same lane with requests that stand for `expires`.
    #[cfg(feature = "testing")]
    pub(crate) const fn expiring(mut self, expires: Duration) -> Self {
        self.expires = expires;
        self
    }

    /// What `message` means: an input, credit that comes back, or nothing.
    fn read(&mut self, message: async_nats::Message) -> Option<Pulled<Arc<str>>> {
        let Some(status) = message.status else {
            return self.delivery(message).map(|delivery| Pulled::Delivery(Box::new(delivery)));
        };
        match status.as_u16() {
            // A heartbeat.
            100 => None,
            // The request has expired, or was answered in part: the rest comes back as credit.
            404 | 408 | 409 => {
                let pending = message.headers.as_ref().and_then(|h| h.get("Nats-Pending-Messages"));
                match pending.and_then(|text| text.as_str().parse().ok()) {
                    Some(credit) => Some(Pulled::Expired(credit)),
                    None => Some(self.lost(message.description.as_deref().unwrap_or("no reason told"))),
                }
            }
            _ => Some(self.lost(message.description.as_deref().unwrap_or("no reason told"))),
        }
    }

    fn delivery(&self, message: async_nats::Message) -> Option<Delivery<Arc<str>>> {
        let receipt: Arc<str> = message.reply.as_ref()?.as_str().into();
        let (delivered, sequence) = place(&receipt)?;
        Some(Delivery {
            stream: self.stream,
            subject: Subject::from_broker(&message.subject),
            headers: list(message.headers.as_ref()),
            payload: message.payload,
            sequence,
            delivered,
            receipt,
        })
    }

    fn lost(&mut self, why: &str) -> Pulled<Arc<str>> {
        self.asking = false;
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
        let sent =
            self.client.publish_with_reply(self.request.clone(), self.inbox.clone(), ask.to_string().into());
        // One that does not go out is noticed by the silence that follows.
        let _ = tokio::time::timeout(HEARTBEAT, sent).await;
    }

    async fn next(&mut self) -> Pulled<Arc<str>> {
        loop {
            let asking = self.asking;
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
            }
        }
    }

    async fn close(mut self) -> Vec<Delivery<Arc<str>>> {
        let mut left = Vec::new();
        if self.subscriber.drain().await.is_ok() {
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

/// How often it was delivered, and its sequence in the stream, as the answer's subject tells them:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.…`, with domain and account before the stream in newer forms.
fn place(receipt: &str) -> Option<(u64, u64)> {
    let tokens: Vec<&str> = receipt.split('.').collect();
    let at = match tokens.len() {
        9 => 4,
        11.. => 6,
        _ => return None,
    };
    Some((tokens.get(at)?.parse().ok()?, tokens.get(at + 1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_answers_subject_are_read() {
        assert_eq!(place("$JS.ACK.EVENTS.payment.2.77.5.1700000000000000000.0"), Some((2, 77)));
        assert_eq!(place("$JS.ACK.hub.ACC.EVENTS.payment.1.9.9.1700000000000000000.3.x"), Some((1, 9)));
        assert_eq!(place("_INBOX.x"), None);
    }
}
