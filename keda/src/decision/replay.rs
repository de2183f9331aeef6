//! What KEDA and the HPA did in a real cluster, held against the decision: every change of replicas must have a look at
//! the lag that decides so.
//!
//! When the real ones looked is not recorded. KEDA looks every `pollingInterval` and the HPA every so often, so a change is
//! explained if a look within the moments before it, at the lag that was recorded then, decides that very number.

use std::time::Duration;

use super::autoscaler::Autoscaler;
use super::health::{Health, Seen};
use super::{Reading, Reason, Replicas, Settings, Trigger};

/// How long before it is seen in a recording a change may have been decided: a look, two requests, and the recording's own
/// interval.
const SEEN_AFTER: Duration = Duration::from_millis(2500);
/// KEDA keeps in whole seconds when it last saw lag.
const KEPT_IN: Duration = Duration::from_secs(1);

/// What was there at a moment.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When.
    pub at: Duration,
    /// The Deployment's.
    pub replicas: Replicas,
    /// What a look would have read, trigger by trigger.
    pub readings: Vec<Reading>,
}

/// A change of the replicas that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When it was first seen.
    pub at: Duration,
    /// How many there were.
    pub from: u32,
    /// How many there were then.
    pub to: u32,
    /// Why the decision says the same; nothing if it does not.
    pub explained: Option<Reason>,
}

/// Each change in a recording, with its explanation. `sync` is how often the HPA looks.
pub fn explain(settings: &Settings, sync: Duration, samples: &[Sample]) -> Vec<Change> {
    let mut replay = Replay {
        settings,
        samples,
        health: Health::of(settings.triggers.len()),
        autoscaler: Autoscaler::default(),
        looked: None,
    };
    let mut changes = Vec::new();
    for (index, pair) in (1..).zip(samples.windows(2)) {
        let [before, after] = pair else { continue };
        replay.look(before, sync);
        let (from, to) = (before.replicas.wanted, after.replicas.wanted);
        if from != to {
            let explained = replay.explain(index, after.at, from, to);
            changes.push(Change { at: after.at, from, to, explained });
        }
    }
    changes
}

struct Replay<'a> {
    settings: &'a Settings,
    samples: &'a [Sample],
    health: Health,
    autoscaler: Autoscaler,
    /// When the HPA is taken to have looked last. Each change of its own corrects that.
    looked: Option<Duration>,
}

