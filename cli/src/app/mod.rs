//! An application on one machine: its functions, what is beside them, and a broker of their own.

mod bench;
mod build;
mod companion;
mod deployable;
mod describe;
mod discover;
mod function;
mod glance;
mod manifest;
mod nearest;
mod plan;
mod ports;
mod provision;
mod recipe;
mod rescuer;
mod running;
mod scaling;
mod template;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jetlag::Description;
use jetlag::topology::{Sizing, Topology};

pub use bench::Bench;
pub use build::Build;
pub use deployable::{Deployable, deployable};
pub(crate) use discover::{Package, Workspace};
pub(crate) use glance::has;
pub use running::Running;

pub use crate::supervisor::process_name;

use crate::broker::{self, Broker, Places};
use crate::console::Console;
use crate::http;
use crate::problem::{Exit, Problem};
use crate::scaler;
use crate::supervisor::lock::DataLock;
use crate::supervisor::spawn::Spawner;
use crate::supervisor::{Addresses, Board, Group, door_name, leftovers};
use crate::traces::{self, Traces};
use build::Executables;
use companion::Companion;
use manifest::Program;
use plan::Plan;
use ports::Ports;
use recipe::Recipe;
use scaling::{Functions, Scaled, Scaling};
use template::Scope;

/// What the streams may take on disk together. A server that runs into this stops JetStream altogether, so it is
/// generous: each stream has a smaller limit of its own.
const FILE_STORE_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// How long a connection to a function may take; it is on this machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Tells a function whether to make its own streams and consumers.
const PROVISION_VARIABLE: &str = "JETLAG_PROVISION";

/// Whether `text` is a manifest, with everything that is wrong with it.
///
/// # Errors
/// It is not: the message names the line.
pub fn check_manifest(text: &str) -> Result<(), Problem> {
    manifest::Manifest::parse(Path::new(manifest::FILE), text).map(drop)
}

