//! A function's process: connect, provision, pull, answer on HTTP, and drain. Read [`serve`] from top to bottom.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::core::broker::Stream;
use crate::core::engine::Engine;
use crate::core::intake::pull;
use crate::failure::chain;
use crate::function::{EXIT_CONFIG, EXIT_SOFTWARE, say};
use crate::handler::Bindings;
use crate::http::server::{self, Site, Ways};
use crate::jetstream::{ConnectError, Over, ProvisionError, Session};
use crate::permissions::Permissions;
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Exposition;
use crate::telemetry::traced::Traced;
use crate::topology::{self, Sizing, Topology};
use crate::watch::{BROKER, CONSUMERS, look_for_unreadable, watch, watch_room};
use crate::{Description, Source, Terms};

/// How long what is under way may take after SIGTERM.
pub const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How much of that is for what was pushed and has no slot yet; then its sender is told to try again.
pub(crate) const PUSHED_MAX: Duration = Duration::from_secs(10);
/// How long the last answers to the broker may take after that, and the last spans after those.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// How long a process takes to end after SIGTERM at most.
pub const STOP_MAX: Duration = DRAIN_MAX.saturating_add(FLUSH_MAX).saturating_add(FLUSH_MAX);
/// The wait between attempts to reach the broker at start.
const CONNECT_RETRY: Duration = Duration::from_millis(500);
/// How often it is said that the broker is not there, if it is for the same reason.
const REMINDER: Duration = Duration::from_secs(30);
/// How long what is under way may take once the broker denies something: most of it waits for what is denied.
const DENIED_DRAIN_MAX: Duration = Duration::from_secs(10);
/// The exit code if something that the process needs is not there (`EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;
/// The exit code if what was under way did not end in time.
pub(crate) const EXIT_FORCED: u8 = 75;

/// The condition of readiness that holds while work is taken.
pub(crate) const RUNNING: &str = "running";

/// Why a process ended other than by a signal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("cannot listen on port {port}")]
    Port { port: u16, source: std::io::Error },
    #[error("the client of the sink cannot be made")]
    Sink(#[source] reqwest::Error),
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Broker(#[from] ConnectError),
    #[error("streams and consumers are not as the contract needs them")]
    Provision(#[source] ProvisionError),
    #[error("the broker denies this function what it needs: {0}")]
    Denied(String),
    #[error(
        "the client of the broker has failed, most likely at an input that it cannot read: a new process must go on with a \
         new one, and finds everything that was under way at the broker"
    )]
    Client,
}

impl From<Over> for Fatal {
    fn from(over: Over) -> Self {
        match over {
            Over::Denied(why) => Self::Denied(why),
            Over::Dead => Self::Client,
        }
    }
}

/// Runs the function until a signal, and says what went wrong otherwise.
pub(crate) fn run(
    settings: Settings,
    description: &Description,
    mut bindings: Bindings,
    ways: Ways,
) -> ExitCode {
    bindings.terms.breaker = settings.breaker;
    bindings.terms.durability = settings.durability;
    let runtime = match threads().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("{}: cannot start: {error}", description.name));
            return ExitCode::from(EXIT_UNAVAILABLE);
        }
    };
    let code = runtime.block_on(async {
        let telemetry = Telemetry::start(&bindings.terms, settings.telemetry.clone());
        if telemetry.traces() {
            bindings.handler = Traced::of(bindings.handler);
        }
        let metrics = telemetry.metrics();
        let served = match settings.sink.clone() {
            None => serve(settings, description, bindings, ways, metrics).await,
            Some(sink) => crate::sink::serve(sink, settings.port, bindings, ways, metrics).await,
        };
        let code = match served {
            Ok(code) => code,
            Err(fatal) => {
                tracing::error!(error = chain(&fatal), "the function cannot go on");
                fatal.exit_code()
            }
        };
        telemetry.stop().await;
        code
    });
    runtime.shutdown_timeout(FLUSH_MAX);
    code
}

/// One thread for everything unless tokio's own variable says otherwise: a function waits far more than it computes, and what
/// is handed from thread to thread costs a wake-up each time. Where one thread is not enough there are more processes.
///
/// It has the scheduler of one thread, not the other one with one worker. That runs first what was woken last, which is the
/// connection whenever an input has something to send: nearly every message would be a write of its own.
fn threads() -> tokio::runtime::Builder {
    match std::env::var("TOKIO_WORKER_THREADS") {
        Ok(count) if count != "1" => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    }
}

impl Fatal {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Provision(_) | Self::Denied(_) | Self::Broker(_) => EXIT_CONFIG,
            Self::Port { .. } | Self::Signals(_) | Self::Sink(_) => EXIT_UNAVAILABLE,
            Self::Client => EXIT_SOFTWARE,
        })
    }
}

