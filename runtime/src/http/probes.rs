//! Whether the process lives, whether it should be given work, its metrics, and what it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::core::broker::Broker;
use crate::event::rfc3339;
use crate::http::openapi;
use crate::http::server::Site;
use crate::readiness::Condition;
use crate::telemetry::metrics::Form;

#[derive(Serialize)]
struct Alive {
    status: &'static str,
    service: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    service: &'static str,
    version: &'static str,
    conditions: BTreeMap<&'static str, Condition>,
    /// For people: while it is open the events wait in the stream, and another process would do no better.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<Breaker>,
}

/// Where the circuit breaker stands.
#[derive(Serialize)]
struct Breaker {
    position: &'static str,
    /// Since when the dependency has been down.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// When the next input tries, or, while one tries, when it has ended at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// The paths that [`routes`] answers.
pub(crate) const PATHS: [&str; 6] =
    ["/health", "/health/liveness", "/ready", "/health/readiness", "/metrics", openapi::PATH];

/// The routes that are answered whatever else happens. They are under no limit but the server's own.
pub(crate) fn routes<B: Broker>() -> Router<Arc<Site<B>>> {
    let [health, liveness_path, ready, readiness_path, metrics_path, document] = PATHS;
    Router::new()
        .route(health, get(liveness::<B>))
        .route(liveness_path, get(liveness::<B>))
        .route(ready, get(readiness::<B>))
        .route(readiness_path, get(readiness::<B>))
        .route(metrics_path, get(metrics::<B>))
        .route(document, get(openapi::show::<B>))
}

async fn liveness<B: Broker>(State(site): State<Arc<Site<B>>>) -> Response {
    fresh(Json(Alive { status: "ok", service: site.terms.name, version: site.version }))
}

async fn readiness<B: Broker>(State(site): State<Arc<Site<B>>>) -> Response {
    let (ready, conditions) = site.readiness.report();
    let (code, status) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    let breaker = site.engine.get().filter(|engine| engine.terms.breaker.is_some()).map(|engine| {
        let outage = engine.breaker.outage();
        Breaker {
            position: engine.breaker.circuit().position().name(),
            since: outage.map(|(since, _)| rfc3339(since)),
            until: outage.map(|(_, until)| rfc3339(until)),
        }
    });
    fresh((
        code,
        Json(Ready { status, service: site.terms.name, version: site.version, conditions, breaker }),
    ))
}

async fn metrics<B: Broker>(State(site): State<Arc<Site<B>>>, headers: HeaderMap) -> Response {
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let form = Form::wanted(&accept.join(","));
    fresh(([(header::CONTENT_TYPE, form.content_type())], site.metrics.text(form)))
}

/// An answer that nobody may keep.
fn fresh(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}
