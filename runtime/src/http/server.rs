//! The server: from a listening socket to routes, within limits, until it is to stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Terms;
use crate::core::broker::Broker;
use crate::core::engine::{Engine, RELEASE_DELAY};
use crate::http::connection::{self, End};
use crate::http::guard::Limits;
use crate::http::problem::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem, STARTING};
pub(crate) use crate::http::ways::Ways;
use crate::http::{door, guard, probes, trigger, window};
use crate::readiness::Readiness;
use crate::sequel::Sequel;
use crate::telemetry::metrics::Exposition;

/// How long what came in may take once the server is to stop.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(25);
/// How long a client may take to send the head of a request, and may keep a connection without one.
const HEAD_LIMIT: Duration = Duration::from_secs(15);
/// The same while most places are taken.
const HEAD_LIMIT_CROWDED: Duration = Duration::from_secs(2);
/// How many connections are served at a time, if the process may have as many open files; more wait at the door.
const CONNECTIONS_MAX: usize = 4096;
/// How many open files are left for everything else: the broker, what handlers open, logs.
const FILES_RESERVED: usize = 128;
/// How many connections there are at least: whoever gives a process fewer files than that is told by the log.
const CONNECTIONS_MIN: usize = 16;
/// How long nothing is accepted after the system refused, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a server that is to stop looks for connections that were made before.
const LAST_ACCEPT: Duration = Duration::from_millis(20);

/// What the server serves. The engine comes later: probes are answered before the broker is connected.
pub(crate) struct Site<B: Broker> {
    pub(crate) terms: Terms,
    /// The version of the function, for people.
    pub(crate) version: &'static str,
    /// Set once the function can work; until then whatever needs it is answered 503.
    pub(crate) engine: Arc<OnceLock<Arc<Engine<B>>>>,
    pub(crate) ways: Ways,
    /// Whether events are taken at `POST /`.
    pub(crate) trigger: bool,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Exposition,
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
pub(crate) async fn serve<B: Sequel>(listener: TcpListener, site: Site<B>, stop: CancellationToken) {
    let work = TaskTracker::new();
    let service = TowerToHyperService::new(router(site, &work));
    let connections = TaskTracker::new();
    let most = connections_max();
    let places = Arc::new(Semaphore::new(most));
    let end = End { stop: stop.clone(), cut_off: CancellationToken::new() };
    let admit = |stream, place: OwnedSemaphorePermit| {
        let connection = connection::converse(
            stream,
            service.clone(),
            end.clone(),
            patience(places.available_permits(), most),
        );
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) } => accepted,
        };
        match accepted {
            (Ok(place), Ok((stream, _))) => admit(stream, place),
            (_, Err(error)) if is_the_clients(&error) => {}
            (_, error) => {
                tracing::warn!(error = ?error.err(), "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever had connected by now is still answered: to them the process was there.
    let last = tokio::time::Instant::now() + LAST_ACCEPT;
    while let Ok(place) = Arc::clone(&places).try_acquire_owned()
        && let Ok(Ok((stream, _))) = tokio::time::timeout_at(last, listener.accept()).await
    {
        admit(stream, place);
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
        end.cut_off.cancel();
    }
}

/// How long a new connection may take to send a head: not long once most places are taken, so that those who connect and
/// say nothing do not keep everybody else outside.
fn patience(free: usize, most: usize) -> Duration {
    if free < most / 4 { HEAD_LIMIT_CROWDED } else { HEAD_LIMIT }
}

/// How many connections may be served at a time: [`CONNECTIONS_MAX`], or what the system's limit of open files leaves, which is
/// raised first as far as this process may. Beyond it nothing else could be opened either, such as a connection to the broker.
fn connections_max() -> usize {
    let wanted = (CONNECTIONS_MAX + FILES_RESERVED) as u64;
    let limit = getrlimit(Resource::Nofile);
    // Without a number there is no limit.
    let (current, most) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let raised = wanted.min(most);
    let is_raised = current < raised
        && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }).is_ok();
    let files = usize::try_from(if is_raised { raised } else { current }).unwrap_or(usize::MAX);
    let connections = files.saturating_sub(FILES_RESERVED).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
    if connections < CONNECTIONS_MAX {
        tracing::info!(
            connections,
            files,
            "fewer connections at a time than 4,096: the limit of open files is low"
        );
    }
    connections
}

/// Whether accepting failed because of the connection rather than because of this process.
fn is_the_clients(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Every route of `site`, whose ways have no [`faults`](Ways::faults). What must outlive its connection runs on `work`.
pub(crate) fn router<B: Sequel>(site: Site<B>, work: &TaskTracker) -> Router {
    let mut routes = Router::new();
    if site.trigger {
        let work = work.clone();
        let handler = move |site: State<Arc<Site<B>>>, request: Request| trigger::take(site, work, request);
        routes = routes.route("/", post(handler));
    }
    for (at, endpoint) in site.ways.endpoints.iter().enumerate() {
        let handler = move |site: State<Arc<Site<B>>>, request: Request| door::enter(site, at, request);
        routes = routes.route(endpoint.path, post(handler));
    }
    for (at, view) in site.ways.views.iter().enumerate() {
        let handler = move |site: State<Arc<Site<B>>>, id| window::look(site, at, id);
        routes = routes.route(&view.route(), get(handler));
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
