//! Looking at everything at once: how full the streams are, how far the functions have come, what waits. Each look is one
//! request, however much there is.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::core::breaker::record::{self, Record};
use crate::jetstream::api::request;
use crate::jetstream::operator::{Operator, OperatorError, ReadMessage, gather, read_message};
use crate::subject::Subject;
use crate::topology::{DEAD_LETTERS, EVENTS, RETRY};

/// The broker's code that means: there is no such stream.
const STREAM_NOT_FOUND: &str = "10059";
/// How many pages of consumers are read at most, each of 256.
const CONSUMER_PAGES_MAX: usize = 16;
/// The most bytes of messages that one look brings.
const LOOK_BYTES_MAX: u64 = 1024 * 1024;
/// How many of a function's waiting retries are looked at for the next one.
const RETRIES_LOOKED_AT: u64 = 64;
/// How many subjects the broker looks up at a time.
const SUBJECTS_MAX: usize = 1000;

/// How a stream is.
#[derive(Debug, Clone, Default)]
pub struct StreamFacts {
    /// Its name.
    pub name: String,
    /// Messages in it.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many bytes it takes at most; nothing if there is no limit.
    pub bytes_max: Option<u64>,
    /// How long it keeps a message; nothing if for ever.
    pub age_max: Option<Duration>,
    /// The sequence of the first message that it has.
    pub first_sequence: u64,
    /// The sequence of the last message that it had.
    pub last_sequence: u64,
    /// When the last message came.
    pub last_at: Option<OffsetDateTime>,
    /// The servers beside the leader that hold a copy.
    pub peers: Vec<Peer>,
    /// Whether it has a leader, without which it takes and gives nothing. One server alone leads.
    pub is_led: bool,
    /// How many messages of its source it has not copied yet, if it has a source.
    pub source_lag: Option<u64>,
}

/// A server that holds a copy of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Peer {
    /// The server.
    pub name: String,
    /// Whether it has everything.
    #[serde(default)]
    pub current: bool,
    /// Whether it is away.
    #[serde(default)]
    pub offline: bool,
}

/// How far a consumer is.
#[derive(Debug, Clone, Default)]
pub struct ConsumerFacts {
    /// The stream that it reads.
    pub stream: String,
    /// Its name: the function's.
    pub durable: String,
    /// The subjects that it covers.
    pub filters: Vec<String>,
    /// What it has not delivered yet.
    pub pending: u64,
    /// What it has delivered and was not answered for.
    pub unanswered: u64,
    /// What of that was delivered more than once.
    pub redelivered: u64,
    /// Requests for inputs that stand.
    pub pulls: u64,
    /// How often it has delivered something since it was made.
    pub delivered: u64,
    /// Up to this sequence of the stream everything was answered for.
    pub floor: u64,
    /// When it last delivered something, or was answered.
    pub last_active: Option<OffsetDateTime>,
    /// Whether somebody has paused it.
    pub is_paused: bool,
    /// How often it delivers one input at most; nothing if as often as it takes.
    pub deliveries_max: Option<u64>,
}

/// The failed attempts of a function that wait for their time.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// How many.
    pub count: u64,
    /// When the next one is due, of those that were looked at.
    pub next: Option<OffsetDateTime>,
    /// Whether all were looked at.
    pub is_exact: bool,
}

/// What the processes of a function have written down of their circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerFacts {
    /// Whether it is open.
    pub is_open: bool,
    /// Since when it is open, or closed again.
    pub since: OffsetDateTime,
    /// When the next input may try.
    pub until: Option<OffsetDateTime>,
    /// The id of the cause that tries now.
    pub probe: Option<String>,
}

