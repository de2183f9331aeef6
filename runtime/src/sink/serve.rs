//! A function's process without a broker: answer on HTTP, send to the sink, and drain.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::core::engine::Engine;
use crate::handler::Bindings;
use crate::http::server::{self, Site, Ways};
use crate::readiness::Readiness;
use crate::serve::{DRAIN_MAX, EXIT_FORCED, Fatal, PUSHED_MAX, RUNNING, listen};
use crate::signals::Signals;
use crate::sink::Sink;
use crate::sink::nowhere::Nowhere;
use crate::sink::post::Post;
use crate::telemetry::metrics::Exposition;

/// Serves until a signal, and then finishes what came in.
pub(crate) async fn serve(
    sink: Sink,
    port: u16,
    bindings: Bindings,
    ways: Ways,
    metrics: Exposition,
) -> Result<ExitCode, Fatal> {
    let mut signals = Signals::listen().map_err(Fatal::Signals)?;
    let readiness = Readiness::waiting_for(&[RUNNING]);
    let (drain, stop_http) = (CancellationToken::new(), CancellationToken::new());
    let listener = listen(port).await?;
    let post = Post::to(sink).map_err(Fatal::Sink)?;
    let terms = bindings.terms;
    let (engine, following) = Engine::new(bindings, Arc::new(Nowhere { post }), drain.clone());
    let following = tokio::spawn(following);
    let at_work = Arc::new(OnceLock::from(Arc::clone(&engine)));
    let site = Site {
        terms,
        version: env!("CARGO_PKG_VERSION"),
        engine: at_work,
        ways,
        trigger: true,
        readiness: readiness.clone(),
        metrics,
    };
    let mut http = tokio::spawn(server::serve(listener, site, stop_http.clone()));
    engine.meter.runs(env!("CARGO_PKG_VERSION"));
    readiness.holds(RUNNING, "taking work");
    tracing::warn!(
        slots = terms.concurrency,
        "function started without a broker: events go to K_SINK, and nothing is kept. The same input again runs again and sends the \
         same ids again; some events of an input may be sent where others are not; there are no retries but the sender's, no \
         dead letters, no trail, and a circuit breaker for each process"
    );
    let signal = signals.next().await;
    tracing::info!(signal, "draining");
    readiness.fails(RUNNING, "draining");
    stop_http.cancel();
    let drained = async {
        let served = tokio::time::timeout(PUSHED_MAX, &mut http).await.is_ok();
        drain.cancel();
        if !served {
            // A server that failed has said so itself.
            let _ = http.await;
        }
    };
    let forced = tokio::select! {
        () = drained => None,
        () = tokio::time::sleep(DRAIN_MAX) => Some("the time for it is over"),
        second = signals.next() => Some(second),
    };
    drain.cancel();
    following.abort();
    match forced {
        None => tracing::info!("drained"),
        Some(why) => tracing::warn!(
            why,
            "stopped before everything under way was finished: its senders have no answer"
        ),
    }
    Ok(forced.map_or(ExitCode::SUCCESS, |_| ExitCode::from(EXIT_FORCED)))
}
