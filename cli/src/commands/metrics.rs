//! `jetlag metrics`: what the broker tells of all functions, for Prometheus.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use jetlag::jetstream::Operator;
use tokio::net::TcpListener;

use super::signals::Signals;
use super::write;
use crate::console::Console;
use crate::exporter::{Exporter, Monitor, Verified, serve};
use crate::problem::{Exit, Problem};
use crate::streams::Source;

/// Tell Prometheus how everything is: lag, age, retries, dead letters, streams
///
/// The figures and findings of `jetlag status` in Prometheus' text form, of every function that the broker knows, whether a
/// process of it runs or not. Without --listen they are printed once; with it they are answered on /metrics, each request by
/// a look at the broker. docs/telemetry.md has every metric, and the rules and dashboards that are made of them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Metrics {
    /// Answer on this address until Ctrl-C or SIGTERM, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Tell the server's memory and storage too, from its monitoring endpoint, such as http://127.0.0.1:8222
    #[arg(long, value_name = "URL")]
    monitor: Option<String>,

    /// Read the audit trail from end to end so often, such as 24h, and tell whether it is what was sealed
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    verify_audit: Option<Duration>,

    #[command(flatten)]
    source: Source,
}

const EXAMPLES: &str = "\
Examples:
  jetlag metrics                                              of the up or demo that runs here, once
  jetlag metrics --listen 127.0.0.1:9464                      for a Prometheus on this machine
  jetlag metrics --context prod --listen 0.0.0.0:9464 --verify-audit 24h --monitor http://nats:8222

Exit codes:
  0 printed, or ended by a signal    64 usage    66 nothing runs here, or no such context
  69 no answer, or the address cannot be had    78 denied by the broker";

impl Metrics {
    /// Prints once, or answers until a signal.
    ///
    /// # Errors
    /// The broker does not answer at the start, or the address cannot be had (69).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let mut signals = Signals::new()?;
        let listener = match self.listen {
            Some(address) => Some((listen(address).await?, address)),
            None => None,
        };
        let monitor = self.monitor.as_deref().map(Monitor::new).transpose()?;
        let (look, url) = self.source.look().await?;
        let audit = Verified::default();
        let mut exporter = Exporter::new(look, monitor, audit.clone());
        let unavailable = |error: &dyn std::fmt::Display| {
            Problem::new(Exit::Unavailable, format!("the broker at {url} cannot be looked at: {error}"))
        };
        let Some((listener, address)) = listener else {
            if self.verify_audit.is_some() {
                let (operator, _) = self.source.connect().await?;
                audit.verify(&operator).await.map_err(|error| unavailable(&error))?;
            }
            return match exporter.text().await {
                (text, None) => {
                    let failed = |error| {
                        Problem::new(Exit::CannotCreate, "cannot write to standard output").because(error)
                    };
                    write(&text).map(drop).map_err(failed)
                }
                (_, Some(error)) => Err(unavailable(&error)),
            };
        };
        let verifying = async {
            if let Some(every) = self.verify_audit {
                let (operator, _) = self.source.connect().await?;
                keep_verifying(&audit, &operator, every, console).await;
            }
            std::future::pending().await
        };
        console.note(&format!("answering on http://{address}/metrics; Ctrl-C ends it"));
        tokio::select! {
            () = serve(listener, exporter) => Ok(()),
            ended = verifying => ended,
            () = signals.next() => Ok(()),
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| {
        Problem::new(Exit::Unavailable, format!("{address} cannot be listened on"))
            .because(error)
            .remedy("choose another address with --listen")
    })
}

async fn keep_verifying(audit: &Verified, operator: &Operator, every: Duration, console: Console) {
    loop {
        if let Err(error) = audit.verify(operator).await {
            console.warn(&format!("the audit trail could not be read: {error}"));
        }
        tokio::time::sleep(every).await;
    }
}
