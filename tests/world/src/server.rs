//! The life of a server process: bind, say so, serve, stop when asked.

use std::{
    error::Error,
    future::IntoFuture,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use axum::{Router, serve::ListenerExt};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::timeout,
};

use crate::Failure;

/// How long requests in progress may take once the process was told to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Runs a server to its end and turns the result into an exit code, with one line on stderr if it
/// failed.
pub async fn run_to_exit(name: &str, server: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let Err(failure) = server.await else { return ExitCode::SUCCESS };
    let mut line = format!("{name}: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        line.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // Nobody is left to tell if stderr is closed; the exit code still speaks.
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(failure.exit_code())
}

/// Binds `address`, and returns the address that it became when port 0 was asked for.
pub(crate) async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |source| Failure::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves on a free port within this process, for as long as its runtime lives.
pub(crate) async fn open(router: Router) -> Result<SocketAddr, Failure> {
    let (listener, address) = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

/// Prints the ready line of one listener, which whoever started the process waits for.
pub(crate) fn announce(scheme: &str, address: SocketAddr) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {scheme}://{address}")
        .and_then(|()| stdout.flush())
        .map_err(Failure::Announce)
}

/// SIGTERM and SIGINT. Installed before the ready line, so that a signal sent in answer to that
/// line already ends the process in order.
pub(crate) struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    /// Takes both signals over from their default, which is to die.
    pub(crate) fn install() -> Result<Self, Failure> {
        Ok(Termination {
            terminate: signal(SignalKind::terminate()).map_err(Failure::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Failure::Signals)?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until a signal arrives, then lets requests in progress end within [`DRAIN_LIMIT`].
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    mut termination: Termination,
) -> Result<(), Failure> {
    let listener = listener.tap_io(|stream| {
        // Answers are small and are waited for; a socket that refuses is only slower.
        let _ = stream.set_nodelay(true);
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        // Either outcome means stop: `stop` is only ever dropped.
        let _ = stopped.await;
    });
    let mut server = pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return ended.map_err(Failure::Serve),
        () = termination.received() => drop(stop),
    }
    // Requests that are still held after the limit (an outage that hangs) are cut off.
    timeout(DRAIN_LIMIT, server).await.unwrap_or(Ok(())).map_err(Failure::Serve)
}
