//! The streams and consumers that a set of contracts needs: pure data, in the form of the broker's own API.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{Description, Source};

/// The stream of events and state.
pub const EVENTS: &str = "EVENTS";
/// The stream of failed attempts on their way back.
pub const RETRY: &str = "RETRY";
/// The stream of events from publishers outside.
pub const INTAKE: &str = "INTAKE";
/// The stream of inputs that were given up.
pub const DEAD_LETTERS: &str = "DLQ";
/// The long-lived copy of everything in [`EVENTS`].
pub const AUDIT: &str = "AUDIT";
/// The stream of what the broker tells about inputs that it does not deliver again.
pub const ADVISORIES: &str = "ADVISORIES";

/// How long a consumer waits for a sign of work before it delivers again, unless told otherwise. A process signals three
/// times as often.
pub const ACK_WAIT: Duration = Duration::from_secs(15);
/// How many inputs of one lane may be unanswered at a time, over all replicas.
pub const ACK_PENDING_MAX: u64 = 20_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long dead letters are kept.
const DEAD_LETTERS_KEPT: Duration = DAY.saturating_mul(30);
/// How long the audit trail is kept.
const AUDIT_KEPT: Duration = DAY.saturating_mul(3 * 365);
/// The most bytes that wait in INTAKE, unless an operator decides otherwise: it fills while admission is closed, and then
/// refuses its publishers rather than take the disk from the streams that admission waits for.
const INTAKE_BYTES_MAX: i64 = 1024 * 1024 * 1024;
/// How long the broker's advisories are kept, and how much of them at most.
const ADVISORIES_KEPT: Duration = DAY.saturating_mul(7);
const ADVISORIES_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// How long the broker remembers the message ids of publishers outside.
const INTAKE_WINDOW: Duration = Duration::from_secs(120);

/// How many inputs of the consumer on `stream` one process holds at most: they are lag until they are answered.
pub fn held(stream: &str, concurrency: usize, batch: usize) -> usize {
    match stream {
        // A due retry waits for no backlog, and a backlog for no storm of retries.
        RETRY => concurrency.div_ceil(4),
        AUDIT => concurrency.max(batch),
        _ => concurrency,
    }
}

/// What an operator decides about streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizing {
    /// Copies of each stream: 1, 3 or 5.
    pub replicas: u8,
    /// How long an event can be handled, looked up and recognised as a duplicate.
    pub horizon: Duration,
    /// The most bytes of events and state; a full stream refuses new events.
    pub events_bytes_max: i64,
    /// How long a consumer waits for a sign of work before it delivers again. Processes ask the broker for it.
    pub ack_wait: Duration,
}

impl Default for Sizing {
    fn default() -> Self {
        Self { replicas: 1, horizon: DAY, events_bytes_max: 8 * 1024 * 1024 * 1024, ack_wait: ACK_WAIT }
    }
}

/// A stream that is needed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamSpec {
    /// Its name.
    pub name: &'static str,
    /// Its configuration, in the form of the broker's API.
    pub config: Value,
}

/// A consumer that is needed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConsumerSpec {
    /// The stream that it reads.
    pub stream: &'static str,
    /// Its durable name: the function's.
    pub durable: String,
    /// Its configuration, in the form of the broker's API.
    pub config: Value,
}

/// Where a new function begins in the stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this sequence, or the next one that it listens to.
    Sequence(u64),
    /// At the first event that was stored then or later.
    Time(OffsetDateTime),
}

/// Everything that a set of functions needs of the broker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Topology {
    /// In the order in which they must be made.
    pub streams: Vec<StreamSpec>,
    /// After the streams.
    pub consumers: Vec<ConsumerSpec>,
}

impl Topology {
    /// What `functions` need together.
    pub fn of(functions: &[Description], sizing: &Sizing) -> Self {
        let kinds = functions.iter().flat_map(|f| f.listens_to.iter().chain(&f.emits).chain(&f.admits));
        let types: BTreeSet<&str> =
            kinds.map(|kind| kind.name.as_str()).filter(|name| *name != "*.*").collect();
        let admitted: BTreeSet<&str> =
            functions.iter().flat_map(|f| &f.admits).map(|kind| kind.name.as_str()).collect();
        let mut streams = vec![
            events(&types, sizing),
            retry(sizing),
            dead_letters(sizing),
            audit(sizing),
            advisories(sizing),
        ];
        if !admitted.is_empty() {
            streams.push(intake(&admitted, sizing));
        }
        Self {
            streams,
            consumers: functions.iter().flat_map(|function| consumers(function, sizing)).collect(),
        }
    }

    /// The same, where the consumers of events begin at `start`. Where one begins is decided once, when it is made: a
    /// function that starts takes it as it is.
    #[must_use]
    pub fn starting_at(mut self, start: Start) -> Self {
        for consumer in self.consumers.iter_mut().filter(|consumer| consumer.stream == EVENTS) {
            let Some(config) = consumer.config.as_object_mut() else { continue };
            let (policy, field, value) = match start {
                Start::Sequence(sequence) => ("by_start_sequence", "opt_start_seq", json!(sequence.max(1))),
                Start::Time(at) => ("by_start_time", "opt_start_time", json!(crate::event::rfc3339(at))),
            };
            config.insert("deliver_policy".into(), policy.into());
            config.insert(field.into(), value);
        }
        self
    }
}

