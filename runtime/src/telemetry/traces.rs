//! Traces: spans on their way to a collector, over OTLP/HTTP. Whatever the collector does costs spans and nothing else.

mod queue;
pub(crate) mod sampling;

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use metrics::counter;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter, Tracer};
use tokio::sync::oneshot;

use crate::telemetry::names;
use crate::telemetry::traces::queue::{Queue, Waiting};
use crate::telemetry::traces::sampling::Sampling;
use crate::{Environment, Terms};

/// How long the last spans may take to get out when the process stops.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// How long the collector may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How long one export may take unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise: the specification's own default.
const EXPORT_LIMIT_MS: u64 = 10_000;
/// How many spans wait for the collector at most unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise: the specification's own
/// default.
const QUEUE_MAX: usize = 2048;
/// How often at most the log tells that spans are lost; the metric tells how many.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Where spans go.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The collector's URL for traces, or nothing if spans are not exported.
    endpoint: Option<String>,
    service: Option<String>,
    export_limit: Duration,
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
    /// OpenTelemetry's own variables. The SDK reads its own: headers, sampler, batches.
    pub(crate) fn read(env: &mut Environment) -> Self {
        let base = env.text_if_set(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "collector of traces (OTLP over HTTP); none: no traces",
        );
        let own = env.text_if_set(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "the same with its path, instead of the former",
        );
        let disabled = env.text_or("OTEL_SDK_DISABLED", "false", "true: no traces, whatever else is set");
        let exporter = env.text_or("OTEL_TRACES_EXPORTER", "otlp", "none: no traces, whatever else is set");
        let service = env
            .text_if_set("OTEL_SERVICE_NAME", "name of the service in traces; the function's own if not set");
        let export_limit_ms =
            env.parsed_or("OTEL_EXPORTER_OTLP_TIMEOUT", EXPORT_LIMIT_MS, "longest export, in ms");
        let own_of = |name| env.of_others(name).unwrap_or_default();
        let queue_max = own_of("OTEL_BSP_MAX_QUEUE_SIZE").parse().unwrap_or(QUEUE_MAX);
        let sampling = Sampling::of(&own_of("OTEL_TRACES_SAMPLER"), &own_of("OTEL_TRACES_SAMPLER_ARG"));
        let by = env.parsed_or(
            "JETLAG_TRACES_BY",
            By::Parent,
            "parent: one trace for an order; link: one for each input, linked to what it follows from",
        );
        let off = disabled.eq_ignore_ascii_case("true") || exporter == "none";
        let endpoint = own.or_else(|| base.map(|base| format!("{}/v1/traces", base.trim_end_matches('/'))));
        Self {
            endpoint: endpoint.filter(|_| !off),
            service,
            export_limit: Duration::from_millis(export_limit_ms),
            queue_max: queue_max.max(1),
            sampling,
            by,
        }
    }
}

/// Why spans are not exported although they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTraces {
    /// No HTTP client.
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
    /// The client's thread ended early, or could not start.
    #[error("no thread can be started for the HTTP client")]
    Thread,
    /// The exporter refuses its settings.
    #[error("the exporter cannot be set up")]
    Exporter(#[from] ExporterBuildError),
}

/// The export of spans.
pub(crate) struct Export {
    provider: SdkTracerProvider,
    sampling: Sampling,
    by: By,
}

impl Export {
    /// The export that `settings` ask for, if they do.
    pub(crate) fn new(terms: &Terms, settings: Settings) -> Result<Option<Self>, NoTraces> {
        let Some(endpoint) = settings.endpoint else { return Ok(None) };
        let exporter = Self::exporter(&endpoint, settings.export_limit)?;
        let service = settings.service.unwrap_or_else(|| terms.name.into());
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.namespace", "jetlag"))
            .build();
        let waiting = Waiting::default();
        let exporter = Watched { exporter, waiting: waiting.clone(), complained: Mutex::default() };
        let queue = Queue::new(exporter, waiting, settings.queue_max);
        let provider =
            SdkTracerProvider::builder().with_span_processor(queue).with_resource(resource).build();
        Ok(Some(Self { provider, sampling: settings.sampling, by: settings.by }))
    }

    fn exporter(endpoint: &str, limit: Duration) -> Result<opentelemetry_otlp::SpanExporter, NoTraces> {
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
        let (done, waiting) = oneshot::channel();
        // A thread of its own, not one of the runtime's: those are waited for when the process ends, this one is not.
        let flushing = std::thread::Builder::new().name("last-spans".into()).spawn(move || {
            let _ = done.send(self.provider.shutdown_with_timeout(limit));
        });
        let flushed = match flushing {
            Ok(_) => tokio::time::timeout(limit, waiting).await,
            Err(error) => return tracing::warn!(%error, "the last spans are lost"),
        };
        match flushed {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans are lost"),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(error = "the collector does not answer", "the last spans are lost");
            }
        }
    }
}

/// A client that blocks its thread, which is the exporter's own: there is no runtime there.
fn client(endpoint: &str, limit: Duration) -> Result<reqwest::blocking::Client, NoTraces> {
    // The provider of the process. Whoever calls this library may have chosen one: theirs stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::blocking::Client::builder().connect_timeout(CONNECT_LIMIT).timeout(limit);
    if !endpoint.starts_with("https:") {
        // A plain connection must not fail because the image has no certificates.
        builder = builder.tls_certs_only([]);
    }
    // Built on a thread of its own: a blocking client may not be made within a runtime.
    let built = std::thread::Builder::new().spawn(move || builder.build()).map_err(|_| NoTraces::Thread)?;
    Ok(built.join().map_err(|_| NoTraces::Thread)??)
}

/// An exporter whose failures are counted, and told now and then.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    /// What is handed over waits no more.
    waiting: Waiting,
    complained: Mutex<Option<Instant>>,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        self.waiting.leave(spans);
        if let Err(error) = &result {
            counter!(names::SPANS_LOST, "reason" => "refused").increment(spans);
            if self.may_complain() {
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

impl<E> Watched<E> {
    fn may_complain(&self) -> bool {
        let mut complained = self.complained.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = complained.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL);
        if due {
            *complained = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests;
