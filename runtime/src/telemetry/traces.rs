//! Traces: spans on their way to a collector, over OTLP/HTTP. Whatever the collector does costs spans and nothing else.

mod queue;
pub(crate) mod sampling;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use metrics::counter;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter, Tracer};

use crate::telemetry::collector::{self, Complaints, FLUSH_LIMIT, NoExport, client, flush};
use crate::telemetry::names;
use crate::telemetry::traces::queue::{Queue, Waiting};
use crate::telemetry::traces::sampling::Sampling;
use crate::{Environment, Terms};

/// How many spans wait for the collector at most unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise: the specification's own
/// default.
const QUEUE_MAX: usize = 2048;
/// Where spans go.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The collector's URL for traces, or nothing if spans are not exported.
    endpoint: Option<String>,
    queue_max: usize,
    sampling: Sampling,
    by: By,
}

/// How an input's span follows from the one that made the event.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    /// As its child: one trace for all that follows from an order.
    Parent,
    /// By a link: a trace for each input.
    Link,
}

impl FromStr for By {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "parent" => Ok(Self::Parent),
            "link" => Ok(Self::Link),
            _ => Err("it is parent or link"),
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parent => "parent",
            Self::Link => "link",
        })
    }
}

impl Settings {
    /// OpenTelemetry's own variables. The SDK reads its own: sampler, batches.
    pub(crate) fn read(env: &mut Environment, collector: &collector::Settings) -> Self {
        let own = env.text_if_set(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "the same with its path, instead of the former",
        );
        let exporter = env.text_or("OTEL_TRACES_EXPORTER", "otlp", "none: no traces, whatever else is set");
        let own_of = |name| env.of_others(name).unwrap_or_default();
        let queue_max = own_of("OTEL_BSP_MAX_QUEUE_SIZE").parse().unwrap_or(QUEUE_MAX);
        let sampling = Sampling::of(&own_of("OTEL_TRACES_SAMPLER"), &own_of("OTEL_TRACES_SAMPLER_ARG"));
        let by = env.parsed_or(
            "JETLAG_TRACES_BY",
            By::Parent,
            "parent: one trace for an order; link: one for each input, linked to what it follows from",
        );
        let off = collector.disabled || exporter == "none";
        let endpoint = own.or_else(|| collector.endpoint("traces"));
        Self { endpoint: endpoint.filter(|_| !off), queue_max: queue_max.max(1), sampling, by }
    }
}

/// The export of spans.
pub(crate) struct Export {
    provider: SdkTracerProvider,
    sampling: Sampling,
    by: By,
}

impl Export {
    /// The export that `settings` ask for, if they do.
    pub(crate) fn new(
        terms: &Terms,
        settings: Settings,
        collector: &collector::Settings,
    ) -> Result<Option<Self>, NoExport> {
        let Some(endpoint) = settings.endpoint else { return Ok(None) };
        let exporter = Self::exporter(&endpoint, collector.export_limit)?;
        let resource = collector.resource(terms);
        let waiting = Waiting::default();
        let exporter = Watched { exporter, waiting: waiting.clone(), complaints: Complaints::default() };
        let queue = Queue::new(exporter, waiting, settings.queue_max);
        let provider =
            SdkTracerProvider::builder().with_span_processor(queue).with_resource(resource).build();
        Ok(Some(Self { provider, sampling: settings.sampling, by: settings.by }))
    }

    fn exporter(endpoint: &str, limit: Duration) -> Result<opentelemetry_otlp::SpanExporter, NoExport> {
        Ok(opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client(endpoint, limit)?)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(limit)
            .with_endpoint(endpoint)
            .build()?)
    }

    /// What the layer of tracing hands its spans to.
    pub(crate) fn tracer(&self) -> Tracer {
        self.provider.tracer("jetlag")
    }

    /// Which traces are recorded.
    pub(crate) fn sampling(&self) -> Sampling {
        self.sampling.clone()
    }

    /// Whether each input begins a trace of its own.
    pub(crate) fn is_by_link(&self) -> bool {
        self.by == By::Link
    }

    /// Sends what is left, within [`FLUSH_LIMIT`].
    pub(crate) async fn stop(self) {
        self.stop_within(FLUSH_LIMIT).await;
    }

    async fn stop_within(self, limit: Duration) {
        flush("spans", limit, move |limit| self.provider.shutdown_with_timeout(limit)).await;
    }
}

/// An exporter whose failures are counted, and told now and then.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    /// What is handed over waits no more.
    waiting: Waiting,
    complaints: Complaints,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        self.waiting.leave(spans);
        if let Err(error) = &result {
            counter!(names::SPANS_LOST, "reason" => "refused").increment(spans);
            if self.complaints.are_due() {
                tracing::warn!(spans, %error, "spans lost: the trace collector did not take them");
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests;