/// The directory of `function`'s package.
///
/// # Errors
/// There is no such function (66), or no application (78).
pub(crate) async fn directory_of(function: &str, manifest: Option<&Path>) -> Result<PathBuf, Problem> {
    let plan = Plan::read(manifest).await?.only(function)?;
    Ok(plan.functions.into_iter().next().map(|function| function.directory).unwrap_or_default())
}

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
    /// How long events are kept, where EVENTS is not there yet: within it an event can be handled, looked up and recognised
    /// as a duplicate. It is long beside everything that a function waits for.
    pub horizon: Duration,
    /// Added to the environment of every function; it overrides the manifest.
    pub env: BTreeMap<String, String>,
    /// Added to the environment of one process, by its name; it overrides everything else.
    pub env_of: BTreeMap<String, BTreeMap<String, String>>,
    /// How many processes of each function; at least one. The second of `payment` is named `payment-2`.
    pub replicas: u16,
    /// How many processes of one function, by its name, if it is another number.
    pub replicas_of: BTreeMap<String, u16>,
    /// Scale functions by their lag instead, from none, as KEDA and the HPA do; what says how many processes then counts for
    /// nothing.
    pub scale: Option<scaler::Options>,
    /// Run a collector of traces beside it, and a viewer: functions and companions send their traces there, unless the manifest
    /// or the environment says otherwise.
    pub traces: Option<Traces>,
    /// The broker has everything on disk before it acknowledges it (`sync_interval: always`).
    pub sync_always: bool,
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
            horizon: Sizing::default().horizon,
            env: BTreeMap::new(),
            env_of: BTreeMap::new(),
            replicas: 1,
            replicas_of: BTreeMap::new(),
            scale: None,
            traces: None,
            sync_always: false,
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
            // What is up when it is interrupted is stopped as an application that runs, not killed as one that starts.
            biased;
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
    /// By the name of their package.
    scaled: BTreeMap<String, Scaled>,
    topology: Topology,
    server: PathBuf,
    lock: Option<DataLock>,
    /// Where traces are sent, once a collector runs.
    endpoint: Option<String>,
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
        plan.check_free(options.traces.iter().flat_map(Traces::names))?;
        let objects = options.scale.as_ref().map(|scale| scaler::Objects::read(&scale.by, &plan.root));
        let objects = objects.transpose()?;
        let lock = DataLock::take(&data)?;
        leftovers::stop(&data, &console).await;
        let ports = reserved(&options, &plan)?;
        let nats_port = ports::for_broker(options.nats_port)?;
        let server = broker::find(&Places::from_env(options.nats_server.clone()), &console).await?;
        let executables = plan.executables(options.build, console).await?;
        let described = describe::all(&plan.programs(&executables)?).await?;
        let topology = provision::topology(&described, options.horizon);
        let scaled = match &objects {
            Some(objects) => scaling::plans(objects, &plan, &described, &topology, console)?,
            None => BTreeMap::new(),
        };
        let (server, lock, endpoint) = (server.path, Some(lock), None);
        Ok(Self {
            options,
            data,
            plan,
            ports,
            nats_port,
            executables,
            scaled,
            topology,
            server,
            lock,
            endpoint,
        })
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

    /// Broker with its streams, then who takes traces, then companions together, then functions together: each needs the ones
    /// before.
    async fn bring_up(&mut self, running: &Running) -> Result<(), Problem> {
        let port = self.nats_port;
        let directory = self.data.join(broker::NAME);
        let broker =
            Broker::new(self.server.clone(), directory, port, FILE_STORE_BYTES, self.options.sync_always);
        running.brokers.start(broker)?.up().await?;
        let broker_url = running.broker_url().unwrap_or_default();
        let provisioned = provision::provision(&broker_url, &self.topology, &self.data).await?;
        self.options.console.good("streams", &provisioned);

        if let Some(traces) = &self.options.traces {
            self.endpoint = Some(traces.start(&self.data, &running.companions, self.options.console).await?);
        }
        let mut starts = Vec::new();
        for companion in self.companions()? {
            starts.push(running.companions.start(companion)?);
        }
        for start in starts {
            start.up().await?;
        }

        let Functions { fixed, scaled } = self.functions(running)?;
        self.ports.release();
        let mut starts = Vec::new();
        for (mut group, replicas) in fixed {
            starts.extend(group.resize(replicas)?);
        }
        for start in starts {
            start.up().await?;
        }
        running.look_after_functions(&broker_url, self.options.console);
        if let Some(options) = &self.options.scale {
            running.scale(Scaling::start(options, scaled, running, self.options.console)?);
        }
        Ok(())
    }

    /// What companions and functions are told of the collector.
    fn telemetry(&self) -> impl Iterator<Item = (String, String)> {
        self.endpoint.iter().map(|url| (traces::ENDPOINT_VARIABLE.to_owned(), url.clone()))
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
                env: self.telemetry().collect(),
                data: self.data.clone(),
                directory: self.plan.root.clone(),
            })
        };
        self.plan.manifest.companions.iter().map(companion).collect()
    }

    /// What the processes of `function` have in common, and the ports that were told to others.
    fn recipe(
        &self,
        function: &plan::PlannedFunction,
        running: &Running,
        client: &reqwest::Client,
    ) -> Result<Recipe, Problem> {
        let broker_url = running.broker_url().unwrap_or_default();
        Ok(Recipe {
            program: plan::executable(&self.executables, &function.name, &function.bin)?,
            env: self.environment(function, &broker_url, &running.addresses())?,
            env_of: self.options.env_of.clone(),
            directory: self.plan.root.clone(),
            client: client.clone(),
            ports: self.ports.numbers().clone(),
        })
    }

    /// As many processes of each function as were asked for, or none yet of those that are scaled.
    fn functions(&self, running: &Running) -> Result<Functions, Problem> {
        let client = http::client(CONNECT_LIMIT, reqwest::ClientBuilder::no_proxy)?;
        let mut functions = Functions::default();
        let group = |name: &str, recipe: Recipe| {
            Group::new(name, Arc::clone(&running.functions), move |name| recipe.make(name))
        };
        for function in &self.plan.functions {
            let (name, recipe) = (&function.name, self.recipe(function, running, &client)?);
            let Some(scaled) = self.scaled.get(name) else {
                functions.fixed.push((group(name, recipe), replicas(function, &self.options).into()));
                continue;
            };
            if scaled.takes_requests {
                functions.fixed.push((group(&door_name(name), recipe.clone().for_requests(name)), 1));
            }
            functions.scaled.push((scaled.plan.clone(), name.clone(), group(name, recipe.on_any_port())));
        }
        Ok(functions)
    }

    /// Later entries win: the broker and the collector, then the manifest, then what the caller adds.
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
        env.extend(self.telemetry());
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
    let names: Vec<String> = processes(plan, options).map(|(_, name)| name).collect();
    let names = || names.iter().map(String::as_str);
    match ports::reserve(options.port_base, names()) {
        Err(problem) if options.other_ports && problem.exit() == Exit::Unavailable => {
            options.console.note(&format!("{}: other ports are taken", problem.sentence()));
            ports::reserve(0, names())
        }
        reserved => reserved,
    }
}

