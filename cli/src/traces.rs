//! An OpenTelemetry Collector and a viewer of traces beside the application that runs here. The supervisor keeps them as it
//! keeps companions: started again if they die, stopped after the functions, which send their last spans as they stop.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::beside;
use crate::console::Console;
use crate::http;
use crate::problem::{Exit, Problem};
use crate::supervisor::process::Output;
use crate::supervisor::{Addresses, Kind, Launch, Service, Tier};

/// Tells functions, and whoever else knows the standard, where the collector is.
pub(crate) const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The same for traces alone.
const TRACES_ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Names the collector's program.
const COLLECTOR_VARIABLE: &str = "COLLECTOR";
/// Names the viewer's jar.
const ZIPKIN_VARIABLE: &str = "ZIPKIN";
/// How to have what is not there.
const HOW: &str = "docs/telemetry.md says how to have it";

/// The collector's name as a process, and of its directory in the data directory.
const COLLECTOR: &str = "collector";
/// The viewer's name as a process.
const ZIPKIN: &str = "zipkin";
/// Where OTLP over HTTP is sent to by custom; any free port if it is taken.
const CUSTOMARY_OTLP_PORT: u16 = 4318;
/// Where people look for Zipkin; any free port if it is taken.
const CUSTOMARY_ZIPKIN_PORT: u16 = 9411;

/// How large the collector's files of traces and of metrics may grow before a new one is begun; one older one is kept.
const FILE_MEGABYTES: u32 = 100;
/// How much memory the viewer may have for what it keeps.
const ZIPKIN_MEMORY: &str = "-Xmx512m";
/// How long either may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked at meanwhile.
const POLL: Duration = Duration::from_millis(100);
/// How long the viewer may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long either may take to stop.
const GRACE: Duration = Duration::from_secs(10);

/// The programs that take traces and show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The OpenTelemetry Collector.
    pub collector: PathBuf,
    /// Zipkin, and what runs it.
    pub viewer: Option<Viewer>,
}

/// Zipkin in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// Runs it.
    pub java: PathBuf,
    /// Its executable jar.
    pub jar: PathBuf,
}

/// What is known before anything is looked for.
#[derive(Debug, Default)]
struct Known {
    /// The variable that says where traces go already.
    endpoint: Option<&'static str>,
    /// What `COLLECTOR` and `ZIPKIN` name.
    collector: Option<PathBuf>,
    zipkin: Option<PathBuf>,
    java: Option<PathBuf>,
}

impl Traces {
    /// What there is: the collector that `COLLECTOR` names, or `target/collector` beside `jetlag.yaml` in `root`; the jar that
    /// `ZIPKIN` names, or `target/zipkin-server-*-exec.jar`, if there is `java`. What is missing is told on `console` in a line.
    ///
    /// # Errors
    /// A variable names something that is not there (66).
    pub fn find(root: &Path, console: Console) -> Result<Option<Self>, Problem> {
        let is_set = |name: &&str| beside::named(name).is_some();
        let known = Known {
            endpoint: [ENDPOINT_VARIABLE, TRACES_ENDPOINT_VARIABLE].into_iter().find(is_set),
            collector: beside::named(COLLECTOR_VARIABLE),
            zipkin: beside::named(ZIPKIN_VARIABLE),
            java: beside::on_search_path("java"),
        };
        let (found, said) = Self::choose(known, root)?;
        if let Some(said) = said {
            console.note(&said);
        }
        Ok(found)
    }

    /// What is started, and what is said of what is not.
    fn choose(known: Known, root: &Path) -> Result<(Option<Self>, Option<String>), Problem> {
        if let Some(name) = known.endpoint {
            return Ok((None, Some(format!("{name} is set: traces go there, and no collector is started"))));
        }
        let target = root.join("target");
        let built = || Some(target.join("collector")).filter(|path| path.is_file());
        let Some(collector) = there(COLLECTOR_VARIABLE, known.collector)?.or_else(built) else {
            let what = format!(
                "no traces: {COLLECTOR_VARIABLE} names no OpenTelemetry Collector, and there is none at"
            );
            return Ok((None, Some(format!("{what} {}; {HOW}", target.join("collector").display()))));
        };
        let (viewer, said) =
            match (there(ZIPKIN_VARIABLE, known.zipkin)?.or_else(|| jar(&target)), known.java) {
                (Some(jar), Some(java)) => (Some(Viewer { java, jar }), None),
                (Some(_), None) => {
                    (None, Some("no viewer of traces: there is no java on the search path".to_owned()))
                }
                (None, _) => {
                    let what =
                        format!("no viewer of traces: {ZIPKIN_VARIABLE} names no jar, and there is none in");
                    (None, Some(format!("{what} {}; {HOW}", target.display())))
                }
            };
        Ok((Some(Self { collector, viewer }), said))
    }

