//! The W3C trace context of a message: which trace it belongs to, and which span it follows from.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::identity;

/// A `traceparent` (<https://www.w3.org/TR/trace-context/>), valid: neither id is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traceparent {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

/// How long one is as text.
const WRITTEN_BYTES: usize = 55;

/// A text that is no `traceparent`: whoever sent it is not being traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotATraceparent;

impl Traceparent {
    /// Stands in where an event came without one: the event's own trace, and a span that is the same wherever the
    /// event of `event_id` is handled.
    pub(crate) fn of_event(trace_id: &str, event_id: &str) -> Option<Self> {
        let trace_id = hex_128(trace_id.as_bytes())?;
        let span_id = hex(identity::trace_id(event_id).as_bytes().get(..16)?, 16)?;
        Self { trace_id, span_id, sampled: true }.valid()
    }

    /// The context of a span, or `None` if it is not being recorded anywhere.
    pub(crate) fn of_span(context: &SpanContext) -> Option<Self> {
        Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
        }
        .valid()
    }

    /// The trace id, 32 lower-case hexadecimal digits.
    pub(crate) fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// Whether it is of the trace of this id.
    pub(crate) fn is_of(&self, trace_id: &str) -> bool {
        hex_128(trace_id.as_bytes()) == Some(self.trace_id)
    }

    /// Whether `text`, from which it was read, is as it would be written.
    pub(crate) fn is_written_as(text: &str) -> bool {
        text.len() == WRITTEN_BYTES
            && text.starts_with("00-")
            && (text.ends_with("-00") || text.ends_with("-01"))
    }

    /// Whether whoever made it records the trace.
    pub(crate) const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// As the parent, somewhere else, of a span here.
    pub(crate) fn remote(&self) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace_id.to_be_bytes()),
            SpanId::from_bytes(self.span_id.to_be_bytes()),
            if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
            true,
            TraceState::NONE,
        )
    }

    /// The same, of a trace that nobody records.
    pub(crate) const fn unsampled(self) -> Self {
        Self { sampled: false, ..self }
    }

    fn valid(self) -> Option<Self> {
        (self.trace_id != 0 && self.span_id != 0).then_some(self)
    }
}

impl FromStr for Traceparent {
    type Err = NotATraceparent;

    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        parse(text).ok_or(NotATraceparent)
    }
}

fn parse(text: &str) -> Option<Traceparent> {
    let mut parts = text.as_bytes().split(|byte| *byte == b'-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex_128(parts.next()?)?;
    let span_id = hex(parts.next()?, 16)?;
    let flags = hex(parts.next()?, 2)?;
    // A later version may say more behind the flags; this one may not.
    if version == 0xff || (version == 0 && parts.next().is_some()) {
        return None;
    }
    Traceparent { trace_id, span_id, sampled: flags & 1 == 1 }.valid()
}

/// Exactly `digits` lower-case hexadecimal digits, of which there are 16 at most.
fn hex(text: &[u8], digits: usize) -> Option<u64> {
    if text.len() != digits {
        return None;
    }
    text.iter().try_fold(0, |value: u64, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// Exactly 32 of them.
fn hex_128(text: &[u8]) -> Option<u128> {
    let (high, low) = text.split_at_checked(16)?;
    Some(u128::from(hex(high, 16)?) << 64 | u128::from(hex(low, 16)?))
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// The longest `tracestate` that is passed on: what W3C asks of everybody at least.
const TRACESTATE_BYTES_MAX: usize = 512;

/// A `tracestate` that can be passed on as it is; it is not read here.
pub(crate) fn tracestate(text: &str) -> Option<Arc<str>> {
    let is_plain = text.len() <= TRACESTATE_BYTES_MAX && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    (is_plain && !text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const W3C: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_specifications_example_reads_back() {
        let parent: Traceparent = W3C.parse().unwrap();
        assert_eq!(
            (parent.to_string().as_str(), parent.trace_id().as_str()),
            (W3C, "0af7651916cd43dd8448eb211c80319c")
        );
        assert_eq!(Traceparent::of_span(&parent.remote()), Some(parent));
        let later: Traceparent = W3C.replace("00-0af", "42-0af").replace("-01", "-01-more").parse().unwrap();
        assert_eq!(later, parent);
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for wrong in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(wrong.parse::<Traceparent>(), Err(NotATraceparent), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_one_reads_back_and_no_text_does_harm(
            trace_id in 1u128.., span_id in 1u64.., flags: u8, version in 0u8..0xff, text in ".{0,80}",
        ) {
            let given = format!("{version:02x}-{trace_id:032x}-{span_id:016x}-{flags:02x}");
            let read: Traceparent = given.parse().unwrap();
            prop_assert_eq!(read, Traceparent { trace_id, span_id, sampled: flags & 1 == 1 });
            prop_assert_eq!(read.to_string().parse(), Ok(read));
            prop_assert_eq!(Traceparent::of_span(&read.remote()), Some(read));
            let _ = text.parse::<Traceparent>();
        }
    }

    #[test]
    fn an_event_without_one_still_carries_its_trace() {
        let parent = Traceparent::of_event("0af7651916cd43dd8448eb211c80319c", "e-1").unwrap();
        assert!(parent.to_string().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert_eq!(Traceparent::of_event("0af7651916cd43dd8448eb211c80319c", "e-1"), Some(parent));
        assert_ne!(Traceparent::of_event("0af7651916cd43dd8448eb211c80319c", "e-2"), Some(parent));
    }
}
