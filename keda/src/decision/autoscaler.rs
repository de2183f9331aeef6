//! The HPA's part: how many processes a lag wants, and how fast they come and go.

use std::time::Duration;

use super::behaviour::{Behaviour, Change, Rules, Select};
use super::health::Seen;
use super::history::History;
use super::reason::Reason;
use super::settings::{Settings, Trigger};
use super::{DOWNSCALE_WINDOW, Replicas, TOLERANCE, Verdict};

/// Without a behaviour, replicas at most double at a time …
const UP_FACTOR: u32 = 2;
/// … or become so many.
const UP_LEAST: u32 = 4;

/// What the HPA remembers.
#[derive(Debug, Clone, Default)]
pub(super) struct Autoscaler {
    pub(super) recommended: History,
    pub(super) added: History,
    pub(super) removed: History,
}

impl Autoscaler {
    /// What the HPA does with a Deployment of `replicas`.
    pub(super) fn decide(
        &mut self,
        settings: &Settings,
        now: Duration,
        replicas: Replicas,
        seen: &[Seen],
    ) -> Verdict {
        let current = replicas.wanted;
        if self.recommended.is_empty() {
            self.recommended.add(current, now, Duration::ZERO);
        }
        let (least, most) = (settings.least(), settings.max);
        let verdict = if current == 0 {
            Verdict { replicas: 0, reason: Reason::Disabled }
        } else if current > most {
            Verdict { replicas: most, reason: Reason::AboveMaximum }
        } else if current < least {
            Verdict { replicas: least, reason: Reason::BelowMinimum }
        } else {
            match wanted(settings, replicas, seen) {
                None => Verdict { replicas: current, reason: Reason::Unmeasured },
                Some((asked, trigger)) => self.normalise(settings, now, current, asked, trigger),
            }
        };
        if let Some(behaviour) = &settings.behaviour {
            self.remember(behaviour, now, current, verdict.replicas);
        }
        verdict
    }

    /// From what the metrics ask for to what the rules allow.
    fn normalise(
        &mut self,
        settings: &Settings,
        now: Duration,
        current: u32,
        asked: u32,
        trigger: &Trigger,
    ) -> Verdict {
        let stable = match &settings.behaviour {
            Some(behaviour) => self.stabilise(behaviour, now, current, asked),
            None => self.stabilise_down(now, asked),
        };
        let limited = match &settings.behaviour {
            Some(behaviour) => self.limit(behaviour, now, current, stable, settings.least(), settings.max),
            None => limit(current, stable, settings.least(), settings.max),
        };
        let reason = match limited {
            Limited::By(limit) => limit.reason(stable),
            Limited::Not if stable != asked && asked >= current => Reason::ScaleUpStabilised { asked },
            Limited::Not if stable != asked => Reason::ScaleDownStabilised { asked },
            Limited::Not if stable > current => Reason::Above { trigger: trigger.name.clone() },
            Limited::Not if stable < current => Reason::Below,
            Limited::Not => Reason::Steady,
        };
        let replicas = match limited {
            Limited::By(limit) => limit.replicas(),
            Limited::Not => stable,
        };
        Verdict { replicas, reason }
    }

    /// Without a behaviour: the highest recommendation of the window, which may be more than there are.
    pub(super) fn stabilise_down(&mut self, now: Duration, asked: u32) -> u32 {
        let stable = self.recommended.not_before(DOWNSCALE_WINDOW, now).chain([asked]).max().unwrap_or(asked);
        self.recommended.add(asked, now, DOWNSCALE_WINDOW);
        stable
    }

    /// With a behaviour: what there is, raised to the lowest recommendation of the window of scaling up, and lowered to
    /// the highest one of that of scaling down.
    pub(super) fn stabilise(
        &mut self,
        behaviour: &Behaviour,
        now: Duration,
        current: u32,
        asked: u32,
    ) -> u32 {
        let (up, down) = (behaviour.up.window, behaviour.down.window);
        let lowest = self.recommended.within(up, now).chain([asked]).min().unwrap_or(asked);
        let highest = self.recommended.within(down, now).chain([asked]).max().unwrap_or(asked);
        self.recommended.add(asked, now, up.max(down));
        current.max(lowest).min(highest)
    }

    /// With a behaviour: its policies, and the bounds in the direction of the change.
    pub(super) fn limit(
        &self,
        behaviour: &Behaviour,
        now: Duration,
        current: u32,
        stable: u32,
        least: u32,
        most: u32,
    ) -> Limited {
        if stable > current {
            let at_once = self.bound(&behaviour.up, Direction::Up, now, current).max(current);
            if at_once < most {
                Limited::above(stable, at_once, Limit::UpAtOnce)
            } else {
                Limited::above(stable, most, Limit::Most)
            }
        } else if stable < current {
            let at_once = self.bound(&behaviour.down, Direction::Down, now, current).min(current);
            if at_once > least {
                Limited::below(stable, at_once, Limit::DownAtOnce)
            } else {
                Limited::below(stable, least, Limit::Least)
            }
        } else {
            Limited::Not
        }
    }

