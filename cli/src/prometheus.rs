//! A Prometheus beside the application that runs here: the rules of the repository, and every process as a target.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jetlag::jetstream::{Connection, Operator};
use reqwest::{Client, ClientBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::app;
use crate::beside::{self, cannot_write};
use crate::console::Console;
use crate::exporter::{Exporter, Monitor, Verified, serve};
use crate::http;
use crate::problem::{Exit, Problem};
use crate::status::Look;
use crate::supervisor::{Kind, Status};

/// Where a Prometheus is looked for by people; any free port if it is taken.
const CUSTOMARY_PORT: u16 = 9090;
/// How often metrics are scraped, and rules looked at.
const INTERVAL: &str = "5s";
/// How often the targets are written anew: processes come and go.
const TARGETS_INTERVAL: Duration = Duration::from_secs(2);
/// How often the audit trail is read from end to end. It is a small one here.
const AUDIT_INTERVAL: Duration = Duration::from_secs(60);
/// How long it may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to stop, before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long one question to it may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A Prometheus that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    tasks: Vec<JoinHandle<()>>,
    /// Where it answers.
    pub url: String,
    /// Where its page of alerts is.
    pub alerts: String,
}

/// The program, before it runs.
#[derive(Debug)]
pub struct Program(PathBuf);

impl Program {
    /// `PROMETHEUS`, or `prometheus` on the search path.
    ///
    /// # Errors
    /// It is not there (69).
    pub fn find() -> Result<Self, Problem> {
        let named = beside::named("PROMETHEUS").filter(|path| path.is_file());
        let found = named.or_else(|| beside::on_search_path("prometheus"));
        found.map(Self).ok_or_else(|| {
            Problem::new(Exit::Unavailable, "--observe needs Prometheus, and there is none on the search path").remedy(
                "install it (Debian, Ubuntu: apt-get install prometheus; macOS: brew install prometheus), or name it by PROMETHEUS",
            )
        })
    }
}

impl Prometheus {
    /// Starts it for the application that `status` tells of.
    ///
    /// # Errors
    /// Its files cannot be written (73), or it does not start (69).
    pub async fn start(program: &Program, status: &Status, console: Console) -> Result<Self, Problem> {
        let unavailable = |what: &str| Problem::new(Exit::Unavailable, what.to_owned());
        let broker = status.broker_url.clone().ok_or_else(|| unavailable("no broker runs"))?;
        let operator = Operator::connect(&Connection::to(&broker)).await;
        let operator =
            operator.map_err(|error| unavailable("the broker cannot be looked at").because(error))?;
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|error| unavailable("no port can be had").because(error))?;
        let own = listener.local_addr().map_err(|error| unavailable("no port can be had").because(error))?;

