//! The broker's monitoring endpoint, as KEDA's nats-jetstream scaler reads it (2.21, `nats_jetstream_scaler.go`).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keda::decision::Reading;
use reqwest::{Client, ClientBuilder};
use serde::Deserialize;

use crate::console::Console;
use crate::http;
use crate::problem::{Exit, Problem};

/// KEDA's own (`KEDA_HTTP_DEFAULT_TIMEOUT`).
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// The account of a server without accounts, percent-encoded; `jetlag up` starts one. What a ScaledObject says of endpoint and
/// account is about the cluster's broker.
const QUERY: &str = "/jsz?acc=%24G&config=true&consumers=true";

/// A consumer whose lag is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) stream: String,
    pub(crate) consumer: String,
}

/// The endpoint of the broker that runs here. What is wrong with it is told once, and once when it is over.
#[derive(Debug)]
pub(crate) struct Endpoint {
    client: Client,
    url: String,
    console: Console,
    wrong: Mutex<BTreeSet<String>>,
}

/// What it answers, as far as KEDA reads it.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    account_details: Vec<Account>,
}

#[derive(Debug, Deserialize)]
struct Account {
    #[serde(default)]
    stream_detail: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
struct Stream {
    name: String,
    #[serde(default)]
    consumer_detail: Vec<Consumer>,
}

#[derive(Debug, Deserialize)]
struct Consumer {
    name: String,
    num_pending: u64,
    num_ack_pending: u64,
}

/// Why a lag cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unread {
    Stream(String),
    Consumer { stream: String, consumer: String },
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "there is no stream {stream}"),
            Self::Consumer { stream, consumer } => write!(f, "there is no consumer {consumer} on {stream}"),
        }
    }
}

impl Answer {
    /// What waits for the consumer, and what it was given and has not answered for.
    fn lag(&self, watched: &Watched) -> Result<u64, Unread> {
        let mut streams = self.account_details.iter().flat_map(|account| &account.stream_detail);
        let stream = streams.find(|stream| stream.name == watched.stream);
        let stream = stream.ok_or_else(|| Unread::Stream(watched.stream.clone()))?;
        let consumer = stream.consumer_detail.iter().find(|consumer| consumer.name == watched.consumer);
        let consumer = consumer.ok_or_else(|| {
            let Watched { stream, consumer } = watched.clone();
            Unread::Consumer { stream, consumer }
        })?;
        Ok(consumer.num_pending.saturating_add(consumer.num_ack_pending))
    }
}

impl Endpoint {
    /// The endpoint at `url`, such as `http://127.0.0.1:8222`.
    pub(crate) fn new(url: &str, console: Console) -> Result<Self, Problem> {
        let client = http::client(ANSWER_LIMIT, ClientBuilder::no_proxy)?;
        let url = format!("{}{QUERY}", url.trim_end_matches('/'));
        Ok(Self { client, url, console, wrong: Mutex::default() })
    }

    /// The lag of each. KEDA asks once for each trigger; the answer is about all consumers, so this asks once for all
    /// triggers of a look.
    pub(crate) async fn read(&self, watched: &[Watched]) -> Vec<Reading> {
        let answer = match self.ask().await {
            Ok(answer) => {
                self.is_well("", || "the broker's monitoring endpoint answers again".to_owned());
                answer
            }
            Err(problem) => {
                let remedy = "functions are scaled by the fallback of their ScaledObject until it answers";
                self.is_wrong("", || format!("{}\n  {remedy}", problem.sentence()));
                return vec![Reading::Failed; watched.len()];
            }
        };
        watched.iter().map(|watched| self.reading(&answer, watched)).collect()
    }

    fn reading(&self, answer: &Answer, watched: &Watched) -> Reading {
        let Watched { stream, consumer } = watched;
        let key = format!("{stream}/{consumer}");
        match answer.lag(watched) {
            Ok(lag) => {
                self.is_well(&key, || format!("the lag of {consumer} on {stream} is known again"));
                Reading::Lag(lag)
            }
            Err(why) => {
                self.is_wrong(&key, || format!("the lag of {consumer} on {stream} is not known: {why}"));
                Reading::Failed
            }
        }
    }

    /// KEDA looks at the body alone, whatever the status.
    async fn ask(&self) -> Result<Answer, Problem> {
        let wrong =
            || Problem::new(Exit::Unavailable, format!("the broker's monitoring endpoint {}", self.url));
        let answer = self.client.get(&self.url).timeout(ANSWER_LIMIT).send().await;
        let answer = answer.map_err(|error| wrong().because(error.without_url()))?;
        answer.json().await.map_err(|error| wrong().because(error.without_url()))
    }

    fn is_wrong(&self, key: &str, what: impl FnOnce() -> String) {
        if self.wrong.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned()) {
            self.console.warn(&what());
        }
    }

    fn is_well(&self, key: &str, what: impl FnOnce() -> String) {
        if self.wrong.lock().unwrap_or_else(PoisonError::into_inner).remove(key) {
            self.console.note(&what());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of nats-server 2.15.1, shortened.
    const ANSWER: &str = r#"{
        "server_id": "NC", "now": "2026-11-22T00:00:00Z", "config": {"max_memory": 268435456}, "memory": 0, "messages": 12,
        "account_details": [{"name": "$G", "id": "$G", "memory": 0, "stream_detail": [
            {"name": "EVENTS", "created": "2026-11-22T00:00:00Z", "state": {"messages": 12, "last_seq": 12},
             "consumer_detail": [
                {"stream_name": "EVENTS", "name": "order", "num_ack_pending": 0, "num_pending": 0, "num_waiting": 1},
                {"stream_name": "EVENTS", "name": "payment", "num_ack_pending": 64, "num_redelivered": 1, "num_pending": 947}
             ]},
            {"name": "DLQ", "state": {"messages": 0}}
        ]}]}"#;

    fn watched(stream: &str, consumer: &str) -> Watched {
        Watched { stream: stream.to_owned(), consumer: consumer.to_owned() }
    }

    #[test]
    fn lag_is_what_waits_and_what_has_no_answer() {
        let answer: Answer = serde_json::from_str(ANSWER).unwrap();
        assert_eq!(answer.lag(&watched("EVENTS", "payment")), Ok(947 + 64));
        assert_eq!(answer.lag(&watched("EVENTS", "order")), Ok(0));
    }

    #[test]
    fn what_is_not_there_has_no_lag_rather_than_none() {
        let answer: Answer = serde_json::from_str(ANSWER).unwrap();
        let told =
            |stream: &str, consumer: &str| answer.lag(&watched(stream, consumer)).unwrap_err().to_string();
        assert_eq!(told("RETRY", "payment"), "there is no stream RETRY");
        assert_eq!(told("EVENTS", "paymnt"), "there is no consumer paymnt on EVENTS");
        assert_eq!(told("DLQ", "payment"), "there is no consumer payment on DLQ");
        let none: Answer = serde_json::from_str(r#"{"server_id": "NC"}"#).unwrap();
        assert_eq!(none.lag(&watched("EVENTS", "order")), Err(Unread::Stream("EVENTS".to_owned())));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_away_fails_every_reading() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = Endpoint::new(&format!("http://{free}/"), Console::silent()).unwrap();
        let both = [watched("EVENTS", "payment"), watched("RETRY", "payment")];
        assert_eq!(endpoint.read(&both).await, [Reading::Failed; 2]);
        assert_eq!(endpoint.wrong.lock().unwrap().len(), 1, "the endpoint is told of, not each consumer");
    }
}
