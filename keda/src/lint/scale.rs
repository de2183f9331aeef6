//! What is wrong with how a function is scaled, whether its contract or a ScaledObject says so.

use jetlag::Description;
use jetlag::topology::{AUDIT, ConsumerSpec, Sizing, Topology, held};

use super::contract::{longest_wait, millis, place};
use super::{Findings, Rule, Texts, seconds};
use crate::decision::Settings;

/// The first input after a quiet time waits for as long as KEDA does not look.
const POLLING_MOST_MS: u64 = 30_000;
/// What KEDA should look at in, if nothing else is known, in seconds.
const POLLING_S: u64 = 5;

/// How a function is scaled.
#[derive(Debug)]
pub(super) struct Scale {
    place: String,
    /// How its settings are named where they are said.
    words: &'static Words,
    polling_ms: u64,
    cooldown_ms: u64,
    min: u32,
    max: u32,
    /// The lag for which a process is wanted, by stream.
    thresholds: Vec<(String, u64)>,
}

/// How settings are named, with `{}` for the value.
#[derive(Debug)]
struct Words {
    lag: &'static str,
    cooldown: &'static str,
    polling: &'static str,
    max: &'static str,
}

const IN_CONTRACT: Words = Words {
    lag: ".scaling(Scaling::….lag({}))",
    cooldown: ".scaling(Scaling::….cooldown(Duration::from_secs({})))",
    polling: ".scaling(Scaling::….polling(Duration::from_secs({})))",
    max: ".scaling(Scaling::up_to({}))",
};
const IN_YAML: Words = Words {
    lag: "lagThreshold: \"{}\"",
    cooldown: "cooldownPeriod: {}",
    polling: "pollingInterval: {}",
    max: "maxReplicaCount: {}",
};

impl Scale {
    /// As the contract says.
    pub(super) fn of_contract(function: &Description) -> Self {
        let scaling = &function.scaling;
        let lag = u64::from(crate::lag_threshold(function));
        Self {
            place: place(&function.name),
            words: &IN_CONTRACT,
            polling_ms: scaling.polling_ms,
            cooldown_ms: scaling.cooldown_ms,
            min: scaling.min,
            max: scaling.max,
            thresholds: consumers(function).iter().map(|it| (it.stream.to_owned(), lag)).collect(),
        }
    }

    /// As a ScaledObject says, whose triggers are on `streams`.
    pub(super) fn of_settings(place: &str, settings: &Settings, streams: Vec<String>) -> Self {
        let targets = settings.triggers.iter().map(|trigger| trigger.target.get());
        Self {
            place: place.to_owned(),
            words: &IN_YAML,
            polling_ms: millis(settings.polling),
            cooldown_ms: millis(settings.cooldown),
            min: settings.min,
            max: settings.max,
            thresholds: streams.into_iter().zip(targets).collect(),
        }
    }
}

/// The consumers of a function.
pub(super) fn consumers(function: &Description) -> Vec<ConsumerSpec> {
    Topology::of(std::slice::from_ref(function), &Sizing::default()).consumers
}

/// `template` with `value` in its place.
fn write(template: &str, value: u64) -> String {
    template.replace("{}", &value.to_string())
}

pub(super) fn look(scale: &Scale, function: Option<&Description>, findings: &mut Findings) {
    let Scale { place, words, polling_ms, cooldown_ms, min, max, thresholds } = scale;

    findings.add(min > max || *max == 0, Rule::MinAboveMax, place, || Texts {
        what: format!("at least {min} processes and at most {max}"),
        why: "the API server refuses a minimum above the maximum, and a maximum of none",
        instead: write(words.max, u64::from((*min).max(1))),
    });
    findings.add(*polling_ms == 0, Rule::PollingZero, place, || Texts {
        what: "the polling interval is nothing".into(),
        why: "KEDA counts whole seconds, and the API server refuses 0",
        instead: write(words.polling, POLLING_S),
    });
    findings.add(*polling_ms > POLLING_MOST_MS, Rule::PollingTooSlow, place, || Texts {
        what: format!("lag is looked at every {}", seconds(*polling_ms)),
        why: "at zero, the first input after a quiet time and every retry that falls due wait as long for a process",
        instead: write(words.polling, POLLING_S),
    });
    let is_one_look = cooldown_ms < polling_ms && *min == 0;
    findings.add(is_one_look, Rule::CooldownBelowPolling, place, || Texts {
        what: format!(
            "the cooldown is {}, and lag is looked at every {}",
            seconds(*cooldown_ms),
            seconds(*polling_ms)
        ),
        why: "a single look that sees no lag stops everything, although work may have come and gone in between",
        instead: write(words.cooldown, polling_ms.saturating_mul(2).div_ceil(1000)),
    });
    let Some(function) = function else { return };
    against_waits(scale, function, findings);
    for (stream, threshold) in thresholds {
        against_held(scale, function, stream, *threshold, findings);
    }
}

