//! Everything together: what is asked of the broker and of each function.

use std::collections::BTreeMap;
use std::time::Duration;

use jetlag::Description;
use jetlag::topology::{EVENTS, Sizing, Topology};
use serde::Serialize;

use super::demand;
use super::finding::{self, Finding};
use super::flow::{Asked, Flow, Unclear};
use super::measured::{
    BROKER_MEMORY_BYTES, CONNECTION_MEMORY_BYTES, MESSAGES_PER_INPUT, READ_MEMORY_MAX_BYTES,
    START_MS_PER_MILLION,
};
use super::rate::Rate;
use super::store::{Kept, Seen};

pub use super::demand::Running;

/// What there is, beside contracts and rates.
#[derive(Debug, Clone, Default)]
pub struct Means {
    /// Pieces of state that functions keep, together.
    pub state: u64,
    /// How long one run of a function takes, by its name.
    pub takes: BTreeMap<String, Duration>,
    /// The memory that the broker has.
    pub broker_memory: Option<u64>,
    /// The disk that it has.
    pub broker_disk: Option<u64>,
    /// What the broker itself says.
    pub seen: Option<Seen>,
}

/// What rates ask of the broker and of functions, and whether that fits.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// How often what happens.
    pub flow: Flow,
    /// What is kept.
    pub streams: Vec<Kept>,
    /// Copies of each stream: what is below is for one server that has one of each.
    pub copies: u8,
    /// What each function is asked for.
    pub functions: Vec<Running>,
    /// Connections with all processes that there may be.
    pub connections: u64,
    /// Messages that the broker takes in a second; it gives out as many.
    pub messages_per_s: u64,
    /// The memory that it needs.
    pub memory_bytes: u64,
    /// The disk that it needs, with what streams set aside.
    pub disk_bytes: u64,
    /// How long it takes to start after a kill, in seconds.
    pub start_s: u64,
    /// What does not fit.
    pub findings: Vec<Finding>,
    /// What the broker says of itself, if it was asked.
    pub broker: Option<Seen>,
}

impl Plan {
    /// What `functions` on streams of `sizing` ask for if `asked` happens.
    ///
    /// # Errors
    /// It is not clear what happens.
    pub fn of(
        functions: &[Description],
        sizing: &Sizing,
        asked: &Asked,
        means: &Means,
    ) -> Result<Self, Unclear> {
        let flow = Flow::of(functions, asked)?;
        let topology = Topology::of(functions, sizing);
        let streams = Kept::all(&topology.streams, functions, &flow, means.state, means.seen.as_ref());
        let running = demand::of(functions, &flow, &means.takes);
        let connections = running.iter().map(|function| u64::from(function.connections)).sum::<u64>()
            + demand::COMMAND_CONNECTIONS;
        let events = streams.iter().find(|kept| kept.stream == EVENTS);
        let (subjects, read) =
            events.map_or((0, 0), |kept| (kept.messages, kept.disk_bytes().min(kept.bytes)));
        let kept: u64 = streams.iter().map(|kept| kept.memory_bytes).fold(0, u64::saturating_add);
        let inputs: Rate = flow.functions.iter().map(|given| given.inputs).sum();
        let others =
            topology.streams.iter().filter(|spec| !streams.iter().any(|kept| kept.stream == spec.name));
        let set_aside = others.filter_map(|spec| spec.config.get("max_bytes")?.as_u64());
        let disk = streams.iter().map(Kept::disk_bytes).chain(set_aside).fold(0, u64::saturating_add);
        let mut plan = Self {
            copies: sizing.replicas,
            functions: running,
            connections,
            messages_per_s: inputs.a_second().saturating_mul(MESSAGES_PER_INPUT),
            memory_bytes: BROKER_MEMORY_BYTES
                .saturating_add(kept)
                .saturating_add(read.min(READ_MEMORY_MAX_BYTES))
                .saturating_add(connections.saturating_mul(CONNECTION_MEMORY_BYTES)),
            disk_bytes: disk,
            start_s: subjects.saturating_mul(START_MS_PER_MILLION).div_ceil(1_000_000_000),
            findings: Vec::new(),
            broker: means.seen.clone(),
            flow,
            streams,
        };
        plan.findings = finding::all(&plan, means);
        Ok(plan)
    }
}