    /// The names of its processes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        [Some(COLLECTOR), self.viewer.is_some().then_some(ZIPKIN)].into_iter().flatten()
    }

    /// Starts them in `tier`, with their files in `data`, and says where OTLP is taken, once it is. Nothing waits for the viewer.
    ///
    /// # Errors
    /// A file cannot be written (73), there is no port, or the collector does not start (69).
    pub(crate) async fn start(&self, data: &Path, tier: &Tier, console: Console) -> Result<String, Problem> {
        let (collector, viewer) = self.services(data).await?;
        let (url, said) = (collector.url(), collector.said());
        let start = tier.start(collector)?;
        if let Some(viewer) = viewer {
            // Its keeper tells how its start ends.
            drop(tier.start(viewer)?);
        }
        start.up().await?;
        console.note(&said);
        Ok(url)
    }

    async fn services(&self, data: &Path) -> Result<(Collector, Option<Zipkin>), Problem> {
        let zipkin = match &self.viewer {
            Some(viewer) => Some(Zipkin {
                viewer: viewer.clone(),
                port: beside::port(CUSTOMARY_ZIPKIN_PORT).await?,
                client: http::client(ANSWER_LIMIT, ClientBuilder::no_proxy)?,
            }),
            None => None,
        };
        let directory = data.join(COLLECTOR);
        let port = beside::port(CUSTOMARY_OTLP_PORT).await?;
        let collector = Collector { program: absolute(&self.collector)?, port, directory, files: Vec::new() };
        Ok((collector.prepared(zipkin.as_ref().map(|zipkin| zipkin.port))?, zipkin))
    }
}

/// What a variable names has to be there.
fn there(variable: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, Problem> {
    match path {
        Some(path) if !path.is_file() => {
            let what = format!("{variable} names `{}`, which is no file", path.display());
            Err(Problem::new(Exit::NoInput, what).remedy(format!("{HOW}; or unset {variable}")))
        }
        path => Ok(path),
    }
}

/// Zipkin's executable jar in `directory`; of several, the last by name.
fn jar(directory: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let is_jar = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("zipkin-server-") && name.ends_with("-exec.jar")
    };
    names.filter(is_jar).max().map(|name| directory.join(name))
}

/// The collector runs in its own directory.
fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| {
        Problem::new(Exit::NoInput, format!("`{}` cannot be found", path.display())).because(error)
    })
}

/// The OpenTelemetry Collector as a process.
#[derive(Debug)]
struct Collector {
    program: PathBuf,
    port: u16,
    /// Where its configuration is, and where it writes traces and metrics.
    directory: PathBuf,
    /// Its configuration: each is laid over the ones before.
    files: Vec<&'static str>,
}

impl Collector {
    /// Where it takes OTLP.
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What is told of it once it listens.
    fn said(&self) -> String {
        let which = match self.files.contains(&"zipkin.yaml") {
            true => "every trace is",
            false => "traces with an error, slow ones and one of a hundred others are",
        };
        format!("{which} written to {}", self.directory.join("traces.jsonl").display())
    }

    /// Writes its configuration.
    fn prepared(mut self, zipkin: Option<u16>) -> Result<Self, Problem> {
        let mut written = vec![("collector.yaml", observe::COLLECTOR.to_owned())];
        written.extend(zipkin.map(|_| ("zipkin.yaml", observe::ZIPKIN.to_owned())));
        // JSON is YAML.
        written.push(("here.yaml", here(self.port, zipkin).to_string()));
        fs::create_dir_all(&self.directory)
            .map_err(|error| beside::cannot_write(&self.directory).because(error))?;
        for (name, text) in &written {
            let path = self.directory.join(name);
            fs::write(&path, text).map_err(|error| beside::cannot_write(&path).because(error))?;
        }
        self.files = written.into_iter().map(|(name, _)| name).collect();
        Ok(self)
    }
}

