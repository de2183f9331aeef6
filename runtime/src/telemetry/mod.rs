//! What a function tells of itself: logs, metrics, traces.

mod line;
pub(crate) mod logs;
pub(crate) mod meter;
pub(crate) mod metrics;
pub(crate) mod names;
pub(crate) mod spans;
pub(crate) mod traceparent;
pub(crate) mod traces;

use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::chain;
use crate::{Environment, Terms};

/// What is told, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    log_filter: String,
    traces: traces::Settings,
}

impl Settings {
    /// Reads `RUST_LOG` and OpenTelemetry's variables.
    pub(crate) fn read(env: &mut Environment) -> Self {
        let log_filter = env.text_or(
            "RUST_LOG",
            logs::DEFAULT_FILTER,
            "what is logged, such as debug or info,jetlag=debug",
        );
        Self { log_filter, traces: traces::Settings::read(env) }
    }
}

/// Logs, metrics and traces at work.
pub(crate) struct Telemetry {
    exposition: Option<metrics::Exposition>,
    export: Option<traces::Export>,
}

impl Telemetry {
    /// Starts all three, for the whole process, within its runtime: before anything is logged, and before a
    /// [`Meter`](meter::Meter) is made, which counts nothing otherwise. What cannot start is told and left out: a
    /// function does not stay away for want of telemetry.
    pub(crate) fn start(terms: &Terms, settings: Settings) -> Self {
        let (sieve, fault) = logs::Sieve::new(&settings.log_filter);
        let export = traces::Export::new(terms, settings.traces);
        let spans = export.as_ref().ok().and_then(Option::as_ref).map(spans_to);
        let lines = logs::Lines::to_stdout(terms.name).with_filter(sieve);
        let taken = tracing_subscriber::registry().with(spans).with(lines).try_init().is_err();
        logs::log_panics();
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
        let exposition = metrics::Exposition::install(terms)
            .inspect_err(|error| tracing::warn!(error = chain(error), "no metrics"))
            .ok();
        if let Some(exposition) = exposition.clone() {
            tokio::spawn(exposition.upkeep());
        }
        Self { exposition, export }
    }

    /// Writes the metrics in Prometheus' text form.
    pub(crate) fn metrics(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let exposition = self.exposition.clone();
        Arc::new(move || exposition.as_ref().map(metrics::Exposition::text).unwrap_or_default())
    }

    /// Sends the last spans, within a bound.
    pub(crate) async fn stop(self) {
        if let Some(export) = self.export {
            export.stop().await;
        }
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
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_exported))
}

/// Spans and lines of the function and of this crate. The HTTP client that exports them has its own: those would never
/// come to an end.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    const NOT: [&str; 6] = ["hyper", "hyper_util", "reqwest", "rustls", "h2", "opentelemetry"];
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= LevelFilter::INFO && !NOT.contains(&crate_name)
}
