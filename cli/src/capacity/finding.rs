//! What does not fit, and what to do.

use std::fmt;
use std::time::Duration;

use jetlag::topology::{AUDIT, EVENTS};
use keda::lint::Severity;
use serde::Serialize;

use super::measured::{PROCESS_INPUTS_PER_S, STREAM_EVENTS_PER_S};
use super::plan::{Means, Plan};
use super::size::enough;
use super::store::Kept;
use crate::status::{grouped, size, span};

/// Above this part of its limit, admission of a stream is closed: so much more is needed than what is kept.
const ADMISSION_PERCENT: u64 = 90;
/// A broker that takes longer than this to start is away for longer than its clients wait quietly.
const START_MAX_S: u64 = 60;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// By which rule.
    pub rule: Rule,
    /// A stream, a function, or the broker.
    pub place: String,
    /// What does not fit.
    pub what: String,
    /// What to do.
    pub instead: String,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A stream has room for less than it is to keep.
    StreamFull,
    /// A stream without a limit of bytes fills the disk in the end.
    NoLimit,
    /// More events than one stream takes.
    StreamLimit,
    /// The broker has less memory than it needs.
    MemoryShort,
    /// It has less disk.
    DiskShort,
    /// The account may store less.
    AccountStorage,
    /// All processes together are too slow.
    ProcessesShort,
    /// The broker takes long to start.
    SlowStart,
    /// Nothing was said of an input.
    RateUnsaid,
}

impl Rule {
    const fn severity(self) -> Severity {
        match self {
            Self::NoLimit | Self::SlowStart | Self::RateUnsaid => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Notes what is found.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, is: bool, rule: Rule, place: &str, texts: impl FnOnce() -> (String, String)) {
        if is {
            let (what, instead) = texts();
            self.0.push(Finding { severity: rule.severity(), rule, place: place.into(), what, instead });
        }
    }
}

pub(super) fn all(plan: &Plan, means: &Means) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    for name in &plan.flow.unsaid {
        findings.add(true, Rule::RateUnsaid, name, || {
            (
                "nothing was said of how often it comes, so it counts as never".into(),
                format!("--rate {name}=RATE"),
            )
        });
    }
    for kept in &plan.streams {
        stream(kept, means, &mut findings);
    }
    broker(plan, means, &mut findings);
    functions(plan, &mut findings);
    findings.0
}

fn stream(kept: &Kept, means: &Means, findings: &mut Findings) {
    let name = kept.stream.as_str();
    if let Some(after) = kept.full_after() {
        let max = kept.bytes_max.unwrap_or_default();
        // What admission leaves free is needed too.
        let needed = kept.bytes.saturating_mul(100).div_ceil(ADMISSION_PERCENT);
        let time = kept.kept_s.map_or_else(|| "a year".to_owned(), time);
        findings.add(true, Rule::StreamFull, name, || {
            let what = format!(
                "it is to keep {} for {time}, and has room for {}: full after {}",
                size(kept.bytes),
                size(max),
                self::time(after)
            );
            let room = enough(needed);
            let instead = match name {
                EVENTS => {
                    let fits = after.as_secs() * ADMISSION_PERCENT / 100;
                    format!(
                        "streams.max_bytes: {room} in jetlag.yaml, or a streams.horizon of at most {} (admission closes at {ADMISSION_PERCENT} %); \
                         of a stream that is there: nats stream edit {EVENTS} --max-bytes",
                        time_written(fits)
                    )
                }
                _ => format!("nats stream edit {name} --max-bytes {room}, or a smaller --max-age"),
            };
            (what, instead)
        });
    }
    let disk = means.broker_disk;
    findings.add(name == AUDIT && kept.bytes_max.is_none() && kept.messages > 0, Rule::NoLimit, name, || {
        let what = format!(
            "it grows by {} a day for {}, and no limit keeps the disk free for other streams{}",
            size(kept.rate.within(Duration::from_secs(86_400)).saturating_mul(kept.bytes_each())),
            kept.kept_s.map_or_else(|| "ever".to_owned(), time),
            disk.map_or_else(String::new, |disk| {
                let until = disk.checked_div(kept.bytes_each()).and_then(|count| kept.rate.time_for(count));
                until.map_or_else(String::new, |until| format!("; alone it fills {} in {}", size(disk), time(until)))
            })
        );
        (what, format!("nats stream edit {name} --max-age, as short as the law allows, and copy what is older elsewhere"))
    });
}

fn broker(plan: &Plan, means: &Means, findings: &mut Findings) {
    let place = "broker";
    let events = plan.flow.messages().a_second();
    findings.add(events > STREAM_EVENTS_PER_S, Rule::StreamLimit, EVENTS, || {
        let what = format!(
            "{} messages a second; one stream was seen to take {}",
            grouped(events),
            grouped(STREAM_EVENTS_PER_S)
        );
        (
            what,
            "several streams, each with a part of the aggregates: docs/capacity.md, beyond one stream".into(),
        )
    });
    if let Some(memory) = means.broker_memory.filter(|memory| *memory < plan.memory_bytes) {
        findings.add(true, Rule::MemoryShort, place, || {
            let what = format!("it needs {} of memory, and has {}", size(plan.memory_bytes), size(memory));
            (what, format!("{} of memory, or a shorter streams.horizon", enough(plan.memory_bytes)))
        });
    }
    if let Some(disk) = means.broker_disk.filter(|disk| *disk < plan.disk_bytes) {
        findings.add(true, Rule::DiskShort, place, || {
            let what =
                format!("streams take {} of the disk, which has {}", size(plan.disk_bytes), size(disk));
            (
                what,
                format!(
                    "a disk of {}, or shorter times: streams.horizon, and --max-age of AUDIT",
                    enough(plan.disk_bytes)
                ),
            )
        });
    }
    if let Some(seen) = &means.seen {
        let stored = plan.disk_bytes.saturating_mul(u64::from(plan.copies));
        if let Some(max) = seen.storage_max.filter(|max| *max < stored) {
            findings.add(true, Rule::AccountStorage, "account", || {
                let what = format!(
                    "{} copies take {}, and the account may store {}",
                    plan.copies,
                    size(stored),
                    size(max)
                );
                (what, format!("let the account store {}", enough(stored)))
            });
        }
    }
    findings.add(plan.start_s > START_MAX_S, Rule::SlowStart, place, || {
        let what = format!("after a kill it is away for about {}", time(Duration::from_secs(plan.start_s)));
        (what, "three servers and streams.replicas: 3, so that another one leads meanwhile, or a shorter horizon".into())
    });
}

fn functions(plan: &Plan, findings: &mut Findings) {
    for function in &plan.functions {
        let max = u64::from(function.processes_max);
        let a_second = function.inputs.a_second();
        let Some(busy) = function.busy.filter(|busy| *busy > max) else { continue };
        findings.add(true, Rule::ProcessesShort, &function.function, || {
            let takes = function.takes_ms.unwrap_or_default();
            let what = format!(
                "{} inputs a second, each {takes} ms, keep {busy} processes busy, and there are {max} at most",
                grouped(a_second)
            );
            let instead = if a_second.div_ceil(PROCESS_INPUTS_PER_S) > max {
                format!("Scaling::up_to({busy}) or more in its contract")
            } else {
                format!("Scaling::up_to({busy}) or more in its contract, a larger .concurrency(…), or shorter runs")
            };
            (what, instead)
        });
    }
}

/// A time as people read it.
pub(super) fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{} ms", time.as_millis());
    }
    span(time::Duration::seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)))
}

/// A time as it is written into jetlag.yaml.
fn time_written(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3_600),
    }
}