/// What is laid over the files of the repository: the ports, and that files do not grow for ever.
fn here(port: u16, zipkin: Option<u16>) -> Value {
    let rotation = json!({"max_megabytes": FILE_MEGABYTES, "max_backups": 1});
    let files = ["file", "file/metrics"].map(|name| (name, json!({"rotation": rotation})));
    let viewer = zipkin.map(|port| format!("http://127.0.0.1:{port}/api/v2/spans"));
    let viewer = viewer.map(|endpoint| ("zipkin", json!({"endpoint": endpoint})));
    let exporters: BTreeMap<_, _> = files.into_iter().chain(viewer).collect();
    let endpoint = format!("127.0.0.1:{port}");
    json!({"receivers": {"otlp": {"protocols": {"http": {"endpoint": endpoint}}}}, "exporters": exporters})
}

impl Service for Collector {
    fn name(&self) -> &str {
        COLLECTOR
    }

    fn kind(&self) -> Kind {
        Kind::Companion
    }

    fn launch(&self, _: &Addresses) -> Result<Launch, Problem> {
        let args =
            self.files.iter().flat_map(|file| ["--config".to_owned(), format!("file:{file}")]).collect();
        let directory = Some(self.directory.clone());
        Ok(Launch { program: self.program.clone(), args, directory, ..Launch::default() })
    }

    async fn up(&self, _: u32, _: &Output, _: &Addresses) -> Result<Addresses, Problem> {
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            tokio::time::sleep(POLL).await;
        }
        Ok(Addresses::from([("http".to_owned(), self.url())]))
    }

    fn start_limit(&self) -> Duration {
        START_LIMIT
    }

    fn grace(&self) -> Duration {
        GRACE
    }
}

/// Zipkin as a process.
#[derive(Debug)]
struct Zipkin {
    viewer: Viewer,
    port: u16,
    client: Client,
}

impl Zipkin {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Service for Zipkin {
    fn name(&self) -> &str {
        ZIPKIN
    }

    fn kind(&self) -> Kind {
        Kind::Companion
    }

    fn launch(&self, _: &Addresses) -> Result<Launch, Problem> {
        let jar = self.viewer.jar.display();
        let args = [
            ZIPKIN_MEMORY.to_owned(),
            "-jar".to_owned(),
            jar.to_string(),
            // By itself it listens on every address of the machine.
            "--armeria.ports[0].ip=127.0.0.1".to_owned(),
            format!("--armeria.ports[0].port={}", self.port),
            "--armeria.ports[0].protocols[0]=http".to_owned(),
        ];
        Ok(Launch { program: self.viewer.java.clone(), args: args.into(), ..Launch::default() })
    }

