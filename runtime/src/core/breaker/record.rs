//! What the processes of a function write down about their circuit breaker: one record, as state of the function.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::contract::Breaker;
use crate::core::breaker::{OPEN_FOR_MAX, Standing};
use crate::core::broker::{Expect, Keep, Message};
use crate::subject::Subject;

/// The kind under which the record is kept: no contract can name it.
const KIND: &str = "_jetlag";
const KEY: &str = "breaker";
/// How long a record is kept after it was last written: each failed probe writes it again.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How much earlier than agreed a probe may begin: each process rounds in its own way.
const EARLY_MAX: Duration = Duration::from_millis(100);

/// How the circuit stands, in the time of day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "position", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The dependency answered at this time, after it had been down.
    Closed {
        #[serde(with = "time::serde::rfc3339")]
        since: OffsetDateTime,
    },
    /// The dependency is down.
    Open {
        #[serde(with = "time::serde::rfc3339")]
        since: OffsetDateTime,
        /// When a probe may begin.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
        /// The one that tries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probe: Option<Probe>,
    },
}

/// An input that tries, and how long the others wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probe {
    /// The id of its cause.
    pub(crate) input: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) until: OffsetDateTime,
}

/// Where the record of `function` is.
pub(crate) fn subject(function: &str) -> Subject {
    Subject::of_state(function, KIND, KEY)
}

impl Record {
    /// The record in `payload`; one that cannot be read is none.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    /// A message that puts it in place of the one with this sequence.
    pub(crate) fn message(&self, subject: &Subject, sequence: u64) -> Option<Message> {
        let json = serde_json::to_vec(self).ok()?;
        let mut message = Message::new(subject.clone(), Bytes::from(json));
        message.expect = Some(Expect { sequence, scope: None });
        message.keep = Keep::For(KEPT);
        Some(message)
    }

    /// Who has leave to probe at `now`.
    fn prober(&self, now: OffsetDateTime) -> Option<&Probe> {
        match self {
            Self::Open { probe, .. } => probe.as_ref().filter(|probe| probe.until > now),
            Self::Closed { .. } => None,
        }
    }

    /// What to write if this process finds the dependency down: nothing if that is known.
    pub(crate) fn opened(
        found: Option<&Self>,
        now: OffsetDateTime,
        (since, until): (OffsetDateTime, OffsetDateTime),
    ) -> Option<Self> {
        match found {
            Some(record @ Self::Open { until, .. }) if *until > now || record.prober(now).is_some() => None,
            Some(Self::Open { since, .. }) => Some(Self::Open { since: *since, until, probe: None }),
            Some(Self::Closed { .. }) | None => Some(Self::Open { since, until, probe: None }),
        }
    }

    /// What to write so that `probe` has leave to try: nothing if it is not its turn. A record of a closed circuit only
    /// counts if it is newer than the opening, which one that `is_owed` to the others is not.
    pub(crate) fn leased(
        found: Option<&Self>,
        now: OffsetDateTime,
        opened_at: OffsetDateTime,
        probe: &Probe,
        is_owed: bool,
    ) -> Option<Self> {
        let open = |since, until| Some(Self::Open { since, until, probe: Some(probe.clone()) });
        match found {
            Some(Self::Closed { .. }) if !is_owed => None,
            Some(Self::Closed { .. }) | None => open(opened_at, now),
            Some(record @ Self::Open { since, until, .. }) => {
                let is_mine = record.prober(now).is_none_or(|other| other == probe);
                (is_mine && *until <= now + EARLY_MAX).then(|| open(*since, *until)).flatten()
            }
        }
    }

    /// What to write after a failed `probe`: nothing if the others have found out something else meanwhile.
    pub(crate) fn reopened(
        found: Option<&Self>,
        (since, until): (OffsetDateTime, OffsetDateTime),
        probe: &Probe,
    ) -> Option<Self> {
        match found {
            Some(Self::Open { since, probe: Some(by), .. }) if by == probe => {
                Some(Self::Open { since: *since, until, probe: None })
            }
            Some(_) => None,
            None => Some(Self::Open { since, until, probe: None }),
        }
    }

    /// What to write after a probe that was answered: nothing if it is known.
    pub(crate) fn closed(found: Option<&Self>, now: OffsetDateTime) -> Option<Self> {
        match found {
            Some(Self::Closed { .. }) => None,
            Some(Self::Open { .. }) | None => Some(Self::Closed { since: now }),
        }
    }