impl Replay<'_> {
    /// The HPA looks where it is due and changes nothing, so that it remembers what it recommends.
    fn look(&mut self, sample: &Sample, sync: Duration) {
        if self.looked.is_none_or(|looked| sample.at >= looked.saturating_add(sync)) {
            self.looked = Some(sample.at);
            let seen = self.seen(sample);
            let mut trial = self.autoscaler.clone();
            trial.decide(self.settings, sample.at, sample.replicas, &seen);
            // Only what it recommends: what it did is in the recording.
            self.autoscaler.recommended = trial.recommended;
        }
    }

    fn seen(&mut self, sample: &Sample) -> Vec<Seen> {
        self.health.weigh(self.settings, sample.replicas.wanted, &sample.readings)
    }

    /// Why `from` became `to`, as first seen at `at`, in sample `index`.
    fn explain(&mut self, index: usize, at: Duration, from: u32, to: u32) -> Option<Reason> {
        let moments: Vec<Sample> = self.before(index, SEEN_AFTER).cloned().collect();
        let by_keda = if from == 0 {
            self.woken(index, to)
        } else if to == self.settings.idle.unwrap_or(0) {
            self.stopped(index, at)
        } else {
            None
        };
        if by_keda.is_some() {
            return by_keda;
        }
        for moment in &moments {
            let mut trial = self.autoscaler.clone();
            let seen = self.seen(moment);
            let replicas = Replicas { wanted: from, running: moment.replicas.running };
            let verdict = trial.decide(self.settings, moment.at, replicas, &seen);
            if verdict.replicas == to {
                self.autoscaler = trial;
                self.looked = Some(moment.at);
                return Some(verdict.reason);
            }
        }
        // It happened all the same, and policies count it.
        if let Some(behaviour) = &self.settings.behaviour {
            self.autoscaler.remember(behaviour, at, from, to);
        }
        None
    }

    /// The sample `index` and those before it, the last first, as far as `back` before it. It counts itself: what made the
    /// change may have come after the sample before.
    fn before(&self, index: usize, back: Duration) -> impl Iterator<Item = &Sample> {
        let until = self.samples.get(index).map_or(Duration::ZERO, |sample| sample.at);
        let samples = self.samples.get(..=index).unwrap_or_default().iter().rev();
        samples.take_while(move |sample| sample.at.saturating_add(back) >= until)
    }

    fn active(&self, sample: &Sample) -> Vec<String> {
        let is = |reading: &Reading, trigger: &Trigger| matches!(reading, Reading::Lag(lag) if *lag > trigger.activation);
        self.names(sample, is)
    }

    fn names(&self, sample: &Sample, is: impl Fn(&Reading, &Trigger) -> bool) -> Vec<String> {
        let triggers = self.settings.triggers.iter().zip(&sample.readings);
        let these = triggers.filter(|(trigger, reading)| is(reading, trigger));
        these.map(|(trigger, _)| trigger.name.clone()).collect()
    }

    /// From zero: to the least, and for a lag that was there unless there must be some anyway.
    fn woken(&self, index: usize, to: u32) -> Option<Reason> {
        if to == self.settings.min {
            return Some(Reason::BelowMinimum);
        }
        if to != self.settings.least() {
            return None;
        }
        let moments = self.before(index, SEEN_AFTER);
        let active = moments.map(|sample| self.active(sample)).find(|triggers| !triggers.is_empty());
        active.or_else(|| self.fallen_back(index)).map(|triggers| Reason::Activated { triggers })
    }

    /// The triggers that could not be read for so many looks that the fallback is on.
    fn fallen_back(&self, index: usize) -> Option<Vec<String>> {
        let fallback = self.settings.fallback?;
        let looks = self.settings.polling.saturating_mul(fallback.threshold);
        let mut failed = self.names(self.samples.get(index)?, |reading, _| *reading == Reading::Failed);
        for sample in self.before(index, looks) {
            let still = self.names(sample, |reading, _| *reading == Reading::Failed);
            failed.retain(|name| still.contains(name));
        }
        (!failed.is_empty()).then_some(failed)
    }

    /// To zero: not before the cooldown is over since KEDA must have seen lag, and not long after it may have seen any.
    ///
    /// Lag that comes and goes between two looks is not seen. What cannot be read is activity once the fallback is on, and
    /// before that may be none: KEDA 2.20 and 2.21 throw their scalers away after an error, and a look that meets that
    /// moment takes the trigger for neither failed nor active (`ErrCacheClosed`). So a function can go to zero while the
    /// broker is away, in spite of a fallback: seen in the cluster run.
    fn stopped(&self, index: usize, at: Duration) -> Option<Reason> {
        let Settings { cooldown, polling, .. } = *self.settings;
        let is_early = self.surely_seen(index).is_some_and(|seen| {
            // The look that saw the last of it may have been any within an interval before it was gone.
            at < seen.saturating_add(cooldown).saturating_sub(polling.saturating_add(KEPT_IN))
        });
        let perhaps = self.before(index, at).find(|sample| self.may_be_active(sample));
        let is_late = perhaps
            .is_some_and(|seen| at > seen.at.saturating_add(cooldown + polling + polling + SEEN_AFTER));
        (!is_early && !is_late).then_some(Reason::Deactivated)
    }

    fn may_be_active(&self, sample: &Sample) -> bool {
        let is_unread = sample.readings.contains(&Reading::Failed);
        !self.active(sample).is_empty() || (is_unread && self.settings.fallback.is_some())
    }

    /// The end of the last lag before sample `index` that was there for longer than KEDA looks away.
    fn surely_seen(&self, index: usize) -> Option<Duration> {
        let until = self.samples.get(index)?.at;
        let mut end: Option<Duration> = None;
        for sample in self.before(index, until) {
            if self.active(sample).is_empty() {
                end = None;
                continue;
            }
            let end = *end.get_or_insert(sample.at);
            if end.saturating_sub(sample.at) > self.settings.polling.saturating_add(KEPT_IN) {
                return Some(end);
            }
        }
        None
    }
}