    async fn up(&self, _: u32, _: &Output, _: &Addresses) -> Result<Addresses, Problem> {
        let health = format!("{}/health", self.url());
        loop {
            let answer = self.client.get(&health).timeout(ANSWER_LIMIT).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(Addresses::from([("http".to_owned(), format!("{}/zipkin", self.url()))]));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn start_limit(&self) -> Duration {
        START_LIMIT
    }

    fn grace(&self) -> Duration {
        GRACE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace whose `target` has these files.
    fn root(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("target")).unwrap();
        for file in files {
            fs::write(root.path().join("target").join(file), "").unwrap();
        }
        root
    }

    fn java() -> Option<PathBuf> {
        Some("/usr/bin/java".into())
    }

    #[test]
    fn what_the_documents_build_is_found_and_what_a_variable_names_comes_first() {
        let root = root(&[
            "collector",
            "zipkin-server-3.4.2-exec.jar",
            "zipkin-server-3.4.3-exec.jar",
            "zipkin-server-9.jar",
        ]);
        let target = root.path().join("target");
        let known = Known { java: java(), ..Known::default() };
        let (found, said) = Traces::choose(known, root.path()).unwrap();
        let jar = target.join("zipkin-server-3.4.3-exec.jar");
        let viewer = Viewer { java: java().unwrap(), jar };
        assert_eq!(found, Some(Traces { collector: target.join("collector"), viewer: Some(viewer) }));
        assert_eq!(said, None);

        let (other, older) =
            (target.join("zipkin-server-9.jar"), target.join("zipkin-server-3.4.2-exec.jar"));
        let known = Known {
            collector: Some(other.clone()),
            zipkin: Some(older.clone()),
            java: java(),
            endpoint: None,
        };
        let (found, _) = Traces::choose(known, root.path()).unwrap();
        let viewer = Viewer { java: java().unwrap(), jar: older };
        assert_eq!(found, Some(Traces { collector: other, viewer: Some(viewer) }));
    }

    #[test]
    fn what_is_missing_is_no_fault_and_is_told_with_how_to_have_it() {
        let empty = root(&[]);
        let (found, said) = Traces::choose(Known { java: java(), ..Known::default() }, empty.path()).unwrap();
        assert_eq!(found, None);
        let said = said.unwrap();
        assert!(said.contains("COLLECTOR") && said.contains("docs/telemetry.md"), "{said}");

        let built = root(&["collector"]);
        let (found, said) = Traces::choose(Known { java: java(), ..Known::default() }, built.path()).unwrap();
        assert_eq!(found.unwrap().viewer, None);
        let said = said.unwrap();
        assert!(said.contains("ZIPKIN") && said.contains("docs/telemetry.md"), "{said}");

        let both = root(&["collector", "zipkin-server-3.4.3-exec.jar"]);
        let (found, said) = Traces::choose(Known::default(), both.path()).unwrap();
        assert_eq!(found.unwrap().viewer, None);
        assert!(said.unwrap().contains("java"));
    }

    #[test]
    fn where_traces_go_already_nothing_is_started() {
        let both = root(&["collector", "zipkin-server-3.4.3-exec.jar"]);
        let known = Known { endpoint: Some(TRACES_ENDPOINT_VARIABLE), java: java(), ..Known::default() };
        let (found, said) = Traces::choose(known, both.path()).unwrap();
        assert_eq!(found, None);
        assert!(said.unwrap().contains(TRACES_ENDPOINT_VARIABLE));
    }

    #[test]
    fn a_variable_that_names_nothing_is_a_fault() {
        let built = root(&["collector"]);
        let nothing = built.path().join("nothing");
        for known in [
            Known { collector: Some(nothing.clone()), ..Known::default() },
            Known { zipkin: Some(nothing.clone()), ..Known::default() },
        ] {
            let problem = Traces::choose(known, built.path()).unwrap_err();
            assert_eq!(problem.exit(), Exit::NoInput);
            assert!(problem.render().contains(&nothing.display().to_string()), "{}", problem.render());
        }
    }

    /// The configuration as the collector reads it: maps are laid over each other, all else is replaced.
    fn read(collector: &Collector) -> Value {
        fn lay_over(below: &mut Value, above: Value) {
            match (below, above) {
                (Value::Object(below), Value::Object(above)) => {
                    for (name, value) in above {
                        lay_over(below.entry(name).or_insert(Value::Null), value);
                    }
                }
                (below, above) => *below = above,
            }
        }
        let mut whole = Value::Null;
        for file in &collector.files {
            let text = fs::read_to_string(collector.directory.join(file)).unwrap();
            lay_over(&mut whole, serde_yaml::from_str(&text).unwrap());
        }
        whole
    }

    #[test]
    fn the_configuration_is_that_of_the_repository_at_the_ports_of_this_run() {
        let data = tempfile::tempdir().unwrap();
        let collector = |zipkin| {
            let directory = data.path().join(COLLECTOR);
            let collector = Collector { program: "c".into(), port: 1234, directory, files: Vec::new() };
            collector.prepared(zipkin).unwrap()
        };
        let alone = collector(None);
        let whole = read(&alone);
        assert_eq!(whole["receivers"]["otlp"]["protocols"]["http"]["endpoint"], "127.0.0.1:1234");
        assert_eq!(whole["exporters"]["file"]["path"], "traces.jsonl");
        assert_eq!(whole["exporters"]["file"]["rotation"]["max_megabytes"], FILE_MEGABYTES);
        assert_eq!(whole["service"]["pipelines"]["traces"]["processors"], json!(["tail_sampling"]));
        assert_eq!(whole["exporters"]["zipkin"], Value::Null);
        assert!(alone.said().contains("one of a hundred"));

        let viewed = collector(Some(5678));
        let whole = read(&viewed);
        assert_eq!(whole["exporters"]["zipkin"]["endpoint"], "http://127.0.0.1:5678/api/v2/spans");
        assert_eq!(whole["service"]["pipelines"]["traces"]["processors"], json!([]));
        assert_eq!(whole["service"]["pipelines"]["traces"]["exporters"], json!(["file", "zipkin"]));
        assert!(viewed.said().contains("every trace"));
        let launch = viewed.launch(&Addresses::new()).unwrap();
        let files = ["collector.yaml", "zipkin.yaml", "here.yaml"].map(|file| format!("file:{file}"));
        assert_eq!(
            launch.args.iter().skip(1).step_by(2).collect::<Vec<_>>(),
            files.iter().collect::<Vec<_>>()
        );
    }
}