        let place = status.data.join("prometheus");
        let targets = place.join("targets.json");
        prepare(&place, status, &own.to_string())?;
        let port = beside::port(CUSTOMARY_PORT).await?;
        let log = place.join("prometheus.log");
        let words = fs::File::create(&log).map_err(|error| cannot_write(&log).because(error))?;
        let child = Command::new(&program.0)
            .arg(format!("--config.file={}", place.join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", place.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            // Of the traces that are recorded, where they are: docs/telemetry.md.
            .arg("--enable-feature=exemplar-storage")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            // Ctrl-C is for this command, which stops it in its turn.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| unavailable(&format!("{} cannot be run", program.0.display())).because(error))?;

        let audit = Verified::default();
        let look = Look::at(operator.clone(), broker, Some(status.data.clone()), String::new());
        let monitor = status.monitor_url.as_deref().map(Monitor::new).transpose()?;
        let exporter = Exporter::new(look, monitor, audit.clone());
        let data = status.data.clone();
        let own = own.to_string();
        let tasks = vec![
            tokio::spawn(serve(listener, exporter)),
            tokio::spawn(async move { keep_targets(&targets, &data, &own).await }),
            tokio::spawn(async move {
                loop {
                    // A broker that is away is told of by the metrics.
                    let _ = audit.verify(&operator).await;
                    tokio::time::sleep(AUDIT_INTERVAL).await;
                }
            }),
        ];
        let url = format!("http://127.0.0.1:{port}");
        let mut prometheus = Self { child, tasks, alerts: format!("{url}/alerts"), url };
        prometheus.ready(&log).await?;
        prometheus.find_alerts().await?;
        console.note(&format!(
            "Prometheus with alerts is at {}; Grafana takes {} as its source, and the dashboards of observe/grafana",
            prometheus.alerts, prometheus.url
        ));
        Ok(prometheus)
    }

    async fn ready(&mut self, log: &Path) -> Result<(), Problem> {
        let client: Client = http::client(ANSWER_MAX, ClientBuilder::no_proxy)?;
        let url = format!("{}/-/ready", self.url);
        let asking = async {
            loop {
                let answer = client.get(&url).timeout(ANSWER_MAX).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let wrong = |what: String| {
            Err(Problem::new(Exit::Unavailable, what).remedy(format!("its log is {}", log.display())))
        };
        tokio::select! {
            () = asking => Ok(()),
            ended = self.child.wait() => match ended {
                Ok(ended) => wrong(format!("Prometheus ended as it started: {ended}")),
                Err(error) => wrong(format!("Prometheus ended as it started: {error}")),
            },
            () = tokio::time::sleep(START_LIMIT) => wrong(format!("Prometheus is not ready within {START_LIMIT:?}")),
        }
    }

    /// Finds its page of alerts: Debian's Prometheus has the older pages alone.
    async fn find_alerts(&mut self) -> Result<(), Problem> {
        let client: Client = http::client(ANSWER_MAX, ClientBuilder::no_proxy)?;
        let page = client.get(&self.alerts).timeout(ANSWER_MAX).send().await;
        if page.is_ok_and(|page| page.status() == StatusCode::NOT_FOUND) {
            self.alerts = format!("{}/classic/alerts", self.url);
        }
        Ok(())
    }

    /// Stops it.
    pub async fn stop(mut self) {
        for task in &self.tasks {
            task.abort();
        }
        let pid = self.child.id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Writes what it reads.
fn prepare(place: &Path, status: &Status, own: &str) -> Result<(), Problem> {
    let configuration = json!({
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{
            "job_name": "jetlag",
            "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": INTERVAL}],
        }],
    });
    let rules = observe::rules_file()
        .map_err(|error| Problem::new(Exit::Internal, format!("the rules cannot be written: {error}")))?;
    fs::create_dir_all(place).map_err(|error| cannot_write(place).because(error))?;
    for (name, text) in [
        ("rules.yaml", rules),
        // JSON is YAML.
        ("prometheus.yaml", configuration.to_string()),
        ("targets.json", targets(status, own).to_string()),
    ] {
        let path = place.join(name);
        fs::write(&path, text).map_err(|error| cannot_write(&path).because(error))?;
    }
    Ok(())
}

/// Every process of a function that has an address, and what looks at the broker.
fn targets(status: &Status, own: &str) -> Value {
    let functions = status.processes.iter().filter(|entry| entry.kind == Kind::Function);
    let addresses = functions.filter_map(|entry| entry.url.as_deref()?.strip_prefix("http://"));
    let addresses: Vec<&str> = addresses.chain([own]).collect();
    json!([{"targets": addresses}])
}

/// Writes the targets anew as long as processes come and go. Never ends.
async fn keep_targets(path: &Path, data: &Path, own: &str) {
    let mut before = Value::Null;
    loop {
        if let Some(status) = app::status(data) {
            let now = targets(&status, own);
            let beside = path.with_extension("next");
            // Whole or not at all: Prometheus reads it at any time.
            if now != before
                && fs::write(&beside, now.to_string()).is_ok()
                && fs::rename(&beside, path).is_ok()
            {
                before = now;
            }
        }
        tokio::time::sleep(TARGETS_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_ends_at_once_is_told_with_its_log() {
        let place = tempfile::tempdir().unwrap();
        let status: Status = serde_json::from_value(json!({
            "pid": 1, "started": null, "data": place.path(), "broker_url": null, "monitor_url": null,
            "processes": [
                {"name": "payment", "kind": "function", "phase": "up", "pid": 2, "started": null, "url": "http://127.0.0.1:8081",
                 "addresses": {}, "log": "l", "restarts": 0},
                {"name": "gateway", "kind": "companion", "phase": "up", "pid": 3, "started": null, "url": "http://127.0.0.1:1",
                 "addresses": {}, "log": "l", "restarts": 0},
            ],
        }))
        .unwrap();
        let place = place.path().join("prometheus");
        prepare(&place, &status, "127.0.0.1:9").unwrap();
        let written: Value =
            serde_json::from_str(&fs::read_to_string(place.join("targets.json")).unwrap()).unwrap();
        assert_eq!(written, json!([{"targets": ["127.0.0.1:8081", "127.0.0.1:9"]}]));
        assert!(fs::read_to_string(place.join("rules.yaml")).unwrap().contains("JetlagBreakerOpen"));
        let child = Command::new("false").spawn().unwrap();
        let url = "http://127.0.0.1:9".to_owned();
        let mut ended = Prometheus { child, tasks: Vec::new(), alerts: url.clone(), url };
        let problem = ended.ready(&place.join("prometheus.log")).await.unwrap_err();
        assert!(problem.render().contains("prometheus.log"), "{}", problem.render());
    }
}