impl Operator {
    /// How `stream` is; nothing if it is not there.
    ///
    /// # Errors
    /// No answer.
    pub async fn stream_facts(&self, stream: &str) -> Result<Option<StreamFacts>, OperatorError> {
        match self.ask(&format!("$JS.API.STREAM.INFO.{stream}")).await {
            Ok(info) => Ok(Some(StreamFacts::of(stream, &info))),
            Err(OperatorError::Refused(why)) if why.contains(STREAM_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How far the durable consumers on `stream` are; none if there is no such stream.
    ///
    /// # Errors
    /// No answer.
    pub async fn consumer_facts(&self, stream: &str) -> Result<Vec<ConsumerFacts>, OperatorError> {
        let (mut found, mut seen) = (Vec::new(), 0);
        for _ in 0..CONSUMER_PAGES_MAX {
            let ask = json!({"offset": seen});
            let answer = match self.ask_with(&format!("$JS.API.CONSUMER.LIST.{stream}"), &ask).await {
                Err(OperatorError::Refused(why)) if why.contains(STREAM_NOT_FOUND) => return Ok(found),
                answer => answer?,
            };
            let page = answer.get("consumers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            seen += page.len();
            found.extend(page.iter().filter_map(|info| ConsumerFacts::of(stream, info)));
            let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
            if page.is_empty() || seen as u64 >= total {
                break;
            }
        }
        Ok(found)
    }

    /// When the oldest message was stored that `consumer` was not answered for; nothing if there is none. One request for
    /// each of its filters.
    ///
    /// # Errors
    /// No answer.
    pub async fn oldest_of(&self, consumer: &ConsumerFacts) -> Result<Option<OffsetDateTime>, OperatorError> {
        let mut oldest: Option<OffsetDateTime> = None;
        if consumer.pending + consumer.unanswered == 0 {
            return Ok(oldest);
        }
        for filter in &consumer.filters {
            let first = self.next_message(&consumer.stream, filter, consumer.floor + 1).await?;
            oldest = oldest.into_iter().chain(first.map(|message| message.stored_at)).min();
        }
        Ok(oldest)
    }

    /// The failed attempts that wait for `function`.
    ///
    /// # Errors
    /// No answer.
    pub async fn waiting(&self, function: &str) -> Result<Waiting, OperatorError> {
        let ask = json!({
            "batch": RETRIES_LOOKED_AT, "max_bytes": LOOK_BYTES_MAX, "seq": 1,
            "next_by_subj": format!("schedule.{function}.*.*"),
        });
        let (messages, left) = gather(self.caller(), RETRY, &ask).await?;
        let due = messages.iter().filter_map(ReadMessage::due);
        Ok(Waiting { count: messages.len() as u64 + left, next: due.min(), is_exact: left == 0 })
    }

    /// The latest dead letters, at most `most` of them, oldest first, and how many more there may be before them.
    ///
    /// # Errors
    /// No answer.
    pub async fn latest_dead_letters(
        &self,
        stream: &StreamFacts,
        most: u64,
    ) -> Result<(Vec<ReadMessage>, u64), OperatorError> {
        let from = (stream.last_sequence + 1).saturating_sub(most).max(stream.first_sequence).max(1);
        let ask = json!({"batch": most, "max_bytes": LOOK_BYTES_MAX, "seq": from, "next_by_subj": "dlq.*.*"});
        let (messages, _) = gather(self.caller(), DEAD_LETTERS, &ask).await?;
        let others = stream.messages.saturating_sub(messages.len() as u64);
        Ok((messages, others))
    }

    /// How many dead letters `function` has.
    ///
    /// # Errors
    /// No answer.
    pub async fn count_dead_letters(&self, function: &str) -> Result<u64, OperatorError> {
        let ask = json!({"batch": 1, "seq": 1, "next_by_subj": format!("dlq.{function}.*")});
        let (messages, left) = gather(self.caller(), DEAD_LETTERS, &ask).await?;
        Ok(messages.len() as u64 + left)
    }

    /// What the processes of `functions` have written down of their circuit breakers.
    ///
    /// # Errors
    /// No answer.
    pub async fn breakers(
        &self,
        functions: &[String],
    ) -> Result<BTreeMap<String, BreakerFacts>, OperatorError> {
        let subjects: BTreeMap<Subject, &String> =
            functions.iter().take(SUBJECTS_MAX).map(|name| (record::subject(name), name)).collect();
        if subjects.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<&str> = subjects.keys().map(Subject::as_str).collect();
        let (messages, _) = gather(self.caller(), EVENTS, &json!({"multi_last": names})).await?;
        let found = messages.into_iter().filter_map(|message| {
            let function = subjects.get(&Subject::from_broker(&message.subject))?;
            Some(((*function).clone(), BreakerFacts::of(&Record::read(&message.payload)?)))
        });
        Ok(found.collect())
    }

    /// The first message of `stream` from the sequence `from` on that `filter` covers. The broker goes to it, and does not
    /// count what is behind it, as it does for a batch.
    async fn next_message(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
    ) -> Result<Option<ReadMessage>, OperatorError> {
        let ask = json!({"seq": from, "next_by_subj": filter}).to_string();
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        read_message(request(self.caller(), &subject, None, Bytes::from(ask)).await?)
    }
}

impl ReadMessage {
    /// When a waiting message comes up; nothing if it does not wait.
    pub fn due(&self) -> Option<OffsetDateTime> {
        instant(self.header("Nats-Schedule")?.strip_prefix("@at ")?)
    }
}

impl StreamFacts {
    fn of(name: &str, info: &Value) -> Self {
        let number = |path: &str| info.pointer(path).and_then(Value::as_u64);
        let cluster = info.get("cluster");
        let peers = cluster.and_then(|cluster| cluster.get("replicas")).cloned();
        let leader = cluster.and_then(|cluster| cluster.get("leader")).and_then(Value::as_str);
        let sources = info.get("sources").and_then(Value::as_array);
        let lags =
            sources.map(|sources| sources.iter().filter_map(|source| source.get("lag")?.as_u64()).sum());
        Self {
            name: name.to_owned(),
            messages: number("/state/messages").unwrap_or_default(),
            bytes: number("/state/bytes").unwrap_or_default(),
            // -1, which is no u64, means that there is no limit.
            bytes_max: number("/config/max_bytes").filter(|most| *most > 0),
            age_max: number("/config/max_age").filter(|age| *age > 0).map(Duration::from_nanos),
            first_sequence: number("/state/first_seq").unwrap_or_default(),
            last_sequence: number("/state/last_seq").unwrap_or_default(),
            last_at: moment(info, "/state/last_ts"),
            peers: peers.and_then(|peers| serde_json::from_value(peers).ok()).unwrap_or_default(),
            is_led: cluster.is_none() || leader.is_some_and(|leader| !leader.is_empty()),
            source_lag: lags,
        }
    }
}

impl ConsumerFacts {
    fn of(stream: &str, info: &Value) -> Option<Self> {
        let number = |path: &str| info.pointer(path).and_then(Value::as_u64);
        let several = info.pointer("/config/filter_subjects").and_then(Value::as_array);
        let one = info.pointer("/config/filter_subject").and_then(Value::as_str);
        let several = several.into_iter().flatten().filter_map(Value::as_str);
        let mut filters: Vec<String> = several.chain(one).map(str::to_owned).collect();
        if filters.is_empty() {
            filters.push(">".to_owned());
        }
        let active = ["/delivered/last_active", "/ack_floor/last_active"];
        Some(Self {
            stream: stream.to_owned(),
            // One without it is somebody's own, and goes with them.
            durable: info.pointer("/config/durable_name")?.as_str()?.to_owned(),
            filters,
            pending: number("/num_pending").unwrap_or_default(),
            unanswered: number("/num_ack_pending").unwrap_or_default(),
            redelivered: number("/num_redelivered").unwrap_or_default(),
            pulls: number("/num_waiting").unwrap_or_default(),
            delivered: number("/delivered/consumer_seq").unwrap_or_default(),
            floor: number("/ack_floor/stream_seq").unwrap_or_default(),
            last_active: active.iter().filter_map(|path| moment(info, path)).max(),
            is_paused: info.get("paused").and_then(Value::as_bool).unwrap_or_default(),
            // -1 means that there is no limit.
            deliveries_max: number("/config/max_deliver").filter(|most| *most > 0),
        })
    }
}

impl BreakerFacts {
    fn of(record: &Record) -> Self {
        match record {
            Record::Closed { since } => Self { is_open: false, since: *since, until: None, probe: None },
            Record::Open { since, until, probe } => Self {
                is_open: true,
                since: *since,
                until: Some(*until),
                probe: probe.as_ref().map(|probe| probe.input.clone()),
            },
        }
    }
}

/// A time in an answer. The broker writes the year 1 for never.
fn moment(info: &Value, path: &str) -> Option<OffsetDateTime> {
    instant(info.pointer(path)?.as_str()?).filter(|at| at.year() > 1)
}

fn instant(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_limits_has_none_and_a_copy_that_is_away_is_seen() {
        let info = json!({
            "config": {"max_bytes": -1, "max_age": 0},
            "state": {"messages": 2, "bytes": 512, "first_seq": 3, "last_seq": 9, "last_ts": "2026-11-22T00:00:00Z"},
            "cluster": {"leader": "n1", "replicas": [{"name": "n2", "current": true}, {"name": "n3", "offline": true}]},
            "sources": [{"name": "EVENTS", "lag": 4}],
        });
        let facts = StreamFacts::of("EVENTS", &info);
        assert_eq!((facts.bytes_max, facts.age_max, facts.source_lag), (None, None, Some(4)));
        assert_eq!((facts.messages, facts.first_sequence, facts.last_sequence), (2, 3, 9));
        assert!(facts.is_led && facts.last_at.is_some());
        let away: Vec<_> = facts.peers.iter().filter(|peer| peer.offline).map(|peer| &*peer.name).collect();
        assert_eq!(away, ["n3"]);
        let leaderless = json!({"cluster": {"replicas": []}});
        assert!(
            !StreamFacts::of("EVENTS", &leaderless).is_led && StreamFacts::of("EVENTS", &json!({})).is_led
        );
    }

    #[test]
    fn a_consumer_that_is_nobodys_is_none_of_ours() {
        let info = json!({
            "config": {"durable_name": "payment", "filter_subject": "a.b.*.*", "max_deliver": -1},
            "num_pending": 3, "num_ack_pending": 2, "num_redelivered": 1, "num_waiting": 4,
            "delivered": {"consumer_seq": 9, "stream_seq": 8, "last_active": "2026-11-22T00:00:00Z"},
            "ack_floor": {"consumer_seq": 5, "stream_seq": 6, "last_active": "0001-01-01T00:00:00Z"},
        });
        let facts = ConsumerFacts::of("EVENTS", &info).unwrap();
        assert_eq!((facts.pending, facts.unanswered, facts.redelivered, facts.pulls), (3, 2, 1, 4));
        assert_eq!((facts.delivered, facts.floor, facts.deliveries_max), (9, 6, None));
        assert_eq!(facts.last_active.unwrap().year(), 2026);
        assert_eq!(facts.filters, ["a.b.*.*"]);
        assert!(ConsumerFacts::of("EVENTS", &json!({"config": {}})).is_none());
    }
}