    /// How many there may be after a change in this direction: each policy counts from what there was when its period
    /// began.
    fn bound(&self, rules: &Rules, direction: Direction, now: Duration, current: u32) -> u32 {
        let changes = |history: &History, period| history.within(period, now).map(i64::from).sum::<i64>();
        let bounds = rules.policies.iter().map(|policy| {
            let start = i64::from(current) - changes(&self.added, policy.period)
                + changes(&self.removed, policy.period);
            direction.bound(start, policy.change)
        });
        let bound = match (rules.select, direction) {
            (Select::Disabled, _) => return current,
            (Select::Max, Direction::Up) | (Select::Min, Direction::Down) => bounds.max(),
            (Select::Min, Direction::Up) | (Select::Max, Direction::Down) => bounds.min(),
        };
        // Without any policy, Kubernetes starts from the end of the range and stays there.
        let unbounded = match (rules.select, direction) {
            (Select::Min, Direction::Up) | (Select::Max, Direction::Down) => i64::from(u32::MAX),
            _ => 0,
        };
        clamped(bound.unwrap_or(unbounded))
    }

    /// Notes a change, for the policies.
    pub(super) fn remember(&mut self, behaviour: &Behaviour, now: Duration, before: u32, after: u32) {
        if after > before {
            self.added.add(after - before, now, behaviour.up.longest_period());
        } else if after < before {
            self.removed.add(before - after, now, behaviour.down.longest_period());
        }
    }
}

/// How many processes the triggers ask for, and which of them: the most that one asks for. A trigger that cannot be read is
/// left out, unless the others ask for fewer than there are: then nothing is known.
pub(super) fn wanted<'a>(
    settings: &'a Settings,
    replicas: Replicas,
    seen: &[Seen],
) -> Option<(u32, &'a Trigger)> {
    let mut most: Option<(u32, &Trigger)> = None;
    for (trigger, seen) in settings.triggers.iter().zip(seen) {
        let Some(lag) = seen.lag() else { continue };
        let asked = proposal(settings.behaviour.as_ref(), trigger, lag, replicas.running);
        if most.is_none_or(|(other, _)| asked > other) {
            most = Some((asked, trigger));
        }
    }
    let unreadable = seen.iter().any(|seen| seen.lag().is_none());
    most.filter(|(asked, _)| !unreadable || *asked >= replicas.wanted)
}

/// How many processes one lag asks for: as many as there are, if that is nearly right.
#[expect(clippy::float_arithmetic, reason = "Kubernetes decides in floating point, and so at the same lag")]
fn proposal(behaviour: Option<&Behaviour>, trigger: &Trigger, lag: u64, running: u32) -> u32 {
    let (up, down) = behaviour.map_or((TOLERANCE, TOLERANCE), |b| (b.up.tolerance, b.down.tolerance));
    let (lag, target) = (lag as f64, trigger.target.get() as f64);
    let ratio = lag / (target * f64::from(running));
    if (1.0 - down..=1.0 + up).contains(&ratio) {
        return running;
    }
    let asked = (lag / target).ceil();
    // Kubernetes counts replicas in 32 bits with a sign.
    if asked > f64::from(i32::MAX) { i32::MAX.unsigned_abs() } else { asked as u32 }
}

/// Without a behaviour: the bounds, and at most the double or four.
pub(super) fn limit(current: u32, stable: u32, least: u32, most: u32) -> Limited {
    let at_once = current.saturating_mul(UP_FACTOR).max(UP_LEAST);
    if stable < least {
        Limited::By(Limit::Least(least))
    } else if at_once < most {
        Limited::above(stable, at_once, Limit::UpAtOnce)
    } else {
        Limited::above(stable, most, Limit::Most)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Direction {
    #[expect(clippy::float_arithmetic, reason = "Kubernetes rounds in floating point: 100 and 10 % are 111")]
    fn bound(self, start: i64, change: Change) -> i64 {
        let percent = |factor: f64| start as f64 * factor;
        match (self, change) {
            (Self::Up, Change::Replicas(count)) => start + i64::from(count),
            (Self::Down, Change::Replicas(count)) => start - i64::from(count),
            (Self::Up, Change::Percent(part)) => percent(1.0 + f64::from(part) / 100.0).ceil() as i64,
            (Self::Down, Change::Percent(part)) => percent(1.0 - f64::from(part) / 100.0) as i64,
        }
    }
}

/// Whether a number is changed by a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    Not,
    By(Limit),
}

/// What limits, and to how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Least(u32),
    Most(u32),
    UpAtOnce(u32),
    DownAtOnce(u32),
}

impl Limited {
    fn above(stable: u32, bound: u32, limit: fn(u32) -> Limit) -> Self {
        if stable > bound { Self::By(limit(bound)) } else { Self::Not }
    }

    fn below(stable: u32, bound: u32, limit: fn(u32) -> Limit) -> Self {
        if stable < bound { Self::By(limit(bound)) } else { Self::Not }
    }
}

impl Limit {
    const fn replicas(self) -> u32 {
        match self {
            Self::Least(count) | Self::Most(count) | Self::UpAtOnce(count) | Self::DownAtOnce(count) => count,
        }
    }

    const fn reason(self, asked: u32) -> Reason {
        match self {
            Self::Least(_) => Reason::TooFew { asked },
            Self::Most(_) => Reason::TooMany { asked },
            Self::UpAtOnce(_) => Reason::ScaleUpLimit { asked },
            Self::DownAtOnce(_) => Reason::ScaleDownLimit { asked },
        }
    }
}

fn clamped(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}
