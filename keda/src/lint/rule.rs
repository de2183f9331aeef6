//! The rules by their names.

use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and costs something.
    Warning,
    /// It is refused, or inputs wait for ever, are done in vain, or are lost.
    Error,
}

/// Makes the enum of rules, and the list of all of them, so that none can be missing there.
macro_rules! rules {
    ($($severity:ident: $($rule:ident)*;)*) => {
        /// A rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[expect(missing_docs, reason = "each has its line in docs/lint.md, which a test holds to this list")]
        pub enum Rule { $($($rule,)*)* }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$($(Self::$rule,)*)*];

            /// How bad it is to break it.
            pub const fn severity(self) -> Severity {
                match self { $($(Self::$rule => Severity::$severity,)*)* }
            }
        }
    };
}

rules! {
    Error:
        NameTooLong TimeLimitAboveDrain HorizonBelowRetries AckWaitTooShort
        MaxDeliver ServerBackoff AckPolicy AckPending
        ThresholdBelowHeld PollingZero MinAboveMax TrailInParallel
        ActivationAboveZero TriggerMissing TriggerUnknown TriggerNotText IdleNotZero
        GraceBelowStop LivenessAsksReadiness RequestsScaledToZero
        StreamScaledOnRequests TimeoutBelowTimeLimit MetricOfClass ScaleMisplaced PortName FilterUnknown
        SinkNeedsBroker SinkMissing ApiVersion;
    Warning:
        AckWaitTooLong CooldownBelowBackoff CooldownBelowBreaker CooldownBelowPolling PollingTooSlow
        MaxAboveAckPending FallbackMissing FallbackZero BehaviorMissing Paused NotUnderstood ReplicasFixed
        HpaNeverZero InitialZero TargetAboveConcurrency DeadLettersLost SubjectMissing;
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
