//! Which trace is being measured: a bucket of a histogram keeps the last one, as an example of what is counted in it.

use std::cell::Cell;
use std::time::SystemTime;

use opentelemetry::trace::TraceId;

/// One value of those that a bucket counts, and the trace that has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace_id: TraceId,
    pub(crate) value: f64,
    pub(crate) at: SystemTime,
}

thread_local! {
    static TRACE: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Does `measure`, whose values are of `trace`; of none that anybody could look up if it is not recorded.
pub(crate) fn of(trace: Option<TraceId>, measure: impl FnOnce()) {
    TRACE.set(trace);
    measure();
    TRACE.set(None);
}

/// The exemplar that `value` is, measured now.
pub(super) fn now(value: f64) -> Option<Exemplar> {
    TRACE.get().map(|trace_id| Exemplar { trace_id, value, at: SystemTime::now() })
}
