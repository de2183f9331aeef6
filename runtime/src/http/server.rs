//! The server: from a listening socket to routes, within limits, until it is to stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::core::broker::Broker;
use crate::core::engine::{Engine, RELEASE_DELAY};
use crate::http::guard::{Limits, Place};
use crate::http::problem::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem, STARTING};
use crate::http::{door, guard, probes, trigger};
use crate::readiness::Readiness;
use crate::{Endpoint, Terms};

/// How long what came in may take once the server is to stop.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(25);
/// How long a client may take to send the head of a request, and may keep a connection without one.
const HEAD_LIMIT: Duration = Duration::from_secs(15);
/// The most bytes of a head, and of what is read ahead of a body.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How many connections are served at a time; more wait at the door.
const CONNECTIONS_MAX: usize = 4096;
/// How long nothing is accepted after the system refused, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server serves. The engine comes later: probes are answered before the broker is connected.
pub(crate) struct Site<B: Broker> {
    pub(crate) terms: Terms,
    /// The version of the function, for people.
    pub(crate) version: &'static str,
    /// Set once the function can work; until then whatever needs it is answered 503.
    pub(crate) engine: Arc<OnceLock<Arc<Engine<B>>>>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Whether events are taken at `POST /`.
    pub(crate) trigger: bool,
    pub(crate) readiness: Readiness,
    /// Writes the metrics in Prometheus' text form.
    pub(crate) metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl<B: Broker> Site<B> {
    /// The function at work, or the answer until it is.
    pub(crate) fn engine(&self) -> Result<&Arc<Engine<B>>, Problem> {
        let starting =
            || Problem::new(STARTING, "the broker is not connected yet").retry_after(RELEASE_DELAY);
        self.engine.get().ok_or_else(starting)
    }
}

/// Serves `site` at `listener` until `stop`, and then finishes what came in, within [`DRAIN_LIMIT`].
pub(crate) async fn serve<B: Broker>(listener: TcpListener, site: Site<B>, stop: CancellationToken) {
    let work = TaskTracker::new();
    let service = TowerToHyperService::new(router(site, &work));
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let cut_off = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) } => accepted,
        };
        let (place, stream) = match accepted {
            (Ok(place), Ok((stream, _))) => (place, stream),
            (_, Err(error)) if is_the_clients(&error) => continue,
            (_, error) => {
                tracing::warn!(error = ?error.err(), "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = converse(stream, service.clone(), stop.clone(), cut_off.clone());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    work.close();
    let finished = async { tokio::join!(connections.wait(), work.wait()) };
    if tokio::time::timeout(DRAIN_LIMIT, finished).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests cut off: they took longer than the process may stay"
        );
        cut_off.cancel();
    }
}

/// Serves one connection to its end.
async fn converse(
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    stop: CancellationToken,
    cut_off: CancellationToken,
) {
    // Answers are short: none waits to be joined by a next one.
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is the client's business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = cut_off.cancelled() => {}
    }
}

/// Whether accepting failed because of the connection rather than because of this process.
fn is_the_clients(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// What is wrong with the paths of `endpoints`, each a sentence; empty if nothing is.
pub(crate) fn faults(endpoints: &[Endpoint], trigger: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, endpoint) in endpoints.iter().enumerate() {
        let path = endpoint.path;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let segments = path
            .strip_prefix('/')
            .map(|rest| rest.split('/').all(|s| !s.is_empty() && s.chars().all(is_plain)));
        if path != "/" && segments != Some(true) {
            faults.push(format!(
                "the path {path:?} must be / or like /orders/new: letters, digits, -, _ and ."
            ));
        }
        if probes::PATHS.contains(&path) || (trigger && path == "/") {
            faults.push(format!("the path {path:?} is answered by Jetlag itself"));
        }
        if endpoints.iter().take(at).any(|earlier| earlier.path == path) {
            faults.push(format!("the path {path:?} is there twice"));
        }
    }
    faults
}

/// Every route of `site`, whose endpoints have no [`faults`]. What must outlive its connection runs on `work`.
pub(crate) fn router<B: Broker>(site: Site<B>, work: &TaskTracker) -> Router {
    let mut routes = Router::new();
    if site.trigger {
        let work = work.clone();
        let handler = move |site: State<Arc<Site<B>>>, place: Extension<Place>, request: Request| {
            trigger::take(site, work, place, request)
        };
        routes = routes.route("/", post(handler));
    }
    for (at, endpoint) in site.endpoints.iter().enumerate() {
        let handler = move |site: State<Arc<Site<B>>>, request: Request| door::enter(site, at, request);
        routes = routes.route(endpoint.path, post(handler));
    }
    if routes.has_routes() {
        routes = routes.route_layer(from_fn_with_state(Limits::default(), guard::bound));
    }
    let watch = from_fn_with_state(site.terms.name, guard::watch);
    routes
        .merge(probes::routes::<B>())
        .method_not_allowed_fallback(|| async { Problem::new(METHOD_NOT_ALLOWED, "see the Allow header") })
        .fallback(|| async { Problem::new(NOT_FOUND, "no such path") })
        .layer(watch)
        .with_state(Arc::new(site))
}

#[cfg(test)]
mod tests;
