//! `jetlag up`: runs the application on this machine until it is told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::launch::Launch;
use super::scale::{Scale, Timeline};
use super::signals::Signals;
use super::{DATA_DIRECTORY, Format, print};
use crate::app::{self, App, Options};
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::prometheus::{Program, Prometheus};
use crate::supervisor::Status;
use crate::traces::Traces;

/// Run the whole application on this machine
///
/// Builds the functions of the workspace and asks each what it needs, starts a nats-server of their own with those
/// streams and consumers, the companions of jetlag.yaml and every function, waits until each is ready, and starts again
/// whatever dies. Ctrl-C stops them in order: functions finish what they have begun. A second Ctrl-C kills.
///
/// With --scale no function runs until it has lag. Then as many processes run as its ScaledObject says, by the rules of KEDA
/// and of Kubernetes' HPA; back to none after the cooldown, each finishing what it has begun. A function that takes requests
/// has one process more, NAME-http, that is always there for them. Every change is told on standard output.
///
/// With --observe a Prometheus runs beside it, which must be installed: on the search path, or named by PROMETHEUS. So do an
/// OpenTelemetry Collector and Zipkin, as far as they are there: the program that COLLECTOR names, else target/collector
/// beside jetlag.yaml; the jar that ZIPKIN names, else target/zipkin-server-*-exec.jar, with java. Functions and companions
/// are told where the collector is, unless OTEL_EXPORTER_OTLP_ENDPOINT is set. docs/telemetry.md says how to have them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Up {
    /// Keep streams, logs and up.json (what runs, and where) in this directory
    #[arg(long, value_name = "DIR", default_value = DATA_DIRECTORY)]
    data: PathBuf,

    /// The port of the first function (`order`, if there is one); the others follow. 0 for any free ports
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port_base: u16,

    /// Keep events so long, where their stream is not there yet, such as 24h: what a function has not handled by half of
    /// it is carried on for that function alone
    #[arg(long, value_name = "TIME", value_parser = super::duration, default_value = "24h")]
    horizon: Duration,

    /// Start a Prometheus beside it (it must be installed), with the alerts of docs/runbook and every process as a target; and
    /// a collector and a viewer of traces, if they are there
    #[arg(long)]
    observe: bool,

    #[command(flatten)]
    scale: Scale,

    #[command(flatten)]
    launch: Launch,

    /// Once all is up, print what runs, and where, on standard output. With --scale, json is one object a line: `up`, each
    /// `change`, and a `summary` at the end
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

const EXAMPLES: &str = "\
Examples:
  jetlag up                                   run everything; order answers on http://127.0.0.1:8080
  jetlag up --port-base 9000 --nats-port 0    beside another run
  jetlag up --data /tmp/try                   with streams of their own
  jetlag up -o json | jq .broker_url          what a program needs to know
  jetlag up --observe                         with a Prometheus and its alerts, and traces in a viewer
  COLLECTOR=/opt/otelcol jetlag up --observe  with a collector from elsewhere
  jetlag up --scale --speed 30                from nothing to many processes and back, within a minute
  jetlag up --scale --scale-by payment.yaml   payment as that ScaledObject says, the others as generated
  jetlag up --scale -o json > timeline.jsonl  every change, for a program

Exit codes:
  64 usage    65 the build failed, or a ScaledObject cannot be followed    66 no such file    69 something did not start
  73 the data directory cannot be written    75 another run holds the data directory    78 configuration
  130 interrupted before all was up, or killed";

impl Up {
    fn options(&self, console: Console) -> Options {
        Options {
            port_base: self.port_base,
            horizon: self.horizon,
            ..self.launch.options(&self.data, console)
        }
    }

    /// Runs until Ctrl-C or SIGTERM.
    ///
    /// # Errors
    /// Whatever keeps the application from being up.
    pub async fn run(self, console: Console) -> Result<(), Problem> {
        let mut signals = Signals::new()?;
        let timeline = Arc::new(Timeline::of(self.output.unwrap_or(Format::Text)));
        let options = Options { scale: self.scale.options(&timeline), ..self.options(console) };
        let is_scaled = options.scale.is_some();
        // Before anything starts.
        let program = self.observe.then(Program::find).transpose()?;
        let traces = match self.observe {
            true => Traces::find(&app::root(self.launch.app.as_deref())?, console)?,
            false => None,
        };
        let options = Options { traces, ..options };
        let running = App::start_until(options, signals.next()).await?;
        let prometheus = match &program {
            Some(program) => Some(Prometheus::start(program, &running.status(), console).await?),
            None => None,
        };
        if is_scaled {
            timeline.open(&running.status(), self.output.map(|_| summary(&running.status())))?;
        } else if let Some(format) = self.output {
            let status = running.status();
            print(format, || summary(&status), &status)?;
        }
        console.note(match is_scaled {
            true => "everything is up, and functions run when they have lag; Ctrl-C stops it",
            false => "everything is up; Ctrl-C stops it",
        });
        signals.next().await;
        if is_scaled {
            running.settle().await;
            timeline.close()?;
        }
        if let Some(prometheus) = prometheus {
            prometheus.stop().await;
        }
        console.note("stopping: functions finish what they have begun; Ctrl-C again kills");
        tokio::select! {
            () = running.drain() => {}
            () = signals.next() => {
                running.kill().await;
                return Err(Problem::new(Exit::Interrupted, "killed before everything had stopped by itself"));
            }
        }
        Ok(())
    }
}

fn summary(status: &Status) -> String {
    let line = |entry: &crate::supervisor::Entry| {
        let urls: Vec<_> = entry.addresses.values().map(String::as_str).collect();
        format!("{:<14} {:<8} {}\n", entry.name, entry.pid.unwrap_or_default(), urls.join(" "))
    };
    status.processes.iter().map(line).collect()
}
