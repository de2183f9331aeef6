//! What streams keep, and what that takes.

use std::collections::BTreeMap;
use std::time::Duration;

use jetlag::Description;
use jetlag::topology::{AUDIT, EVENTS, StreamSpec};
use serde::Serialize;
use serde_json::Value;

use super::flow::Flow;
use super::measured::{DATA_BYTES, EVENT_OVERHEAD_BYTES, RECEIPT_BYTES, SUBJECT_MEMORY_BYTES};
use super::rate::Rate;

/// With so many messages in a stream, what they take each is known better from there.
const MESSAGES_THAT_TELL: u64 = 1_000;

/// What a stream keeps once it is as old as it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its name.
    pub stream: String,
    /// Messages that come, a day.
    #[serde(rename = "messages_per_day")]
    pub rate: Rate,
    /// How long each is kept, in seconds; absent if for ever.
    #[serde(serialize_with = "seconds")]
    pub kept_s: Option<Duration>,
    /// Messages in it then, if it may keep them all.
    pub messages: u64,
    /// Their bytes: what counts against its limit, and what its files take.
    pub bytes: u64,
    /// What they take of the broker's memory: subjects do. Those of AUDIT are eight.
    pub memory_bytes: u64,
    /// How many bytes it takes at most, and has set aside; absent if there is no limit.
    pub bytes_max: Option<u64>,
}

/// What is known of the broker's streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The version of the server.
    pub version: String,
    /// The most bytes of files that the account may have; absent if there is no limit.
    pub storage_max: Option<u64>,
    /// What it has of that, or has set aside.
    pub storage_used: u64,
    /// The streams that are there.
    pub streams: BTreeMap<String, SeenStream>,
}

/// A stream as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SeenStream {
    /// Messages in it.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many bytes it takes at most; absent if there is no limit.
    pub bytes_max: Option<u64>,
    /// How long it keeps a message, in seconds; absent if for ever.
    #[serde(serialize_with = "seconds")]
    pub kept_s: Option<Duration>,
}

fn seconds<S: serde::Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs()).serialize(serializer)
}

impl Kept {
    /// The streams of `specs` that grow with what happens. What is there already is as it is: its size is the operator's.
    pub(super) fn all(
        specs: &[StreamSpec],
        functions: &[Description],
        flow: &Flow,
        state: u64,
        seen: Option<&Seen>,
    ) -> Vec<Self> {
        let told = Told::of(functions, flow);
        let grows = specs.iter().filter(|spec| [EVENTS, AUDIT].contains(&spec.name));
        grows
            .map(|spec| Self::of(spec, &told, state, seen.and_then(|seen| seen.streams.get(spec.name))))
            .collect()
    }

    fn of(spec: &StreamSpec, told: &Told, state: u64, there: Option<&SeenStream>) -> Self {
        let number = |field: &str| spec.config.get(field).and_then(Value::as_u64).filter(|value| *value > 0);
        let (kept_s, bytes_max) = there.map_or_else(
            || (number("max_age").map(Duration::from_nanos), number("max_bytes")),
            |there| (there.kept_s, there.bytes_max),
        );
        // Without an end there is no last figure: a year of it is told.
        let time = kept_s.unwrap_or(Duration::from_secs(365 * 24 * 60 * 60));
        let is_events = spec.name == EVENTS;
        let (state, memory) = if is_events { (state, SUBJECT_MEMORY_BYTES) } else { (0, 0) };
        let events = told.rate.within(time);
        let each = there.filter(|there| there.messages >= MESSAGES_THAT_TELL);
        let each = each.and_then(|there| there.bytes.checked_div(there.messages)).unwrap_or(told.bytes);
        let messages = events.saturating_add(state);
        Self {
            stream: spec.name.to_owned(),
            rate: told.rate,
            kept_s,
            messages,
            bytes: events.saturating_mul(each).saturating_add(state.saturating_mul(RECEIPT_BYTES)),
            memory_bytes: messages.saturating_mul(memory),
            bytes_max,
        }
    }

    /// What of the disk it takes in the end: no more than its limit, and all of that is set aside.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.bytes_max.unwrap_or(self.bytes)
    }

    /// What each message takes.
    pub(super) fn bytes_each(&self) -> u64 {
        self.bytes.checked_div(self.messages).unwrap_or_default()
    }

    /// When it is full, if it is full before its first message ends.
    pub(super) fn full_after(&self) -> Option<Duration> {
        let max = self.bytes_max.filter(|max| self.bytes > *max)?;
        self.rate.time_for(max.checked_div(self.bytes_each())?)
    }
}

/// All messages that tell of something: how many come, and what each takes, in the mean.
struct Told {
    rate: Rate,
    bytes: u64,
}

impl Told {
    fn of(functions: &[Description], flow: &Flow) -> Self {
        let rate = flow.messages();
        let a_year = |rate: Rate| u128::from(rate.within(Duration::from_secs(365 * 24 * 60 * 60)));
        let events = flow
            .types
            .iter()
            .map(|(name, type_)| a_year(type_.rate) * u128::from(event_bytes(functions, name)));
        let receipts = flow.functions.iter().map(|given| a_year(given.receipts) * u128::from(RECEIPT_BYTES));
        let bytes: u128 = events.chain(receipts).sum();
        let mean = bytes.checked_div(a_year(rate)).and_then(|mean| u64::try_from(mean).ok());
        Self { rate, bytes: mean.unwrap_or_default() }
    }
}

/// What an event of this type takes in its stream, by the example in a contract.
pub(super) fn event_bytes(functions: &[Description], name: &str) -> u64 {
    let kinds = functions.iter().flat_map(|f| f.emits.iter().chain(&f.listens_to).chain(&f.admits));
    let example = kinds.filter(|kind| kind.name == name).find_map(|kind| kind.example.as_ref());
    let data = example.map_or(DATA_BYTES, |example| example.to_string().len() as u64);
    EVENT_OVERHEAD_BYTES + data
}