/// Every process of every function with its name: first one of each, so that their ports do not depend on `replicas`.
fn processes<'a>(
    plan: &'a Plan,
    options: &'a Options,
) -> impl Iterator<Item = (&'a plan::PlannedFunction, String)> {
    let replicas = |function| replicas(function, options);
    let most = plan.functions.iter().map(replicas).max().unwrap_or(1);
    (1..=most).flat_map(move |replica| {
        let functions = plan.functions.iter().filter(move |function| replica <= replicas(function));
        functions.map(move |function| (function, process_name(&function.name, replica)))
    })
}

/// How many processes of a function that is not scaled.
fn replicas(function: &plan::PlannedFunction, options: &Options) -> u16 {
    options.replicas_of.get(&function.name).copied().unwrap_or(options.replicas).max(1)
}

/// The directory of the manifest: of `manifest`, or of the nearest one at or above the current directory.
///
/// # Errors
/// There is none (78).
pub fn root(manifest: Option<&Path>) -> Result<PathBuf, Problem> {
    let path = plan::manifest_path(manifest)?;
    Ok(path.parent().unwrap_or(Path::new(".")).to_owned())
}

/// What the functions of an application say of themselves, as [`App::start`] asks them.
///
/// # Errors
/// There is no application, it is not built, or a function does not describe itself.
pub async fn describe(
    manifest: Option<&Path>,
    build: Build,
    console: Console,
) -> Result<Vec<Description>, Problem> {
    let plan = Plan::read(manifest).await?;
    let executables = plan.executables(build, console).await?;
    describe::all(&plan.programs(&executables)?).await
}

/// What one function of an application says of itself.
///
/// # Errors
/// There is no application, no such function in it (66), it is not built, or it does not describe itself.
pub async fn describe_one(
    manifest: Option<&Path>,
    function: &str,
    build: Build,
    console: Console,
) -> Result<Description, Problem> {
    let program = program_in(Plan::read(manifest).await?, function, build, console).await?;
    let described = describe::all(&[(function.to_owned(), program)]).await?;
    let nobody = || Problem::new(Exit::NoInput, format!("there is no function `{function}`"));
    described.into_iter().next().ok_or_else(nobody)
}

/// The program of one function; nothing if there is no application here, and none is named.
///
/// # Errors
/// The application has no such function (66), or it is not built (65).
pub async fn program(
    manifest: Option<&Path>,
    function: &str,
    build: Build,
    console: Console,
) -> Result<Option<PathBuf>, Problem> {
    if manifest.is_none() && plan::manifest_path(None).is_err() {
        return Ok(None);
    }
    program_in(Plan::read(manifest).await?, function, build, console).await.map(Some)
}

async fn program_in(
    mut plan: Plan,
    function: &str,
    build: Build,
    console: Console,
) -> Result<PathBuf, Problem> {
    if build == Build::Beside || !plan.functions.iter().any(|known| known.name == function) {
        plan = plan.only(function)?;
        plan.manifest.companions.clear();
    }
    // Everything is built, as `up` does it: with one package alone Cargo would choose other features, and build again what
    // is built.
    let executables = plan.executables(build, console).await?;
    let mut programs = plan.only(function)?.programs(&executables)?;
    let (_, program) =
        programs.pop().ok_or_else(|| Problem::new(Exit::Internal, format!("`{function}` was not built")))?;
    Ok(program)
}

/// The processes that run in `data`, as the last change left them; `None` if nothing runs there.
pub fn status(data: &Path) -> Option<crate::supervisor::Status> {
    crate::supervisor::board::read(data)
}
