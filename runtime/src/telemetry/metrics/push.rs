//! The same metrics by OTLP. The SDK asks for counters and gauges when it sends them; of a histogram it keeps its own counts,
//! as nobody else can give it any.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use metrics::Key;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider as _};
use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

use crate::telemetry::collector::{self, Complaints, FLUSH_LIMIT, NoExport, client, flush};
use crate::telemetry::metrics::series::Cell;
use crate::telemetry::names::{self, Unit};
use crate::{Environment, Terms};

/// Where metrics are sent if no variable says it: the specification's own default.
const ENDPOINT: &str = "http://localhost:4318/v1/metrics";
/// How often they are sent unless `OTEL_METRIC_EXPORT_INTERVAL` says otherwise: the specification's own default.
const INTERVAL_MS: u64 = 60_000;

/// Where metrics go.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The collector's URL for metrics, or nothing if they are not sent.
    endpoint: Option<String>,
    interval: Duration,
}

/// Who comes for the metrics, or is sent them: names of exporters, separated by commas.
#[derive(Debug, Clone, Copy, PartialEq)]
struct To {
    otlp: bool,
}

impl FromStr for To {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut names = text.split(',').map(str::trim);
        if !names.clone().all(|name| matches!(name, "otlp" | "prometheus" | "none")) {
            return Err("it is prometheus, otlp, both with a comma between, or none");
        }
        Ok(Self { otlp: names.any(|name| name == "otlp") })
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.otlp { "otlp" } else { "prometheus" })
    }
}

impl Settings {
    /// OpenTelemetry's own variables. The SDK reads which temporality is preferred; it is cumulative otherwise.
    pub(crate) fn read(env: &mut Environment, collector: &collector::Settings) -> Self {
        let to = env.parsed_or(
            "OTEL_METRICS_EXPORTER",
            To { otlp: false },
            "otlp: metrics are sent to the collector too; /metrics has them in any case",
        );
        let own = env.text_if_set(
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "collector of metrics with its path, instead of OTEL_EXPORTER_OTLP_ENDPOINT",
        );
        let interval_ms = env.parsed_or(
            "OTEL_METRIC_EXPORT_INTERVAL",
            INTERVAL_MS,
            "how often metrics are sent to the collector, in ms",
        );
        let endpoint = own.or_else(|| collector.endpoint("metrics")).unwrap_or_else(|| ENDPOINT.into());
        Self {
            endpoint: (to.otlp && !collector.disabled).then_some(endpoint),
            interval: Duration::from_millis(interval_ms.max(1)),
        }
    }
}

/// The sending of metrics.
#[derive(Debug)]
pub(crate) struct Push {
    provider: SdkMeterProvider,
}

impl Push {
    /// What `settings` ask for, if they do.
    pub(crate) fn new(
        terms: &Terms,
        settings: Settings,
        collector: &collector::Settings,
    ) -> Result<Option<Self>, NoExport> {
        let Some(endpoint) = settings.endpoint else { return Ok(None) };
        let exporter = MetricExporter::builder()
            .with_http()
            .with_http_client(client(&endpoint, collector.export_limit)?)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(collector.export_limit)
            .with_endpoint(endpoint)
            .build()?;
        let exporter = Watched { exporter, complaints: Complaints::default() };
        let reader = PeriodicReader::builder(exporter).with_interval(settings.interval).build();
        let resource = collector.resource(terms);
        let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
        Ok(Some(Self { provider }))
    }

    /// Whom series are made known to.
    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter("jetlag")
    }

    /// Sends what is left, within [`FLUSH_LIMIT`].
    pub(crate) async fn stop(self) {
        self.stop_within(FLUSH_LIMIT).await;
    }

    async fn stop_within(self, limit: Duration) {
        flush("metrics", limit, move |limit| self.provider.shutdown_with_timeout(limit)).await;
    }
}

/// Has the SDK ask for the series of `key` whenever it sends; a histogram is told to it instead, value by value.
pub(super) fn observe(meter: &Meter, key: &Key, cell: &Cell) {
    let (name, attributes) = (key.name().to_owned(), attributes(key));
    let (about, unit) = described(key.name());
    match cell {
        Cell::Counter(count) => {
            let count = count.clone();
            let ask = meter.u64_observable_counter(name).with_description(about).with_unit(unit);
            ask.with_callback(move |told| told.observe(count.load(Ordering::Relaxed), &attributes)).build();
        }
        Cell::Gauge(bits) => {
            let bits = bits.clone();
            let ask = meter.f64_observable_gauge(name).with_description(about).with_unit(unit);
            let value = move || f64::from_bits(bits.load(Ordering::Relaxed));
            ask.with_callback(move |told| told.observe(value(), &attributes)).build();
        }
        Cell::Histogram(_) => {}
    }
}

/// A histogram of the SDK, beside that of the same series here.
#[derive(Debug)]
pub(super) struct Twin {
    histogram: Histogram<f64>,
    attributes: Vec<KeyValue>,
}

impl Twin {
    /// That of the series of `key`.
    pub(super) fn of(meter: &Meter, key: &Key, bounds: &[f64]) -> Self {
        let (about, unit) = described(key.name());
        let histogram = meter.f64_histogram(key.name().to_owned()).with_description(about).with_unit(unit);
        Self { histogram: histogram.with_boundaries(bounds.to_vec()).build(), attributes: attributes(key) }
    }

    pub(super) fn record(&self, value: f64) {
        self.histogram.record(value, &self.attributes);
    }
}

fn attributes(key: &Key) -> Vec<KeyValue> {
    key.labels().map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned())).collect()
}

/// What is said of a metric, and its unit as UCUM has it. One that counts has none: some collectors would put it into the name.
fn described(name: &str) -> (&'static str, &'static str) {
    let Some(metric) = names::find(name) else { return ("", "") };
    let unit = match metric.unit {
        Unit::Seconds | Unit::UnixSeconds => "s",
        Unit::Bytes => "By",
        Unit::Count | Unit::Percent | Unit::YesNo => "",
    };
    (metric.about, unit)
}

/// An exporter whose failures are told now and then. The next export has all that this one had.
#[derive(Debug)]
struct Watched {
    exporter: MetricExporter,
    complaints: Complaints,
}

impl PushMetricExporter for Watched {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        if let Err(error) = result.as_ref().map_err(ToString::to_string)
            && self.complaints.are_due()
        {
            tracing::warn!(error, "metrics not sent: the collector did not take them");
        }
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests;
