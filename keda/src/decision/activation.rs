//! KEDA's part: from zero, to zero, and the cooldown in between.

use std::time::Duration;

use super::Verdict;
use super::health::Seen;
use super::reason::Reason;
use super::settings::Settings;

/// What KEDA remembers of a ScaledObject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activation {
    created: Duration,
    /// `status.lastActiveTime`. The API server keeps it in whole seconds, so the real cooldown ends up to a second earlier.
    active: Option<Duration>,
}

impl Activation {
    pub(super) const fn since(created: Duration) -> Self {
        Self { created, active: None }
    }

    /// What KEDA does with a Deployment of `replicas`.
    pub(super) fn decide(
        &mut self,
        settings: &Settings,
        now: Duration,
        replicas: u32,
        seen: &[Seen],
    ) -> Verdict {
        let stays = |reason| Verdict { replicas, reason };
        let becomes = |replicas, reason| Verdict { replicas, reason };
        if settings.pauses.all {
            return becomes(settings.pauses.replicas.unwrap_or(replicas), Reason::Paused);
        }
        let failed = seen.contains(&Seen::Failed);
        if settings.pauses.forced || seen.iter().any(|seen| seen.is_active()) {
            let is_idle = settings.idle.is_some() && replicas < settings.min;
            return if replicas == 0 || is_idle {
                if settings.pauses.scale_out {
                    return stays(Reason::ScaleOutPaused);
                }
                self.active = Some(now);
                becomes(settings.least(), Reason::Activated { triggers: active(settings, seen) })
            } else if failed {
                // KEDA does not take note of the activity of a ScaledObject that is broken in part.
                stays(Reason::PartlyFailed)
            } else {
                self.active = Some(now);
                stays(Reason::Active)
            };
        }
        let waits = settings.fallback.is_some_and(|fallback| fallback.replicas != 0);
        if failed && waits {
            return stays(Reason::FallbackAhead);
        }
        if failed && settings.fallback.is_none() {
            return stays(Reason::Failed);
        }
        let rest = settings.idle.unwrap_or(0);
        let too_many = match settings.idle {
            Some(idle) => replicas > idle,
            None => replicas > 0 && settings.min == 0,
        };
        if too_many {
            if settings.pauses.scale_in {
                return stays(Reason::ScaleInPaused);
            }
            let until = self.cool_at(settings);
            return if until < now {
                becomes(rest, Reason::Deactivated)
            } else {
                stays(Reason::CoolingDown { left: until.saturating_sub(now) })
            };
        }
        if settings.idle.is_none() && replicas < settings.min {
            return becomes(settings.min, Reason::BelowMinimum);
        }
        stays(Reason::Inactive)
    }

    /// The last moment at which it still waits. A Deployment that was never active under KEDA is not given the cooldown.
    fn cool_at(&self, settings: &Settings) -> Duration {
        match self.active {
            Some(active) => active.saturating_add(settings.cooldown),
            None => self.created.saturating_add(settings.initial_cooldown),
        }
    }
}

fn active(settings: &Settings, seen: &[Seen]) -> Vec<String> {
    let triggers = settings.triggers.iter().zip(seen);
    triggers.filter(|(_, seen)| seen.is_active()).map(|(trigger, _)| trigger.name.clone()).collect()
}
