//! One function's program with what it needs around it, for running it once: no broker, and nothing left behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::companion::Companion;
use super::manifest::Program;
use super::plan::{self, Plan};
use super::template::Scope;
use super::{Build, Running};
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::supervisor::spawn::Spawner;
use crate::supervisor::{Addresses, Board};
use jetlag::topology::Topology;

/// A function that can be run.
#[derive(Debug)]
pub struct Bench {
    /// Its program.
    pub program: PathBuf,
    /// The directory of its package.
    pub directory: PathBuf,
    /// One of its sources that is newer than its program, if it was not built now.
    pub newer: Option<PathBuf>,
    /// What the manifest adds to its environment.
    pub env: Vec<(String, String)>,
    /// The companions that it is told of. They are killed when this is dropped, before their files are removed.
    _companions: Running,
    _data: TempDir,
}

impl Bench {
    /// Builds, or finds, the function's program, and starts the companions that its environment names.
    ///
    /// # Errors
    /// There is no such function (66), the build fails (65), or a companion does not start (69).
    pub async fn of(
        function: &str,
        manifest: Option<&Path>,
        build: Build,
        console: Console,
    ) -> Result<Self, Problem> {
        let failed = |what: &str| Problem::new(Exit::CannotCreate, format!("cannot make {what}"));
        let plan = match build {
            Build::Beside => Plan::read_as_built(manifest).await?,
            Build::Cargo { .. } => Plan::read(manifest).await?,
        };
        let plan = plan.only(function)?;
        let executables = plan.executables(build, console).await?;
        let data =
            tempfile::tempdir().map_err(|error| failed("a directory for temporary files").because(error))?;
        let logs = data.path().join("logs");
        std::fs::create_dir_all(&logs).map_err(|error| failed("a directory").because(error))?;
        let spawner =
            Spawner::start().await.map_err(|error| failed("a thread").because(error)).map(Arc::new)?;
        let quiet = Console::silent();
        let board = Board::new(data.path(), quiet);
        let nothing = Topology { streams: Vec::new(), consumers: Vec::new() };
        let running = Running::new(&spawner, board, quiet, &logs, nothing, None);
        let mut starts = Vec::new();
        for (name, entry) in &plan.manifest.companions {
            let program = match &entry.program {
                Program::Bin { package, bin } => plan::executable(&executables, package, bin)?,
                Program::Command(path) => path.clone(),
            };
            starts.push(running.companions.start(Companion {
                name: name.clone(),
                program,
                entry: entry.clone(),
                env: Vec::new(),
                data: data.path().to_owned(),
                directory: plan.root.clone(),
            })?);
        }
        for start in starts {
            start.up().await?;
        }
        let addresses = running.addresses();
        let scope = Scope { data: data.path(), companions: &addresses, earlier: &Addresses::new() };
        let (mut program, mut directory, mut env) = (PathBuf::new(), PathBuf::new(), Vec::new());
        for planned in &plan.functions {
            program = plan::executable(&executables, &planned.name, &planned.bin)?;
            directory.clone_from(&planned.directory);
            for (name, value) in &planned.env {
                let value = value.fill(scope).map_err(|why| {
                    Problem::new(Exit::Config, format!("`{}`: {name}: {why}", plan.manifest.path.display()))
                })?;
                env.push((name.clone(), value));
            }
        }
        let newer = (build == Build::Beside).then(|| newer(&directory, &program)).flatten();
        Ok(Self { program, directory, newer, env, _companions: running, _data: data })
    }
}

/// A source of the package in `directory` that was changed after `program` was built.
fn newer(directory: &Path, program: &Path) -> Option<PathBuf> {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = changed(program)?;
    let sources = std::fs::read_dir(directory.join("src")).into_iter().flatten().flatten();
    let mut sources = sources.map(|entry| entry.path()).chain([directory.join("Cargo.toml")]);
    sources.find(|path| path.is_file() && changed(path).is_some_and(|changed| changed > built))
}
