//! The collector of traces and metrics: where it is, who speaks to it, and how long for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use tokio::sync::oneshot;

use crate::{Environment, Terms};

/// How long the last of everything may take to get out when the process stops.
pub(super) const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// How long the collector may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How long one export may take unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise: the specification's own default.
const EXPORT_LIMIT_MS: u64 = 10_000;
/// How often at most the log tells that something is lost.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// What OpenTelemetry's variables say of traces and metrics alike. The SDK reads its own: headers, compression.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    base: Option<String>,
    service: Option<String>,
    pub(super) export_limit: Duration,
    pub(super) disabled: bool,
}

impl Settings {
    pub(crate) fn read(env: &mut Environment) -> Self {
        let base = env.text_if_set(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "collector of traces, and of metrics if they are sent (OTLP over HTTP); none: no traces",
        );
        let disabled =
            env.text_or("OTEL_SDK_DISABLED", "false", "true: nothing is exported, whatever else is set");
        let service = env.text_if_set(
            "OTEL_SERVICE_NAME",
            "name of the service in traces and metrics; the function's own if not set",
        );
        let export_limit_ms =
            env.parsed_or("OTEL_EXPORTER_OTLP_TIMEOUT", EXPORT_LIMIT_MS, "longest export, in ms");
        Self {
            base,
            service,
            export_limit: Duration::from_millis(export_limit_ms),
            disabled: disabled.eq_ignore_ascii_case("true"),
        }
    }

    /// Where `signal` goes, such as `traces`, where it is not said of it alone.
    pub(super) fn endpoint(&self, signal: &str) -> Option<String> {
        self.base.as_ref().map(|base| format!("{}/v1/{signal}", base.trim_end_matches('/')))
    }

    /// Who tells.
    pub(super) fn resource(&self, terms: &Terms) -> Resource {
        let service = self.service.clone().unwrap_or_else(|| terms.name.into());
        Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.namespace", "jetlag"))
            .build()
    }
}

/// Why nothing is exported although it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoExport {
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

/// A client that blocks its thread, which is the exporter's own: there is no runtime there.
pub(super) fn client(endpoint: &str, limit: Duration) -> Result<reqwest::blocking::Client, NoExport> {
    // The provider of the process. Whoever calls this library may have chosen one: theirs stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::blocking::Client::builder().connect_timeout(CONNECT_LIMIT).timeout(limit);
    if !endpoint.starts_with("https:") {
        // A plain connection must not fail because the image has no certificates.
        builder = builder.tls_certs_only([]);
    }
    // Built on a thread of its own: a blocking client may not be made within a runtime.
    let built = std::thread::Builder::new().spawn(move || builder.build()).map_err(|_| NoExport::Thread)?;
    Ok(built.join().map_err(|_| NoExport::Thread)??)
}

/// Sends the last of `what` by `flush`, which is told how long it may take.
pub(super) async fn flush(
    what: &'static str,
    limit: Duration,
    flush: impl FnOnce(Duration) -> OTelSdkResult + Send + 'static,
) {
    let (done, waiting) = oneshot::channel();
    // A thread of its own, not one of the runtime's: those are waited for when the process ends, this one is not.
    let flushing = std::thread::Builder::new().name(format!("last-{what}")).spawn(move || {
        let _ = done.send(flush(limit));
    });
    let flushed = match flushing {
        Ok(_) => tokio::time::timeout(limit, waiting).await,
        Err(error) => return tracing::warn!(%error, "the last {what} are lost"),
    };
    match flushed {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the last {what} are lost"),
        Ok(Err(_)) | Err(_) => {
            tracing::warn!(error = "the collector does not answer", "the last {what} are lost");
        }
    }
}

/// When it was last told that something is lost.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Option<Instant>>);

impl Complaints {
    /// Whether it is to be told again.
    pub(super) fn are_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
pub(crate) mod double;