async fn serve(
    settings: Settings,
    description: &Description,
    bindings: Bindings,
    ways: Ways,
    metrics: Exposition,
) -> Result<ExitCode, Fatal> {
    let endpoints_there = !ways.endpoints.is_empty();
    let mut signals = Signals::listen().map_err(Fatal::Signals)?;
    let readiness = Readiness::waiting_for(&[BROKER, CONSUMERS, RUNNING]);
    let (drain, stop_http) = (CancellationToken::new(), CancellationToken::new());

    // Probes are answered from the first moment on, inputs over HTTP once there is a broker.
    let listener = listen(settings.port).await?;
    let at_work = Arc::new(OnceLock::new());
    let site = Site {
        terms: bindings.terms,
        version: env!("CARGO_PKG_VERSION"),
        engine: Arc::clone(&at_work),
        ways,
        trigger: settings.trigger.takes_requests(),
        readiness: readiness.clone(),
        metrics,
    };
    let mut http = tokio::spawn(server::serve(listener, site, stop_http.clone()));

    let terms = bindings.terms;
    let lanes_needed = lanes_of(&terms);
    let admits = !terms.admits.is_empty() || endpoints_there;
    let needed = Permissions::of(description);
    let session = tokio::select! {
        session = prepare(&settings, description, &needed, &lanes_needed, &readiness) => session?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before the broker was there");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (engine, publishing) = Engine::new(bindings, Arc::new(session.broker()), drain.clone());
    engine.meter.runs(&description.version);
    let publishing = tokio::spawn(publishing);
    let pulse = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { engine.pulse.beat(&*engine.broker).await }
    });
    let lanes = TaskTracker::new();
    if settings.trigger.pulls() {
        for (stream, most) in &lanes_needed {
            let lane = session.lane(*stream, terms.name).await?;
            lanes.spawn(pull(Arc::clone(&engine), lane, *stream, *most));
        }
    }
    lanes.close();
    // Set once, here.
    let _ = at_work.set(Arc::clone(&engine));
    readiness.holds(RUNNING, "taking work");
    tracing::info!(version = description.version, slots = terms.concurrency, "function started");

    let room = async {
        if admits {
            watch_room(&session, &engine).await;
        }
        std::future::pending::<()>().await;
    };
    let denied = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, in_flight = engine.pulse.holds(), "draining");
            None
        }
        over = watch(&session, &engine, &lanes_needed, &needed, &readiness) => {
            let Over::Denied(why) = over else {
                // Nothing can be committed or answered any more: all of it is delivered again.
                readiness.fails(BROKER, "the client has failed");
                return Err(bury_what_ended_the_client(&settings, description, terms.name, &lanes_needed).await);
            };
            let in_flight = engine.pulse.holds();
            tracing::error!(error = why, in_flight, "the broker denies this function what it needs: draining");
            Some(why)
        }
        () = room => None,
    };
    readiness.fails(RUNNING, "draining");
    stop_http.cancel();
    let drained = async {
        // What was pushed here and waits for its slot is finished, not given back: its sender knows of no other process.
        // With nothing pushed it is over at once.
        let pushed = settings.trigger.takes_requests();
        let served = pushed && tokio::time::timeout(PUSHED_MAX, &mut http).await.is_ok();
        drain.cancel();
        lanes.wait().await;
        if !served {
            // A server that failed has said so itself.
            let _ = http.await;
        }
    };
    let forced = tokio::select! {
        () = drained => None,
        () = tokio::time::sleep(if denied.is_some() { DENIED_DRAIN_MAX } else { DRAIN_MAX }) => {
            Some("the time for it is over")
        }
        second = signals.next() => Some(second),
    };
    // Whatever came of it, nothing new is begun.
    drain.cancel();
    pulse.abort();
    publishing.abort();
    session.close(FLUSH_MAX, terms.name, &lanes_needed).await;
    match forced {
        None => tracing::info!("drained"),
        Some(why) => tracing::warn!(
            in_flight = engine.pulse.holds(),
            why,
            "stopped before everything under way was finished: it will be delivered again"
        ),
    }
    match denied {
        Some(why) => Err(Fatal::Denied(why)),
        None if forced.is_some() => Ok(ExitCode::from(EXIT_FORCED)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Over another connection, so that the next process does not meet it too. If that fails, the next one comes here, unless
/// it is denied: that ends the process for good. Gives why the process ends.
async fn bury_what_ended_the_client(
    settings: &Settings,
    description: &Description,
    function: &'static str,
    lanes: &[(Stream, usize)],
) -> Fatal {
    match Session::open(&settings.connection, &description.name).await {
        Ok(session) => {
            look_for_unreadable(&session, function, lanes).await;
            session.denied().map_or(Fatal::Client, Fatal::Denied)
        }
        Err(ConnectError::Denied(why)) => Fatal::Denied(why),
        Err(error) => {
            tracing::warn!(error = chain(&error), "what ended the client could not be looked for");
            Fatal::Client
        }
    }
}

/// A listener on every address of the machine.
pub(crate) async fn listen(port: u16) -> Result<TcpListener, Fatal> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6, or a port in use: the second attempt tells.
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
            .await
            .map_err(|source| Fatal::Port { port, source }),
    }
}

