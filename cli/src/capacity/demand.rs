//! What is asked of each function's processes.

use std::collections::BTreeMap;
use std::time::Duration;

use jetlag::topology::ACK_PENDING_MAX;
use jetlag::{Description, Source};
use serde::Serialize;

use super::flow::Flow;
use super::measured::PROCESS_INPUTS_PER_S;
use super::rate::Rate;

/// Processes that take requests, in the generated manifests.
const REQUEST_PROCESSES: u32 = 2;
/// `jetlag rescue`, `jetlag provision`, `jetlag metrics`, and two people who look.
pub(super) const COMMAND_CONNECTIONS: u64 = 5;

/// What is asked of one function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Its name.
    pub function: String,
    /// Inputs a day.
    #[serde(rename = "inputs_per_day")]
    pub inputs: Rate,
    /// Processes that there may be.
    pub processes_max: u32,
    /// Connections of all of them, and of those that take requests.
    pub connections: u32,
    /// Runs at a time, in all of them.
    pub together_max: u64,
    /// How long one run takes, in milliseconds, if it was said.
    pub takes_ms: Option<u64>,
    /// Processes that are always busy at this rate; absent if it was not said how long a run takes.
    pub busy: Option<u64>,
    /// The longest that one run may take, in milliseconds, for all of them to keep up; absent without inputs.
    pub may_take_ms: Option<u64>,
}

pub(super) fn of(functions: &[Description], flow: &Flow, takes: &BTreeMap<String, Duration>) -> Vec<Running> {
    let each = functions.iter().zip(&flow.functions);
    each.map(|(function, given)| running(function, given.inputs, takes.get(&function.name).copied()))
        .collect()
}

fn running(function: &Description, inputs: Rate, takes: Option<Duration>) -> Running {
    let pulls = function.trigger.pulls();
    let processes = if pulls { function.scaling.max } else { 0 };
    let requests = !function.endpoints.is_empty() || function.trigger.takes_requests();
    // A run of a function that reads the trail is a batch of it, and there is one at a time.
    let (slots, per_run) = match function.reads {
        Source::Audit => (1, function.batch as u64),
        Source::Events => (function.concurrency as u64, 1),
    };
    let together = u64::from(processes).saturating_mul(slots);
    let inputs_together = together.saturating_mul(per_run).min(ACK_PENDING_MAX);
    let in_process = slots.saturating_mul(per_run).max(1);
    let a_second = inputs.a_second();
    let busy = takes.map(|time| {
        let by_time = inputs.within(time).div_ceil(in_process);
        by_time.max(a_second.div_ceil(PROCESS_INPUTS_PER_S))
    });
    let may_take = inputs.time_for(inputs_together).filter(|_| processes > 0);
    Running {
        function: function.name.clone(),
        inputs,
        processes_max: processes,
        connections: processes.saturating_add(if requests { REQUEST_PROCESSES } else { 0 }),
        together_max: together,
        takes_ms: takes.map(millis),
        busy: busy.filter(|_| processes > 0),
        may_take_ms: may_take.map(millis),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
