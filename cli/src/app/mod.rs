//! An application on one machine: its functions, what is beside them, and a broker of their own.

mod bench;
mod build;
mod companion;
mod describe;
mod discover;
mod function;
mod manifest;
mod plan;
mod ports;
mod provision;
mod running;
mod template;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jetlag::topology::Topology;

pub use bench::Bench;
pub use build::Build;
pub use running::Running;

use crate::broker::{self, Broker, Places};
use crate::console::Console;
use crate::http;
use crate::problem::{Exit, Problem};
use crate::supervisor::lock::DataLock;
use crate::supervisor::spawn::Spawner;
use crate::supervisor::{Addresses, Board, leftovers};
use build::Executables;
use companion::Companion;
use function::Function;
use manifest::Program;
use plan::Plan;
use ports::Ports;
use template::Scope;

/// What the streams may take on disk together. A server that runs into this stops JetStream altogether, so it is
/// generous: each stream has a smaller limit of its own.
const FILE_STORE_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// How long a connection to a function may take; it is on this machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Tells a function whether to make its own streams and consumers.
const PROVISION_VARIABLE: &str = "JETLAG_PROVISION";

/// How to start an application.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything that outlives the run is in here: streams, logs, the companions' files.
    pub data: PathBuf,
    /// `jetlag.yaml`; the nearest one at or above the current directory if none is named.
    pub manifest: Option<PathBuf>,
    /// The port of the first function; the others follow. 0 for any that are free.
    pub port_base: u16,
    /// Take any free ports if one of these is taken, instead of giving up.
    pub other_ports: bool,
    /// The client port of the broker: `None` for 4222 or, if that is taken, any; 0 for any.
    pub nats_port: Option<u16>,
    /// The nats-server to start, instead of one that is found or fetched.
    pub nats_server: Option<PathBuf>,
    /// Where the programs come from.
    pub build: Build,
    /// Added to the environment of every function; it overrides the manifest.
    pub env: BTreeMap<String, String>,
    /// Where progress is told.
    pub console: Console,
}

impl Options {
    /// What `jetlag up` does without further options, in `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            manifest: None,
            port_base: 8080,
            other_ports: false,
            nats_port: None,
            nats_server: None,
            build: Build::like_this_program(),
            env: BTreeMap::new(),
            console: Console::stderr(),
        }
    }
}

/// An application that can be started.
#[derive(Debug)]
pub struct App;

impl App {
    /// Starts everything and returns when every function is ready.
    ///
    /// # Errors
    /// Whatever keeps it from being ready; nothing is left running then. See [`Exit`] for the kinds.
    pub async fn start(options: Options) -> Result<Running, Problem> {
        Self::start_until(options, std::future::pending()).await
    }

    /// Like [`Self::start`], and gives up, leaving nothing behind, as soon as `cancelled` completes.
    pub async fn start_until(
        options: Options,
        cancelled: impl Future<Output = ()>,
    ) -> Result<Running, Problem> {
        let mut cancelled = std::pin::pin!(cancelled);
        let interrupted = || Problem::new(Exit::Interrupted, "interrupted before everything was up");
        let prepared = tokio::select! {
            prepared = Prepared::from(options) => prepared?,
            () = &mut cancelled => return Err(interrupted()),
        };
        let mut prepared = prepared;
        let running = prepared.running().await?;
        let up = tokio::select! {
            up = prepared.bring_up(&running) => up,
            () = cancelled => Err(interrupted()),
        };
        match up {
            Ok(()) => Ok(running),
            Err(problem) => {
                running.kill().await;
                Err(problem)
            }
        }
    }
}

/// Everything that is decided, found and built before the first process starts.
struct Prepared {
    options: Options,
    data: PathBuf,
    plan: Plan,
    ports: Ports,
    nats_port: u16,
    executables: Executables,
    topology: Topology,
    server: PathBuf,
    lock: Option<DataLock>,
}

impl Prepared {
    /// What fails soonest comes first, so that nobody waits for a build to be told of a wrong port.
    async fn from(options: Options) -> Result<Self, Problem> {
        let console = options.console;
        let data = std::path::absolute(&options.data).map_err(|error| {
            Problem::new(
                Exit::CannotCreate,
                format!("the data directory `{}` cannot be used", options.data.display()),
            )
            .because(error)
        })?;
        let plan = Plan::read(options.manifest.as_deref()).await?;
        let lock = DataLock::take(&data)?;
        leftovers::stop(&data, &console).await;
        let ports = reserved(&options, &plan)?;
        let nats_port = ports::for_broker(options.nats_port)?;
        let server = broker::find(&Places::from_env(options.nats_server.clone()), &console).await?;
        let executables = plan.executables(options.build, console).await?;
        let topology = provision::topology(&describe::all(&plan.programs(&executables)?).await?);
        let (server, lock) = (server.path, Some(lock));
        Ok(Self { options, data, plan, ports, nats_port, executables, topology, server, lock })
    }

