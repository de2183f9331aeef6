//! What a function tells of itself: logs, metrics, traces.

mod call;
mod collector;
pub(crate) mod journey;
pub(crate) mod late;
mod line;
pub(crate) mod logs;
pub(crate) mod meter;
pub(crate) mod metrics;
pub mod names;
pub(crate) mod spans;
pub(crate) mod traced;
pub(crate) mod traceparent;
pub(crate) mod traces;

pub use call::Call;

use futures::future::OptionFuture;
use tracing::Subscriber;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::chain;
use crate::telemetry::metrics::push::{self, Push};
use crate::{Environment, Terms};

/// What is told, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    log_filter: String,
    collector: collector::Settings,
    traces: traces::Settings,
    push: push::Settings,
}

impl Settings {
    /// Reads `RUST_LOG` and OpenTelemetry's variables.
    pub(crate) fn read(env: &mut Environment) -> Self {
        let log_filter = env.text_or(
            "RUST_LOG",
            logs::DEFAULT_FILTER,
            "what is logged, such as debug or info,jetlag=debug",
        );
        let collector = collector::Settings::read(env);
        let traces = traces::Settings::read(env, &collector);
        let push = push::Settings::read(env, &collector);
        Self { log_filter, collector, traces, push }
    }
}

/// Logs, metrics and traces at work.
pub(crate) struct Telemetry {
    exposition: Option<metrics::Exposition>,
    export: Option<traces::Export>,
    push: Option<Push>,
}

impl Telemetry {
    /// Starts all three, for the whole process, within its runtime: before anything is logged, and before a
    /// [`Meter`](meter::Meter) is made, which counts nothing otherwise. What cannot start is told and left out: a
    /// function does not stay away for want of telemetry.
    pub(crate) fn start(terms: &Terms, settings: Settings) -> Self {
        let (sieve, fault) = logs::Sieve::new(&settings.log_filter);
        let export = traces::Export::new(terms, settings.traces, &settings.collector);
        let spans = export.as_ref().ok().and_then(Option::as_ref).map(spans_to);
        let (sieve, filter) = reload::Layer::new(sieve);
        let lines = logs::Lines::to_stdout(terms.name).with_filter(sieve);
        let taken = tracing_subscriber::registry().with(spans).with(lines).try_init().is_err();
        logs::log_panics();
        tokio::spawn(logs::listen(settings.log_filter, filter));
        if let Some(fault) = fault {
            tracing::warn!(error = fault, "the log filter is not understood");
        }
        if taken {
            tracing::warn!(
                "another subscriber of tracing is installed in this process: it has the logs and the spans"
            );
        }
        let export = export.unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "no traces");
            None
        });
        let push = Push::new(terms, settings.push, &settings.collector).unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "no metrics by OTLP");
            None
        });
        let exposition = metrics::Exposition::install(push.as_ref())
            .inspect_err(|error| tracing::warn!(error = chain(error), "no metrics"))
            .ok();
        Self { exposition, export, push }
    }

    /// The metrics that are counted; none if another library counts them.
    pub(crate) fn metrics(&self) -> metrics::Exposition {
        self.exposition.clone().unwrap_or_default()
    }

    /// Whether spans are exported.
    pub(crate) const fn traces(&self) -> bool {
        self.export.is_some()
    }

    /// Sends the last spans and metrics, within a bound.
    pub(crate) async fn stop(self) {
        let spans = OptionFuture::from(self.export.map(traces::Export::stop));
        let metrics = OptionFuture::from(self.push.map(Push::stop));
        tokio::join!(spans, metrics);
    }
}

/// The layer that hands spans to `export`.
pub(crate) fn spans_to<S>(export: &traces::Export) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    tracing_opentelemetry::layer()
        .with_tracer(export.tracer())
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // Nobody asks OpenTelemetry which span is open: `tracing` knows, and is not told of it at every poll.
        .with_context_activation(false)
        .with_filter(late::Late::new(export))
}