/// Connects and provisions, again and again until the broker is there; what no waiting mends ends the process.
async fn prepare(
    settings: &Settings,
    description: &Description,
    needed: &Permissions,
    lanes: &[(Stream, usize)],
    readiness: &Readiness,
) -> Result<Session, Fatal> {
    let mut reminder = Reminder::default();
    let session = loop {
        let failed = match Session::open(&settings.connection, &description.name).await {
            Ok(session) => break session,
            Err(error @ ConnectError::Connect { .. }) => chain(&error),
            Err(ConnectError::Denied(why)) => return Err(Fatal::Denied(why)),
            Err(error) => return Err(error.into()),
        };
        readiness.fails(BROKER, failed.clone());
        reminder.warn("the broker is not there yet", failed);
        tokio::time::sleep(CONNECT_RETRY).await;
    };
    readiness.holds(BROKER, "connected");
    // All of it at once, and before the first input: what is needed in a rare hour would otherwise be missed then.
    if let Some(why) = session.lacks(needed).await {
        return Err(Fatal::Denied(why));
    }
    let topology = Topology::of(std::slice::from_ref(description), &Sizing::default());
    loop {
        let found = tokio::select! {
            biased;
            over = session.over() => return Err(over.into()),
            found = provisioned(settings.provision, &session, &topology, &description.name, lanes) => found?,
        };
        let Err(missing) = found else {
            readiness.holds(CONSUMERS, "there");
            return Ok(session);
        };
        readiness.fails(CONSUMERS, missing.clone());
        reminder.warn("streams and consumers are not there yet", missing);
        tokio::time::sleep(CONNECT_RETRY).await;
    }
}

/// Makes streams and consumers, or looks whether they are there; gives what is missing, if waiting mends it.
async fn provisioned(
    make: bool,
    session: &Session,
    topology: &Topology,
    function: &str,
    lanes: &[(Stream, usize)],
) -> Result<Result<(), String>, Fatal> {
    if !make {
        let found = session.consumers_there(function, lanes).await;
        return Ok(found.map(drop).map_err(|missing| missing.to_string()));
    }
    match session.provision(topology).await {
        Ok(done) => {
            if !done.created.is_empty() {
                tracing::info!(created = done.created.join(", "), "provisioned");
            }
            // Which also tells how long they wait for a sign of work.
            let found = session.consumers_there(function, lanes).await;
            Ok(found.map(drop).map_err(|missing| missing.to_string()))
        }
        Err(error @ ProvisionError::NoAnswer(_)) => Ok(Err(error.to_string())),
        Err(ProvisionError::Denied(why)) => Err(Fatal::Denied(why)),
        Err(error) => Err(Fatal::Provision(error)),
    }
}

/// Says why something is waited for: at once, whenever the reason changes, and every [`REMINDER`].
#[derive(Debug, Default)]
struct Reminder {
    said: Option<(String, Instant)>,
}

impl Reminder {
    fn warn(&mut self, what: &str, why: String) {
        let is_old = |(said, at): &(String, Instant)| *said == why && at.elapsed() < REMINDER;
        if !self.said.as_ref().is_some_and(is_old) {
            tracing::warn!(error = why, "{what}");
            self.said = Some((why, Instant::now()));
        }
    }
}

/// The lanes that a function pulls from, and how many inputs of each it holds at most. A due retry has slots of its own
/// to wait for, so that it never stands behind the backlog.
fn lanes_of(terms: &Terms) -> Vec<(Stream, usize)> {
    let held = |stream: &str| topology::held(stream, terms.concurrency, terms.batch);
    let mut lanes = Vec::new();
    if !terms.trigger.pulls() {
        return lanes;
    }
    match terms.reads {
        Source::Events if !terms.listens_to.is_empty() => {
            lanes.push((Stream::Events, held(topology::EVENTS)));
            lanes.push((Stream::Retry, held(topology::RETRY)));
        }
        Source::Events => {}
        Source::Audit => lanes.push((Stream::Audit, held(topology::AUDIT))),
    }
    if !terms.admits.is_empty() {
        lanes.push((Stream::Intake, held(topology::INTAKE)));
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trigger;
    use crate::core::admit::admit;
    use crate::core::broker::Delivery;
    use crate::core::life::live;
    use crate::jetstream::JetStream;

    fn bytes_of<F>(_: impl FnOnce(Arc<Engine<JetStream>>, Delivery<Arc<str>>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_an_input_is_small() {
        // What is rare belongs into a box of its own.
        let live = bytes_of(|engine, delivery| live::<JetStream>(engine, delivery, None));
        assert!(live <= 4 * 1024 + 256, "{live}");
        assert!(bytes_of(admit::<JetStream>) <= 6 * 1024, "{}", bytes_of(admit::<JetStream>));
    }

    #[test]
    fn who_is_called_over_http_alone_pulls_from_nothing() {
        const CONTRACT: crate::Contract<crate::AnyEvent, crate::Nothing> =
            crate::Contract::new("till", "Charges.");
        assert!(lanes_of(&CONTRACT.trigger(Trigger::Http).terms()).is_empty());
        assert_eq!(lanes_of(&CONTRACT.trigger(Trigger::Both).terms()).len(), 2);
    }
}
