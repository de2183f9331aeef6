//! Spans that are told when they are over: the wait in a queue, which no process saw begin, and a commit, of which only the end
//! comes by here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanId, SpanKind, TraceContextExt, TraceId, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample, Tracer};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, dispatcher};
use tracing_subscriber::layer::{self, Filter};

/// How many runs are remembered that ended and have not been committed. More are not under way in one process.
const RUNS_MAX: usize = 4096;

/// The filter of the layer that exports spans, which is where the tracer is found by whoever tells a span afterwards.
pub(crate) struct Late {
    tracer: Tracer,
    /// Decides of traces that begin here.
    root: Sampler,
    /// When the handler's last run ended, by the span of its input.
    ran: Mutex<HashMap<SpanId, SystemTime>>,
}

/// A span that is over.
pub(crate) struct Over {
    pub(crate) name: Cow<'static, str>,
    pub(crate) began: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
}

/// Spans and lines of the function and of this crate. The HTTP client that exports them has its own: those would never
/// come to an end.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    const NOT: [&str; 6] = ["hyper", "hyper_util", "reqwest", "rustls", "h2", "opentelemetry"];
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= LevelFilter::INFO && !NOT.contains(&crate_name)
}

impl<S> Filter<S> for Late {
    fn enabled(&self, metadata: &Metadata<'_>, _: &layer::Context<'_, S>) -> bool {
        is_exported(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_exported(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

impl Late {
    pub(crate) fn new(tracer: Tracer, root: Sampler) -> Self {
        Self { tracer, root, ran: Mutex::default() }
    }

    /// Gives `of` the layer, where spans are exported.
    pub(crate) fn with<T>(of: impl FnOnce(&Self) -> T) -> Option<T> {
        let mut of = Some(of);
        dispatcher::get_default(|dispatch| {
            let late = dispatch.downcast_ref::<Self>()?;
            of.take().map(|of| of(late))
        })
    }

    /// Whether a trace that begins with an event from outside is recorded.
    pub(crate) fn samples(&self, trace_id: TraceId) -> bool {
        let sampled = self.root.should_sample(None, trace_id, "", &SpanKind::Consumer, &[], &[]);
        sampled.decision == SamplingDecision::RecordAndSample
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
