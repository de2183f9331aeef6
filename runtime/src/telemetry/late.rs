//! Spans that are told when they are over: the wait in a queue, which no process saw begin, and a commit, of which only the end
//! comes by here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanId, SpanKind, TraceContextExt, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Tracer;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber, dispatcher};
use tracing_subscriber::layer::{self, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::traces::Export;
use crate::telemetry::traces::sampling::Sampling;

/// How many runs are remembered that ended and have not been committed. More are not under way in one process.
const RUNS_MAX: usize = 4096;

/// The filter of the layer that exports spans, which is where the tracer is found by whoever tells a span afterwards.
pub(crate) struct Late {
    tracer: Tracer,
    sampling: Sampling,
    is_by_link: bool,
    /// When the handler's last run ended, by the span of its input.
    ran: Mutex<HashMap<SpanId, SystemTime>>,
}

/// A span that is over.
pub(crate) struct Over {
    pub(crate) name: Cow<'static, str>,
    pub(crate) began: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
}

/// The target of the span of an input whose trace nobody records here: it is there for the log alone.
pub(crate) const UNRECORDED: &str = "jetlag::unrecorded";

/// Spans and lines of the function and of this crate. The HTTP client that exports them has its own: those would never
/// come to an end.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    const NOT: [&str; 6] = ["hyper", "hyper_util", "reqwest", "rustls", "h2", "opentelemetry"];
    let target = metadata.target();
    let crate_name = target.split("::").next().unwrap_or_default();
    *metadata.level() <= LevelFilter::INFO && !NOT.contains(&crate_name) && target != UNRECORDED
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Filter<S> for Late {
    fn enabled(&self, metadata: &Metadata<'_>, within: &layer::Context<'_, S>) -> bool {
        // What is opened within an input whose trace nobody records would begin a trace of its own.
        let is_within_unrecorded =
            || within.current_span().id().is_some() && within.lookup_current().is_none();
        is_exported(metadata) && !is_within_unrecorded()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match is_exported(metadata) {
            true if metadata.is_span() => Interest::sometimes(),
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

impl Late {
    pub(crate) fn new(export: &Export) -> Self {
        let (sampling, is_by_link) = (export.sampling(), export.is_by_link());
        Self { tracer: export.tracer(), sampling, is_by_link, ran: Mutex::default() }
    }

    /// Gives `of` the layer, where spans are exported.
    pub(crate) fn with<T>(of: impl FnOnce(&Self) -> T) -> Option<T> {
        let mut of = Some(of);
        dispatcher::get_default(|dispatch| {
            let late = dispatch.downcast_ref::<Self>()?;
            of.take().map(|of| of(late))
        })
    }

    /// Which traces are recorded.
    pub(crate) const fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// Whether each input begins a trace of its own, linked to what it follows from.
    pub(crate) const fn is_by_link(&self) -> bool {
        self.is_by_link
    }

    /// Tells a span that ends now, under `parent`.
    pub(crate) fn tell(&self, over: Over, parent: &Context) {
        let now = SystemTime::now();
        // Clocks differ between machines: nothing takes less than no time.
        let began = over.began.min(now);
        let builder = self.tracer.span_builder(over.name).with_kind(SpanKind::Internal);
        let builder = builder.with_start_time(began).with_attributes(over.attributes);
        let mut span = self.tracer.build_with_context(builder, parent);
        span.end_with_timestamp(now);
    }

    /// The handler's run under the span of `input` has ended.
    pub(crate) fn ran(&self, input: &Context) {
        let mut ran = self.lock();
        if ran.len() < RUNS_MAX {
            ran.insert(input.span().span_context().span_id(), SystemTime::now());
        }
    }

    /// When that was; it is forgotten.
    pub(crate) fn take_ran(&self, input: &Context) -> Option<SystemTime> {
        self.lock().remove(&input.span().span_context().span_id())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SpanId, SystemTime>> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
