//! What an application consists of, decided before anything is started.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::build::{self, Build, Executables};
use super::discover::{Package, Workspace};
use super::glance::glance;
use super::manifest::{Manifest, Program};
use super::nearest::nearest;
use super::template::Template;
use crate::broker;
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// The functions and companions of one application, and the workspace that they are built from.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where the manifest is.
    pub(crate) root: PathBuf,
    pub(crate) manifest: Manifest,
    /// In the order of their ports.
    pub(crate) functions: Vec<PlannedFunction>,
    /// What the whole application is built of, also where only one of its functions is planned: with other packages beside
    /// it, Cargo would build its dependencies with other features, and all of them anew.
    packages: BTreeSet<String>,
    workspace: Workspace,
}

/// A function that was discovered.
#[derive(Debug)]
pub(crate) struct PlannedFunction {
    pub(crate) name: String,
    pub(crate) bin: String,
    /// Where its package is.
    pub(crate) directory: PathBuf,
    pub(crate) env: BTreeMap<String, Template>,
}

impl Plan {
    /// Reads the manifest (`manifest`, or the nearest one) and asks Cargo for the functions.
    ///
    /// # Errors
    /// No manifest, a wrong one, no workspace, no functions, or two processes of one name (78).
    pub(crate) async fn read(manifest: Option<&Path>) -> Result<Self, Problem> {
        let manifest = Manifest::read(&manifest_path(manifest)?)?;
        let workspace = Workspace::of(&root_of(&manifest)).await?;
        Self::of(manifest, workspace)
    }

    /// The same for programs that are not built again: Cargo is asked only if it has to be.
    ///
    /// # Errors
    /// As with [`read`](Self::read).
    pub(crate) async fn read_as_built(manifest: Option<&Path>) -> Result<Self, Problem> {
        let manifest = Manifest::read(&manifest_path(manifest)?)?;
        let root = root_of(&manifest);
        let workspace = match glance(&root) {
            Some(workspace) => workspace,
            None => Workspace::of(&root).await?,
        };
        Self::of(manifest, workspace)
    }

    fn of(mut manifest: Manifest, workspace: Workspace) -> Result<Self, Problem> {
        let root = root_of(&manifest);
        let packages = workspace.functions();
        if packages.is_empty() {
            let what = format!("no package in the workspace of `{}` is a function", root.display());
            return Err(Problem::new(Exit::Config, what)
                .remedy("mark one in its Cargo.toml:\n[package.metadata.jetlag]\nfunction = true"));
        }
        let functions = packages
            .into_iter()
            .map(|package| planned(package, &mut manifest))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some((name, entry)) = manifest.functions.first_key_value() {
            let known: Vec<_> = functions.iter().map(|function| function.name.as_str()).collect();
            let at = format!("{}:{}", manifest.path.display(), entry.line);
            return Err(Problem::new(Exit::Config, format!("{at}: there is no function `{name}`"))
                .remedy(format!("the functions are: {}", known.join(", "))));
        }
        let packages = BTreeSet::new();
        let plan = Self { root, manifest, functions, packages, workspace };
        plan.check_names()?;
        let packages = plan.wanted().into_iter().map(|(package, _)| package).collect();
        Ok(Self { packages, ..plan })
    }

    /// The plan of one function and the companions that it is told of.
    ///
    /// # Errors
    /// There is no such function (66).
    pub(crate) fn only(mut self, function: &str) -> Result<Self, Problem> {
        let known: Vec<_> = self.functions.iter().map(|known| known.name.clone()).collect();
        self.functions.retain(|known| known.name == function);
        let Some(planned) = self.functions.first() else {
            let meant = nearest(function, known.iter().map(String::as_str));
            let meant = meant.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
            return Err(Problem::new(Exit::NoInput, format!("there is no function `{function}`"))
                .remedy(format!("{meant}the functions are: {}", known.join(", "))));
        };
        let used: BTreeSet<String> =
            planned.env.values().flat_map(Template::companions).map(|(name, _)| name.to_owned()).collect();
        self.manifest.companions.retain(|name, _| used.contains(name));
        Ok(self)
    }

    /// Builds, or finds, every program of the plan.
    pub(crate) async fn executables(&self, build: Build, console: Console) -> Result<Executables, Problem> {
        match build {
            Build::Cargo { release } => {
                let whole =
                    build::Whole { root: &self.root, workspace: &self.workspace, packages: &self.packages };
                build::build(whole, &self.wanted(), release, console).await
            }
            Build::Beside => build::beside(&self.wanted()),
        }
    }