    /// What to write if the dependency `answered` a process that never took it for down: nothing before somebody else
    /// could have tried, or while somebody does.
    pub(crate) fn attested(
        found: Option<&Self>,
        answered: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Option<Self> {
        match found {
            Some(record @ Self::Open { until, .. }) if *until <= answered && record.prober(now).is_none() => {
                Some(Self::Closed { since: now })
            }
            _ => None,
        }
    }

    /// The same on this process's own clock, `now` being `at` in the time of day. However wrong the other's clock was,
    /// nothing lasts longer than it could.
    pub(crate) fn standing(
        &self,
        settings: Breaker,
        probe_max: Duration,
        now: Instant,
        at: OffsetDateTime,
    ) -> Standing {
        let after = |then: OffsetDateTime, most: Duration| {
            now + Duration::try_from(then - at).unwrap_or_default().min(most)
        };
        match self {
            Self::Closed { .. } => Standing::Closed,
            Self::Open { since, until, .. } => {
                let ago = Duration::try_from(at - *since).unwrap_or_default();
                let since = now.checked_sub(ago).unwrap_or(now);
                match self.prober(at) {
                    Some(probe) => Standing::Elsewhere { since, until: after(probe.until, probe_max) },
                    None => {
                        Standing::Open { since, until: after(*until, settings.open_for.max(OPEN_FOR_MAX)) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + SECOND * u32::try_from(seconds).unwrap()
    }

    fn probe(input: &str, until: u64) -> Probe {
        Probe { input: input.into(), until: at(until) }
    }

    fn open(since: u64, until: u64, probe: Option<Probe>) -> Record {
        Record::Open { since: at(since), until: at(until), probe }
    }

    #[test]
    fn the_first_who_finds_it_down_says_so_and_the_others_wait_as_long() {
        let mine = (at(100), at(130));
        assert_eq!(Record::opened(None, at(100), mine), Some(open(100, 130, None)));
        assert_eq!(
            Record::opened(Some(&Record::Closed { since: at(7) }), at(100), mine),
            Some(open(100, 130, None))
        );
        assert_eq!(Record::opened(Some(&open(99, 129, None)), at(100), mine), None);
        assert_eq!(Record::opened(Some(&open(60, 90, Some(probe("a", 101)))), at(100), mine), None);
        // An outage that nobody has looked at for a while goes on.
        assert_eq!(Record::opened(Some(&open(9, 90, None)), at(100), mine), Some(open(9, 130, None)));
    }

    #[test]
    fn one_probe_has_leave_until_its_time_is_over() {
        let mine = probe("mine", 115);
        let lease = |found: &Record, now| Record::leased(Some(found), at(now), at(1), &mine, false);
        assert_eq!(lease(&open(70, 101, None), 100), None);
        let leased = lease(&open(70, 100, None), 100);
        assert_eq!(leased, Some(open(70, 100, Some(mine.clone()))));
        // Its own, after an answer that was lost.
        assert_eq!(lease(leased.as_ref().unwrap(), 100), leased);
        assert_eq!(lease(&open(70, 100, Some(probe("other", 101))), 100), None);
        assert_eq!(lease(&open(70, 100, Some(probe("dead", 100))), 100), leased);
        assert_eq!(lease(&Record::Closed { since: at(99) }, 100), None);
        let owed = Record::leased(Some(&Record::Closed { since: at(9) }), at(100), at(70), &mine, true);
        assert_eq!(owed, Some(open(70, 100, Some(mine.clone()))));
    }

    #[test]
    fn an_answer_closes_what_nobody_tries_any_more() {
        let attested = |found: &Record, answered| Record::attested(Some(found), at(answered), at(140));
        let closed = Some(Record::Closed { since: at(140) });
        assert_eq!(attested(&open(70, 100, None), 100), closed);
        assert_eq!(attested(&open(70, 100, None), 99), None, "of a run that may be older than the outage");
        assert_eq!(attested(&open(70, 100, Some(probe("other", 141))), 139), None);
        assert_eq!(attested(&open(70, 100, Some(probe("dead", 140))), 139), closed);
        assert_eq!(attested(&Record::Closed { since: at(99) }, 139), None);
        assert_eq!(Record::attested(None, at(139), at(140)), None);
    }

    #[test]
    fn only_the_one_who_tried_says_that_it_failed_and_everyone_may_say_that_it_is_up() {
        let mine = probe("mine", 115);
        let next = (at(70), at(140));
        assert_eq!(
            Record::reopened(Some(&open(70, 100, Some(mine.clone()))), next, &mine),
            Some(open(70, 140, None))
        );
        let other = open(70, 100, Some(probe("other", 130)));
        assert_eq!(Record::reopened(Some(&other), next, &mine), None);
        assert_eq!(Record::reopened(Some(&Record::Closed { since: at(109) }), next, &mine), None);
        assert_eq!(Record::closed(Some(&other), at(110)), Some(Record::Closed { since: at(110) }));
        assert_eq!(Record::closed(Some(&Record::Closed { since: at(109) }), at(110)), None);
    }

    #[tokio::test]
    async fn a_clock_that_is_wrong_delays_nobody_for_long() {
        let (now, settings) = (Instant::now(), Breaker::after(5).open_for(30 * SECOND));
        let standing = |record: Record| record.standing(settings, 15 * SECOND, now, at(1000));
        assert_eq!(standing(open(1000, 1030, None)), Standing::Open { since: now, until: now + 30 * SECOND });
        assert_eq!(
            standing(open(9000, 9030, None)),
            Standing::Open { since: now, until: now + OPEN_FOR_MAX }
        );
        assert_eq!(standing(open(1000, 990, None)), Standing::Open { since: now, until: now });
        assert_eq!(
            standing(open(1000, 990, Some(probe("x", 9000)))),
            Standing::Elsewhere { since: now, until: now + 15 * SECOND }
        );
        assert_eq!(standing(Record::Closed { since: at(9000) }), Standing::Closed);
    }

    #[test]
    fn a_record_reads_back_and_has_a_place_that_no_contract_can_name() {
        for record in [open(1, 2, None), open(1, 2, Some(probe("x", 3))), Record::Closed { since: at(4) }] {
            let message = record.message(&subject("till"), 7).unwrap();
            assert_eq!(Record::read(&message.payload), Some(record));
        }
        assert_eq!(subject("till").as_str(), "state.till._jetlag%2Fbreaker");
        assert_eq!(Record::read(b"{\"position\":\"ajar\"}"), None);
    }
}
