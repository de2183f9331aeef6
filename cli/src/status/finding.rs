//! What looks wrong, and what to do: decided from what was seen, and from nothing else.

use jetlag::jetstream::{ConsumerFacts, StreamFacts};
use jetlag::topology::{ADVISORIES, AUDIT, DEAD_LETTERS, EVENTS, RETRY};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::{Function, Lane, Process, grouped, span};
use crate::supervisor::Phase;

/// Every application has these.
const NEEDED: [&str; 5] = [EVENTS, RETRY, DEAD_LETTERS, AUDIT, ADVISORIES];
/// From here on a stream is nearly full. Admission closes at 90 % of EVENTS.
const FULL_PERCENT: u64 = 80;
/// How long an input may wait for a process that has to be started first: KEDA looks every 5 s, and a pod is there 5 s later.
const START_MAX: Duration = Duration::seconds(15);
/// How long a function whose processes are all busy may be silent.
const SILENT_MAX: Duration = Duration::seconds(60);
/// How long the broker may take to copy an event to the audit trail.
const COPY_MAX: Duration = Duration::seconds(60);

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody has to do something.
    Wrong,
    /// Worth knowing.
    Note,
}

/// Something that looks wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing: a word for programs.
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The function or stream.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// The command that does it or shows more, to be pasted.
    pub command: Option<String>,
}

/// What was seen.
pub(super) struct Evidence<'a> {
    pub(super) at: OffsetDateTime,
    pub(super) streams: &'a [StreamFacts],
    pub(super) consumers: &'a [ConsumerFacts],
    pub(super) functions: &'a [Function],
    /// Dead letters whose reasons were looked at, and those whose were not.
    pub(super) letters_seen: u64,
    pub(super) letters_unseen: u64,
    /// What a command must be told to speak to the same broker.
    pub(super) target: &'a str,
}

/// Everything that looks wrong: what stops everything first, then function by function.
pub(super) fn all(evidence: &Evidence<'_>) -> Vec<Finding> {
    let there = |name: &str| evidence.streams.iter().any(|stream| stream.name == name);
    if !NEEDED.iter().any(|name| there(name)) {
        return vec![evidence.nothing()];
    }
    let mut findings: Vec<Finding> =
        NEEDED.into_iter().filter(|name| !there(name)).map(|name| evidence.missing(name)).collect();
    findings.extend(evidence.streams.iter().flat_map(|stream| evidence.stream(stream)));
    findings.extend(evidence.functions.iter().flat_map(|function| evidence.function(function)));
    findings.extend(evidence.given_up());
    findings
}