    /// Nothing runs yet, but whatever is started from now on is stopped by dropping this.
    async fn running(&mut self) -> Result<Running, Problem> {
        let logs = self.data.join("logs");
        std::fs::create_dir_all(&logs).map_err(|error| {
            Problem::new(Exit::CannotCreate, format!("cannot make `{}`", logs.display())).because(error)
        })?;
        let spawner = Spawner::start()
            .await
            .map_err(|error| Problem::new(Exit::Unavailable, "cannot start a thread").because(error))?;
        let board = Board::new(&self.data, self.options.console);
        let spawner = Arc::new(spawner);
        let (console, lock) = (self.options.console, self.lock.take());
        Ok(Running::new(&spawner, board, console, &logs, self.topology.clone(), lock))
    }

    /// Broker with its streams, then companions together, then functions together: each needs the ones before.
    async fn bring_up(&mut self, running: &Running) -> Result<(), Problem> {
        let port = self.nats_port;
        let directory = self.data.join(broker::NAME);
        let broker = Broker::new(self.server.clone(), directory, port, FILE_STORE_BYTES);
        running.brokers.start(broker)?.up().await?;
        let broker_url = running.broker_url().unwrap_or_default();
        let provisioned = provision::provision(&broker_url, &self.topology, &self.data).await?;
        self.options.console.good("streams", &provisioned);

        let mut starts = Vec::new();
        for companion in self.companions()? {
            starts.push(running.companions.start(companion)?);
        }
        for start in starts {
            start.up().await?;
        }

        let mut starts = Vec::new();
        let functions = self.functions(running)?;
        self.ports.release();
        for function in functions {
            starts.push(running.functions.start(function)?);
        }
        for start in starts {
            start.up().await?;
        }
        Ok(())
    }

    fn companions(&self) -> Result<Vec<Companion>, Problem> {
        let companion = |(name, entry): (&String, &manifest::CompanionEntry)| {
            Ok(Companion {
                name: name.clone(),
                program: match &entry.program {
                    Program::Bin { package, bin } => plan::executable(&self.executables, package, bin)?,
                    Program::Command(path) => path.clone(),
                },
                entry: entry.clone(),
                data: self.data.clone(),
                directory: self.plan.root.clone(),
            })
        };
        self.plan.manifest.companions.iter().map(companion).collect()
    }

    fn functions(&self, running: &Running) -> Result<Vec<Function>, Problem> {
        let client = http::client(CONNECT_LIMIT, reqwest::ClientBuilder::no_proxy)?;
        let addresses = running.addresses();
        let broker_url = running.broker_url().unwrap_or_default();
        let function = |planned: &plan::PlannedFunction| {
            Ok(Function {
                name: planned.name.clone(),
                program: plan::executable(&self.executables, &planned.name, &planned.bin)?,
                port: self.ports.of(&planned.name).unwrap_or_default(),
                env: self.environment(planned, &broker_url, &addresses)?,
                directory: self.plan.root.clone(),
                client: client.clone(),
            })
        };
        self.plan.functions.iter().map(function).collect()
    }

    /// Later entries win: the broker, then the manifest, then what the caller adds.
    fn environment(
        &self,
        function: &plan::PlannedFunction,
        broker_url: &str,
        companions: &BTreeMap<String, Addresses>,
    ) -> Result<Vec<(String, String)>, Problem> {
        let scope = Scope { data: &self.data, companions, earlier: &Addresses::new() };
        let mut env = vec![
            ("NATS_URL".to_owned(), broker_url.to_owned()),
            // It is done for all of them at once, before any of them starts.
            (PROVISION_VARIABLE.to_owned(), "false".to_owned()),
        ];
        for (name, value) in &function.env {
            let value = value.fill(scope).map_err(|why| {
                Problem::new(Exit::Config, format!("`{}`: {name}: {why}", self.plan.manifest.path.display()))
            })?;
            env.push((name.clone(), value));
        }
        env.extend(self.options.env.clone());
        Ok(env)
    }
}

/// The ports that were asked for, or others where that was allowed.
fn reserved(options: &Options, plan: &Plan) -> Result<Ports, Problem> {
    let names = || plan.functions.iter().map(|function| function.name.as_str());
    match ports::reserve(options.port_base, names()) {
        Err(problem) if options.other_ports && problem.exit() == Exit::Unavailable => {
            options.console.note(&format!("{}: other ports are taken", problem.sentence()));
            ports::reserve(0, names())
        }
        reserved => reserved,
    }
}

/// The directory of the manifest: of `manifest`, or of the nearest one at or above the current directory.
///
/// # Errors
/// There is none (78).
pub fn root(manifest: Option<&Path>) -> Result<PathBuf, Problem> {
    let path = plan::manifest_path(manifest)?;
    Ok(path.parent().unwrap_or(Path::new(".")).to_owned())
}

/// The processes that run in `data`, as the last change left them; `None` if nothing runs there.
pub fn status(data: &Path) -> Option<crate::supervisor::Status> {
    crate::supervisor::board::read(data)
}