fn stream(name: &'static str, sizing: &Sizing, own: Value) -> StreamSpec {
    let mut config = json!({
        "name": name,
        "storage": "file",
        "num_replicas": sizing.replicas,
        "retention": "limits",
        "discard": "old",
        "allow_direct": true,
    });
    if let (Some(config), Value::Object(own)) = (config.as_object_mut(), own) {
        config.extend(own);
    }
    StreamSpec { name, config }
}

fn events(types: &BTreeSet<&str>, sizing: &Sizing) -> StreamSpec {
    let mut subjects: Vec<String> = types.iter().map(|kind| format!("{kind}.*.*")).collect();
    subjects.extend(["done.*.*.*".to_owned(), "state.*.*".to_owned()]);
    stream(
        EVENTS,
        sizing,
        json!({
            "description": "Jetlag: events and state, one message for each subject",
            "subjects": subjects,
            "max_age": nanos(sizing.horizon),
            "max_bytes": sizing.events_bytes_max,
            "discard": "new",
            "max_msgs_per_subject": 1,
            "allow_atomic": true,
            "allow_msg_ttl": true,
        }),
    )
}

fn retry(sizing: &Sizing) -> StreamSpec {
    stream(
        RETRY,
        sizing,
        json!({
            "description": "Jetlag: failed attempts on their way back",
            "subjects": ["schedule.*.*.*", "retry.*.*.*"],
            "retention": "workqueue",
            "allow_msg_schedules": true,
            "allow_msg_ttl": true,
        }),
    )
}

fn intake(types: &BTreeSet<&str>, sizing: &Sizing) -> StreamSpec {
    stream(
        INTAKE,
        sizing,
        json!({
            "description": "Jetlag: events from publishers outside, not yet checked",
            "subjects": types,
            "retention": "workqueue",
            "max_bytes": INTAKE_BYTES_MAX,
            "discard": "new",
            "duplicate_window": nanos(INTAKE_WINDOW),
        }),
    )
}

fn dead_letters(sizing: &Sizing) -> StreamSpec {
    stream(
        DEAD_LETTERS,
        sizing,
        json!({
            "description": "Jetlag: inputs that were given up",
            "subjects": ["dlq.*.*"],
            "max_age": nanos(DEAD_LETTERS_KEPT),
        }),
    )
}

/// The broker tells once, to whoever listens, that it will not deliver an input again. No consumer of ours allows that: it
/// is a net for those that were changed by hand.
fn advisories(sizing: &Sizing) -> StreamSpec {
    let told = |what: &str| format!("$JS.EVENT.ADVISORY.CONSUMER.{what}.>");
    stream(
        ADVISORIES,
        sizing,
        json!({
            "description": "Jetlag: what the broker does not deliver again",
            "subjects": [told("MAX_DELIVERIES"), told("MSG_TERMINATED")],
            "max_age": nanos(ADVISORIES_KEPT),
            "max_bytes": ADVISORIES_BYTES_MAX,
            // Nobody waits for an answer, and the broker does not answer itself.
            "no_ack": true,
        }),
    )
}

/// The audit trail lives long, so its subjects are few: the broker's memory grows with each subject.
fn audit(sizing: &Sizing) -> StreamSpec {
    stream(
        AUDIT,
        sizing,
        json!({
            "description": "Jetlag: the long-lived copy of every event",
            "sources": [{
                "name": EVENTS,
                "subject_transforms": [{"src": "*.*.*.*", "dest": "audit.{{partition(8,3)}}"}],
            }],
            "max_age": nanos(AUDIT_KEPT),
            "deny_delete": true,
            "deny_purge": true,
        }),
    )
}

fn consumers(function: &Description, sizing: &Sizing) -> Vec<ConsumerSpec> {
    let types = |suffix: &str| -> Vec<String> {
        function.listens_to.iter().map(|kind| format!("{}{suffix}", kind.name)).collect()
    };
    let mut consumers = Vec::new();
    if !function.trigger.pulls() {
        return consumers;
    }
    match function.reads {
        Source::Events if !function.listens_to.is_empty() => {
            consumers.push(consumer(EVENTS, function, &types(".*.*"), sizing));
            consumers.push(consumer(RETRY, function, &[format!("retry.{}.>", function.name)], sizing));
        }
        Source::Events => {}
        Source::Audit => consumers.push(consumer(AUDIT, function, &["audit.*".into()], sizing)),
    }
    if !function.admits.is_empty() {
        let admitted: Vec<String> = function.admits.iter().map(|kind| kind.name.clone()).collect();
        consumers.push(consumer(INTAKE, function, &admitted, sizing));
    }
    consumers
}

fn consumer(
    stream: &'static str,
    function: &Description,
    filters: &[String],
    sizing: &Sizing,
) -> ConsumerSpec {
    // A trail is read in order. With no more than one batch unanswered, what a process left when it died comes back
    // together, before anything behind it.
    let ack_pending_max = if stream == AUDIT { function.batch as u64 } else { ACK_PENDING_MAX };
    let config = json!({
        "durable_name": function.name,
        "description": function.summary,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": nanos(sizing.ack_wait),
        // The runtime counts attempts itself, and gives up itself: the broker would forget without a word.
        "max_deliver": -1,
        "max_ack_pending": ack_pending_max,
        "filter_subjects": filters,
        "replay_policy": "instant",
    });
    ConsumerSpec { stream, durable: function.name.clone(), config }
}

/// Durations as the broker's API has them.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