    /// The package and the binary of every program.
    fn wanted(&self) -> BTreeSet<(String, String)> {
        let functions = self.functions.iter().map(|function| (function.name.clone(), function.bin.clone()));
        let companions = self.manifest.companions.values().filter_map(|entry| match &entry.program {
            Program::Bin { package, bin } => Some((package.clone(), bin.clone())),
            Program::Command(_) => None,
        });
        functions.chain(companions).collect()
    }

    /// Each function's name and program.
    ///
    /// # Errors
    /// A program was not built.
    pub(crate) fn programs(&self, executables: &Executables) -> Result<Vec<(String, PathBuf)>, Problem> {
        let program = |function: &PlannedFunction| {
            Ok((function.name.clone(), executable(executables, &function.name, &function.bin)?))
        };
        self.functions.iter().map(program).collect()
    }

    /// Names are names of log files and of processes on the board: each stands for one.
    fn check_names(&self) -> Result<(), Problem> {
        for (name, companion) in &self.manifest.companions {
            if name == broker::NAME || self.functions.iter().any(|function| function.name == *name) {
                return Err(self.wrong(&format!("companion `{name}` has the name of another process")));
            }
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            if name.is_empty() || !plain {
                return Err(
                    self.wrong(&format!("companion `{name}`: a name has letters, digits, `-` and `_`"))
                );
            }
            if let Program::Bin { package, bin } = &companion.program {
                let found = self.workspace.packages.iter().find(|known| known.name == *package);
                if !found.is_some_and(|package| package.has_bin(bin)) {
                    let what = format!(
                        "companion `{name}`: no binary `{bin}` in a package `{package}` of this workspace"
                    );
                    return Err(self.wrong(&what));
                }
            }
        }
        Ok(())
    }

    /// Whether no process of the application has one of these names.
    ///
    /// # Errors
    /// One has (78).
    pub(crate) fn check_free<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
        let companions = self.manifest.companions.keys().map(String::as_str);
        let known: BTreeSet<&str> =
            self.functions.iter().map(|function| function.name.as_str()).chain(companions).collect();
        match names.find(|name| known.contains(name)) {
            Some(name) => Err(self
                .wrong(&format!("`{name}` has the name of what --observe starts"))
                .remedy("give it another name, or set OTEL_EXPORTER_OTLP_ENDPOINT if it takes traces")),
            None => Ok(()),
        }
    }

    fn wrong(&self, why: &str) -> Problem {
        Problem::new(Exit::Config, format!("{}: {why}", self.manifest.path.display()))
    }
}

/// Where the manifest is: `named`, or the nearest one.
///
/// # Errors
/// There is none (78).
pub(crate) fn manifest_path(named: Option<&Path>) -> Result<PathBuf, Problem> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => Manifest::find(&std::env::current_dir().map_err(|error| {
            Problem::new(Exit::NoInput, "the current directory cannot be read").because(error)
        })?),
    }
}

/// The directory that the manifest is in.
fn root_of(manifest: &Manifest) -> PathBuf {
    manifest.path.parent().unwrap_or(Path::new("/")).to_owned()
}

fn planned(package: &Package, manifest: &mut Manifest) -> Result<PlannedFunction, Problem> {
    let bin = package.main_bin().ok_or_else(|| {
        Problem::new(Exit::Config, format!("the function `{}` has no binary of its name", package.name))
            .remedy("give its package a src/main.rs")
    })?;
    let env = manifest.functions.remove(&package.name).map(|entry| entry.env).unwrap_or_default();
    let directory = package.directory().unwrap_or(Path::new("")).to_owned();
    Ok(PlannedFunction { name: package.name.clone(), bin: bin.to_owned(), directory, env })
}

/// The program that was built, or found, for the binary `bin` of `package`.
///
/// # Errors
/// There is none.
pub(crate) fn executable(executables: &Executables, package: &str, bin: &str) -> Result<PathBuf, Problem> {
    let found = executables.get(&(package.to_owned(), bin.to_owned()));
    found
        .cloned()
        .ok_or_else(|| Problem::new(Exit::Internal, format!("`{bin}` of `{package}` was not built")))
}
