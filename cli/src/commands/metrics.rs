//! `jetlag metrics`: what the broker tells of all functions, for Prometheus.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use jetlag::jetstream::{Operator, OperatorError};
use jetlag::permissions::{METRICS, OPERATOR};
use tokio::net::TcpListener;

use super::signals::Signals;
use super::write;
use crate::console::Console;
use crate::exporter::{Exporter, Monitor, Verified, serve};
use crate::problem::{Exit, Problem};
use crate::streams::Source;

/// How soon the audit trail is read again that could not be read to its end.
const VERIFY_AGAIN: Duration = Duration::from_secs(5 * 60);
/// How often it is looked whether the broker denies something.
const DENIAL_INTERVAL: Duration = Duration::from_secs(1);

/// Tell Prometheus how everything is: lag, age, retries, dead letters, streams
///
/// The figures and findings of `jetlag status` in Prometheus' text form, of every function that the broker knows, whether a
/// process of it runs or not. Without --listen they are printed once; with it they are answered on /metrics, each request by
/// a look at the broker, as the user `metrics` where each user has its own permissions (docs/permissions.md).
/// docs/telemetry.md has every metric, and the rules and dashboards that are made of them.
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
    /// The broker does not answer at the start, or the address cannot be had (69); the broker denies something (78).
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let signals = Signals::new()?;
        match self.listen {
            Some(address) => self.answer(listen(address).await?, signals, console).await,
            None => self.print().await,
        }
    }

    async fn print(self) -> Result<(), Problem> {
        let (look, url) = self.source.look_as(OPERATOR).await?;
        let unseen = |error: OperatorError| {
            Problem::new(Exit::Unavailable, format!("the broker at {url} cannot be looked at")).because(error)
        };
        let audit = Verified::default();
        if self.verify_audit.is_some() {
            audit.verify(look.operator()).await.map_err(unseen)?;
        }
        let mut exporter = Exporter::new(look, self.monitor()?, audit);
        match exporter.text().await {
            (text, None) => write(&text).map(drop).map_err(|error| {
                Problem::new(Exit::CannotCreate, "cannot write to standard output").because(error)
            }),
            (_, Some(error)) => Err(unseen(error)),
        }
    }

    async fn answer(
        self,
        listener: TcpListener,
        mut signals: Signals,
        console: Console,
    ) -> Result<(), Problem> {
        let address = listener
            .local_addr()
            .map_err(|error| Problem::new(Exit::Internal, "the address is not known").because(error))?;
        let (look, url) = self.source.look_as(METRICS).await?;
        let operator = look.operator().clone();
        let audit = Verified::default();
        let exporter = Exporter::new(look, self.monitor()?, audit.clone());
        let verifying = async {
            match self.verify_audit {
                Some(every) => keep_verifying(&audit, &operator, every, console).await,
                None => std::future::pending().await,
            }
        };
        console.note(&format!("answering on http://{address}/metrics; Ctrl-C ends it"));
        tokio::select! {
            () = serve(listener, exporter) => Ok(()),
            () = verifying => Ok(()),
            why = denial(&operator) => {
                let what = format!("the broker at {url} denies this user what it needs");
                Err(Problem::new(Exit::Config, what).because(OperatorError::Denied(why)))
            }
            () = signals.next() => Ok(()),
        }
    }

    fn monitor(&self) -> Result<Option<Monitor>, Problem> {
        self.monitor.as_deref().map(Monitor::new).transpose()
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| {
        Problem::new(Exit::Unavailable, format!("{address} cannot be listened on"))
            .because(error)
            .remedy("choose another address with --listen")
    })
}

/// Never ends.
async fn keep_verifying(audit: &Verified, operator: &Operator, every: Duration, console: Console) {
    loop {
        let pause = match audit.verify(operator).await {
            Ok(()) => every,
            Err(error) => {
                console.warn(&format!("the audit trail could not be read: {error}"));
                every.min(VERIFY_AGAIN)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Waits until the broker denies this user something: nothing here mends that, and whoever starts this again reads the
/// keys anew.
async fn denial(operator: &Operator) -> String {
    loop {
        if let Some(why) = operator.denied() {
            return why;
        }
        tokio::time::sleep(DENIAL_INTERVAL).await;
    }
}
