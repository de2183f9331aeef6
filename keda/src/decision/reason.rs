//! Why a number of replicas was decided, for a person.

use std::fmt;
use std::time::Duration;

/// Why a number of replicas was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// KEDA: these triggers are active, and nothing ran.
    Activated {
        /// Their names; none if an annotation forces it.
        triggers: Vec<String>,
    },
    /// KEDA: a trigger is active; how many run is the HPA's to decide.
    Active,
    /// KEDA: a trigger is active and another cannot be read: the activity is not noted, so the cooldown runs.
    PartlyFailed,
    /// KEDA: a trigger cannot be read, none is active, and there is no fallback: nothing is changed, from zero neither.
    Failed,
    /// KEDA: a trigger cannot be read, and the fallback is not on yet.
    FallbackAhead,
    /// KEDA: no trigger is active, and the cooldown is not over.
    CoolingDown {
        /// How much of it is left.
        left: Duration,
    },
    /// KEDA: no trigger has been active for the cooldown.
    Deactivated,
    /// KEDA: no trigger is active, and nothing needs to change.
    Inactive,
    /// KEDA or the HPA: fewer ran than must run.
    BelowMinimum,
    /// An annotation stops all scaling.
    Paused,
    /// An annotation stops scaling from zero.
    ScaleOutPaused,
    /// An annotation stops scaling to zero.
    ScaleInPaused,
    /// The HPA: at zero it does nothing, whatever the lag.
    Disabled,
    /// The HPA: more ran than may run.
    AboveMaximum,
    /// The HPA: no metric can be read, or one cannot and the others ask for less than there is.
    Unmeasured,
    /// The HPA: there are as many as are wanted, or nearly.
    Steady,
    /// The HPA: this trigger wants more.
    Above {
        /// Its name.
        trigger: String,
    },
    /// The HPA: all triggers want fewer.
    Below,
    /// The HPA: more are wanted, but not for long enough.
    ScaleUpStabilised {
        /// How many are wanted.
        asked: u32,
    },
    /// The HPA: fewer are wanted, but not for long enough.
    ScaleDownStabilised {
        /// How many are wanted.
        asked: u32,
    },
    /// The HPA: more are wanted than may be started at a time.
    ScaleUpLimit {
        /// How many are wanted.
        asked: u32,
    },
    /// The HPA: fewer are wanted than may be stopped at a time.
    ScaleDownLimit {
        /// How many are wanted.
        asked: u32,
    },
    /// The HPA: more are wanted than may run.
    TooMany {
        /// How many are wanted.
        asked: u32,
    },
    /// The HPA: fewer are wanted than must run.
    TooFew {
        /// How many are wanted.
        asked: u32,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Activated { triggers } if triggers.is_empty() => f.write_str("activation is forced"),
            Self::Activated { triggers } => write!(f, "there is lag on {}", triggers.join(", ")),
            Self::Active => f.write_str("there is lag"),
            Self::PartlyFailed => f.write_str("there is lag, and another trigger cannot be read"),
            Self::Failed => f.write_str("a trigger cannot be read, and there is no fallback"),
            Self::FallbackAhead => f.write_str("a trigger cannot be read; the fallback is not on yet"),
            Self::CoolingDown { left } => write!(f, "no lag; to zero in {} s", left.as_secs()),
            Self::Deactivated => f.write_str("no lag for the whole cooldown"),
            Self::Inactive => f.write_str("no lag"),
            Self::BelowMinimum => f.write_str("fewer than the minimum"),
            Self::Paused => f.write_str("scaling is paused"),
            Self::ScaleOutPaused => f.write_str("there is lag, and scaling out is paused"),
            Self::ScaleInPaused => f.write_str("no lag, and scaling in is paused"),
            Self::Disabled => f.write_str("nothing runs, and only KEDA starts the first"),
            Self::AboveMaximum => f.write_str("more than the maximum"),
            Self::Unmeasured => f.write_str("a metric cannot be read"),
            Self::Steady => f.write_str("as many as are wanted"),
            Self::Above { trigger } => write!(f, "the lag on {trigger} is above its target"),
            Self::Below => f.write_str("the lag is below its target on every trigger"),
            Self::ScaleUpStabilised { asked } => write!(f, "{asked} wanted, but not for the whole window"),
            Self::ScaleDownStabilised { asked } => {
                write!(f, "{asked} wanted, and more not long ago")
            }
            Self::ScaleUpLimit { asked } => write!(f, "{asked} wanted, and not so many may start at a time"),
            Self::ScaleDownLimit { asked } => write!(f, "{asked} wanted, and not so many may stop at a time"),
            Self::TooMany { asked } => write!(f, "{asked} wanted, which is more than the maximum"),
            Self::TooFew { asked } => write!(f, "{asked} wanted, which is less than the minimum"),
        }
    }
}