/// The cooldown against what a function waits for.
fn against_waits(scale: &Scale, function: &Description, findings: &mut Findings) {
    let Scale { place, words, cooldown_ms, min, .. } = scale;
    // Without zero there is no cooldown.
    if *min > 0 {
        return;
    }
    let wait = longest_wait(&function.retry);
    findings.add(*cooldown_ms < wait, Rule::CooldownBelowBackoff, place, || Texts {
        what: format!("the cooldown is {}, and retries wait up to {} and jitter", seconds(*cooldown_ms), seconds(wait)),
        why: "a retry that waits is no lag: the last process stops between two attempts, and each attempt starts another",
        instead: write(words.cooldown, wait.div_ceil(1000)),
    });
    let open = function.breaker.map_or(0, |breaker| breaker.open_for_ms);
    findings.add(*cooldown_ms < open, Rule::CooldownBelowBreaker, place, || Texts {
        what: format!("the cooldown is {}, and an open breaker waits {}", seconds(*cooldown_ms), seconds(open)),
        why: "if every input waits for its retry, the processes stop before the breaker tries again, and the next is started only to find it open",
        instead: write(words.cooldown, open.div_ceil(1000)),
    });
}

/// The threshold and the maximum against what a process holds of one consumer.
fn against_held(
    scale: &Scale,
    function: &Description,
    stream: &str,
    threshold: u64,
    findings: &mut Findings,
) {
    let Scale { place, words, max, .. } = scale;
    let held = held(stream, function.concurrency, function.batch) as u64;
    // The HPA does nothing within a tenth of its target.
    let busy_is_more = held.saturating_mul(10) > threshold.saturating_mul(11);
    findings.add(busy_is_more, Rule::ThresholdBelowHeld, place, || Texts {
        what: format!("one process for a lag of {threshold} on {stream}, and a process holds up to {held}"),
        why: "what is worked on is lag too: a process that is busy asks for a second, which finds nothing to do, and so on up to the maximum",
        instead: format!("{}, twice what one holds", write(words.lag, held.saturating_mul(2))),
    });
    if stream == AUDIT {
        findings.add(*max > 1, Rule::TrailInParallel, place, || Texts {
            what: format!("up to {max} processes read the audit trail"),
            why: "the trail is read in order, one batch at a time over all processes: the others only wait",
            instead: write(words.max, 1),
        });
        return;
    }
    let pending = ack_pending_max(function, stream);
    let all = u64::from(*max).saturating_mul(held);
    findings.add(all > pending, Rule::MaxAboveAckPending, place, || Texts {
        what: format!(
            "{max} processes hold up to {all} inputs of {stream}, and the broker gives out {pending}"
        ),
        why: "it gives nothing more until something is answered: the last processes find no work",
        instead: write(words.max, (pending / held.max(1)).max(1)),
    });
}

/// How many inputs of one consumer may be unanswered.
fn ack_pending_max(function: &Description, stream: &str) -> u64 {
    let consumers = consumers(function);
    let consumer = consumers.iter().find(|consumer| consumer.stream == stream);
    consumer.and_then(|consumer| consumer.config.get("max_ack_pending")?.as_u64()).unwrap_or(u64::MAX)
}