impl Evidence<'_> {
    fn command(&self, words: &str) -> Option<String> {
        Some(format!("jetlag {words}{}", self.target))
    }

    fn nothing(&self) -> Finding {
        Finding {
            kind: "nothing_here",
            severity: Severity::Wrong,
            place: "broker".to_owned(),
            what: "there is no stream of Jetlag's here".to_owned(),
            remedy: "check that this is the broker and the account that is meant; `jetlag provision` makes the streams"
                .to_owned(),
            command: None,
        }
    }

    fn missing(&self, stream: &str) -> Finding {
        Finding {
            kind: "stream_missing",
            severity: Severity::Wrong,
            place: stream.to_owned(),
            what: "the stream is not there, nor is what was in it".to_owned(),
            remedy: "restore it from a copy; or make it empty, with the contracts of the functions"
                .to_owned(),
            command: self.command("provision --contracts contracts.json"),
        }
    }

    fn stream(&self, stream: &StreamFacts) -> Vec<Finding> {
        let finding = |kind, what: String, remedy: &str| Finding {
            kind,
            severity: Severity::Wrong,
            place: stream.name.clone(),
            what,
            remedy: remedy.to_owned(),
            command: None,
        };
        let mut found = Vec::new();
        if !stream.is_led {
            let what = "it has no leader: it takes nothing and gives nothing".to_owned();
            found.push(finding("no_leader", what, "start the servers that hold it: most of them must be up"));
        }
        for peer in stream.peers.iter().filter(|peer| peer.offline || !peer.current) {
            let how = if peer.offline { "is away" } else { "has not caught up" };
            let what = format!("the copy on {} {how}", peer.name);
            found.push(finding("copy_behind", what, "look at that server and its disk"));
        }
        if let Some(percent) = stream.bytes_max.and_then(|most| (stream.bytes * 100).checked_div(most))
            && percent >= FULL_PERCENT
        {
            let what = match stream.name.as_str() {
                EVENTS => {
                    format!("{percent} % of its bytes are taken: from 90 % on, nothing new is taken in")
                }
                _ => format!("{percent} % of its bytes are taken"),
            };
            let remedy = match stream.name.as_str() {
                EVENTS => {
                    "give it more bytes, or a shorter horizon (docs/deploy.md); events go as they reach the horizon"
                }
                ADVISORIES => "the oldest go by themselves; see what they tell",
                _ => "see what keeps it from being read; or give it more bytes",
            };
            found.push(finding("nearly_full", what, remedy));
        }
        let is_late = stream.last_at.is_none_or(|last| self.at - last > COPY_MAX);
        if let Some(lag) = stream.source_lag.filter(|lag| *lag > 0 && is_late) {
            let what = format!("{} events were not copied to it", grouped(lag));
            found.push(finding("not_copied", what, "look at the server's log: the broker copies by itself"));
        }
        found
    }

    fn function(&self, function: &Function) -> Vec<Finding> {
        let mut found = self.ended(function);
        found.extend(self.consumers(function));
        found.extend(self.breaker(function));
        found.extend(self.nobody_pulls(function));
        found.extend(self.expiring(function));
        found.extend(self.redelivered(function));
        found.extend(self.dead_letters(function));
        found
    }

    /// Processes here that are not up and do not become so.
    fn ended(&self, function: &Function) -> Vec<Finding> {
        let processes = function.processes.iter().flatten();
        let finding = |process: &Process| {
            let end = process.last_end.as_deref().unwrap_or("nobody saw how");
            let what = match process.phase {
                Phase::Failed => {
                    format!("its process {} ended and is not started again: {end}", process.name)
                }
                Phase::Waiting => {
                    format!("its process {} ended, and is started again soon: {end}", process.name)
                }
                _ => return None,
            };
            Some(Finding {
                kind: "process_ended",
                severity: Severity::Wrong,
                place: function.name.clone(),
                what,
                remedy: "its log says why".to_owned(),
                command: Some(format!("tail {}", process.log.display())),
            })
        };
        processes.filter_map(finding).collect()
    }

    fn consumers(&self, function: &Function) -> Vec<Finding> {
        let has = |stream: &str| function.lane(stream).is_some();
        let mut found = Vec::new();
        for (own, other) in [(EVENTS, RETRY), (RETRY, EVENTS)] {
            if has(own) && !has(other) {
                found.push(Finding {
                    kind: "consumer_missing",
                    severity: Severity::Wrong,
                    place: function.name.clone(),
                    what: format!("it has a consumer on {own} and none on {other}"),
                    remedy: "make it: what was answered for is recognised. Until then KEDA does not start the function for it"
                        .to_owned(),
                    command: self.command("provision --contracts contracts.json"),
                });
            }
        }
        let own = self.consumers.iter().filter(|consumer| consumer.durable == function.name);
        for consumer in own {
            if consumer.is_paused {
                found.push(Finding {
                    kind: "consumer_paused",
                    severity: Severity::Wrong,
                    place: function.name.clone(),
                    what: format!("somebody has paused its consumer on {}", consumer.stream),
                    remedy: "resume it".to_owned(),
                    command: Some(format!("nats consumer resume {} {}", consumer.stream, consumer.durable)),
                });
            }
            if let Some(most) = consumer.deliveries_max {
                found.push(Finding {
                    kind: "deliveries_limited",
                    severity: Severity::Wrong,
                    place: function.name.clone(),
                    what: format!(
                        "its consumer on {} delivers an input {most} times at most, and then gives up without a word",
                        consumer.stream
                    ),
                    remedy: "set max_deliver back to -1, and find what was given up".to_owned(),
                    command: self.command("check"),
                });
            }
        }
        found
    }

    fn breaker(&self, function: &Function) -> Option<Finding> {
        // Where nothing waits it keeps nothing back: whoever opened it has had no input to try with since, and perhaps
        // those of other processes are answered.
        let is_felt = function.lag() > 0 || function.retries.waiting > 0;
        let breaker = function.breaker.as_ref().filter(|breaker| breaker.is_open && is_felt)?;
        let next = match (breaker.next_try, &breaker.probe) {
            (_, Some(_)) => "an input tries now".to_owned(),
            (Some(at), None) if at > self.at => format!("the next input tries in {}", span(at - self.at)),
            _ => "the next input tries when a process has one".to_owned(),
        };
        Some(Finding {
            kind: "breaker_open",
            severity: Severity::Wrong,
            place: function.name.clone(),
            what: format!(
                "its circuit breaker is open for {}: what it depends on does not answer; {next}",
                span(self.at - breaker.since)
            ),
            remedy: "mend what it depends on: its inputs wait meanwhile, and lose no attempt; its log says what does not answer"
                .to_owned(),
            command: None,
        })
    }

    fn nobody_pulls(&self, function: &Function) -> Option<Finding> {
        let starved = |lane: &&Lane| {
            let is_old = lane.oldest.is_some_and(|oldest| self.at - oldest > START_MAX);
            let is_silent = function.last_active.is_none_or(|last| self.at - last > SILENT_MAX);
            // A process that is busy asks for nothing, and answers some time.
            lane.lag > 0 && lane.pulls == 0 && is_old && (lane.in_flight == 0 || is_silent)
        };
        if function.is_broken() {
            return None;
        }
        let lane = function.lanes.iter().find(starved)?;
        let waits = lane.oldest.map(|oldest| format!(", the oldest for {}", span(self.at - oldest)));
        Some(Finding {
            kind: "nobody_pulls",
            severity: Severity::Wrong,
            place: function.name.clone(),
            what: format!(
                "{} inputs wait on {}{}, and no process asks for them",
                grouped(lane.lag),
                lane.stream,
                waits.unwrap_or_default()
            ),
            remedy: match function.processes {
                Some(_) => "start it: `jetlag up` starts every function; its log says why it ended".to_owned(),
                None => "see whether it runs, and whether KEDA could start it: its ScaledObject, its pods, their logs".to_owned(),
            },
            command: match &function.processes {
                Some(processes) => processes.first().map(|process| format!("tail {}", process.log.display())),
                None => Some(format!("kubectl describe scaledobject/{0} deployment/{0}", function.name)),
            },
        })
    }

    fn expiring(&self, function: &Function) -> Option<Finding> {
        let horizon = self.streams.iter().find(|stream| stream.name == EVENTS)?.age_max?;
        let age = self.at - function.oldest_event()?;
        if age <= horizon / 2 {
            return None;
        }
        let left = Duration::try_from(horizon).unwrap_or(Duration::MAX) - age;
        Some(Finding {
            kind: "expiring",
            severity: Severity::Wrong,
            place: function.name.clone(),
            what: format!("its oldest unanswered event expires in {}", span(left)),
            remedy: "carry on what would expire, and see why the rescue did not".to_owned(),
            command: self.command(&format!("rescue {} --once", function.name)),
        })
    }

    fn redelivered(&self, function: &Function) -> Option<Finding> {
        let count = function.redelivered();
        (count > 0).then(|| Finding {
            kind: "redelivered",
            severity: Severity::Note,
            place: function.name.clone(),
            what: format!("{} of its inputs were delivered more than once and not answered for yet", grouped(count)),
            remedy: "they were given back, or their process died: if this stays, its log and its restarts say which".to_owned(),
            command: None,
        })
    }

    fn dead_letters(&self, function: &Function) -> Vec<Finding> {
        let reasons = function.dead_letters.by_reason.iter();
        let finding = |(reason, count): (&String, &u64)| Finding {
            kind: "dead_letters",
            severity: Severity::Wrong,
            place: function.name.clone(),
            what: match count {
                1 => format!("1 dead letter: {reason}"),
                count => format!("{} dead letters: {reason}", grouped(*count)),
            },
            remedy: format!(
                "see what they are; docs/errors/{reason}.md says what to do, then redrive or purge them"
            ),
            command: self.command(&format!("dlq list --function {} --reason {reason}", function.name)),
        };
        reasons.map(finding).collect()
    }

    /// What the broker told that it gave up, and letters that were not looked at.
    fn given_up(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.letters_unseen > 0 {
            found.push(Finding {
                kind: "dead_letters",
                severity: Severity::Wrong,
                place: DEAD_LETTERS.to_owned(),
                what: format!(
                    "there are {} more than the latest {}, whose reasons are told here",
                    grouped(self.letters_unseen),
                    grouped(self.letters_seen)
                ),
                remedy: "list them".to_owned(),
                command: self.command("dlq list"),
            });
        }
        let told =
            self.streams.iter().find(|stream| stream.name == ADVISORIES).map_or(0, |stream| stream.messages);
        if told > 0 {
            found.push(Finding {
                kind: "given_up_by_broker",
                severity: Severity::Note,
                place: ADVISORIES.to_owned(),
                what: format!(
                    "the broker told {} times that it does not deliver an input again",
                    grouped(told)
                ),
                remedy: "see whether their functions have answered for them".to_owned(),
                command: self.command("check"),
            });
        }
        found
    }
}

#[cfg(test)]
mod tests;
