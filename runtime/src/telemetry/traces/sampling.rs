//! Which traces are recorded. The SDK decides it of every span, from the same variables; what is known before needs no span.

use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};

use crate::telemetry::traceparent::Traceparent;

/// What the SDK makes of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
#[derive(Debug, Clone)]
pub(crate) struct Sampling {
    /// Decides of traces that begin here.
    root: Sampler,
    /// Whether a trace that began elsewhere is recorded as it was decided there.
    heeds_parent: bool,
}

impl Sampling {
    pub(super) fn of(sampler: &str, share: &str) -> Self {
        let root = match sampler {
            "always_off" | "parentbased_always_off" => Sampler::AlwaysOff,
            // The SDK takes all where it is not told how many, and says so.
            "traceidratio" | "parentbased_traceidratio" => {
                share.parse().map_or(Sampler::AlwaysOn, Sampler::TraceIdRatioBased)
            }
            _ => Sampler::AlwaysOn,
        };
        let heeds_parent = !matches!(sampler, "always_on" | "always_off" | "traceidratio");
        Self { root, heeds_parent }
    }

    /// Whether a trace that begins with an event from outside is recorded.
    pub(crate) fn begins(&self, trace_id: TraceId) -> bool {
        let sampled = self.root.should_sample(None, trace_id, "", &SpanKind::Consumer, &[], &[]);
        sampled.decision == SamplingDecision::RecordAndSample
    }

    /// Whether a span is recorded that follows from `parent`.
    pub(crate) fn follows(&self, parent: &Traceparent) -> bool {
        if self.heeds_parent { parent.is_sampled() } else { self.begins(parent.remote().trace_id()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_before_a_span_is_what_the_sdk_decides_of_it() {
        const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0";
        let follows = |sampler, share, flag| {
            Sampling::of(sampler, share).follows(&format!("{PARENT}{flag}").parse().unwrap())
        };
        for parent_based in ["", "parentbased_always_on", "parentbased_traceidratio", "of another SDK"] {
            assert!(follows(parent_based, "0", 1) && !follows(parent_based, "1", 0), "{parent_based}");
        }
        assert!(follows("always_on", "", 0) && !follows("always_off", "", 1));
        assert!(follows("traceidratio", "1", 0) && !follows("traceidratio", "0", 1));
    }
}
