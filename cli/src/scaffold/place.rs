//! Where a new function is put, and what it is built with there.

use std::path::{Path, PathBuf};

use super::Order;
use super::name::Name;
use crate::app::{Package, Workspace, has};
use crate::problem::{Exit, Problem};

/// Where functions are if there are none yet.
const FUNCTIONS: &str = "functions";

/// Where a function is to be.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    /// The root of its workspace; none if it is alone.
    pub(super) root: Option<PathBuf>,
    /// The workspace's Cargo.toml.
    pub(super) workspace: String,
    /// Where the crate `jetlag` is, if the workspace does not say so.
    pub(super) jetlag: Option<Source>,
    /// Packages whose types can be used, and where their sources are.
    pub(super) libraries: Vec<(String, PathBuf)>,
}

/// Where a crate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A directory, absolute.
    Path(PathBuf),
    /// A repository.
    Git(String),
}

impl Place {
    /// # Errors
    /// There is something already, or no crate `jetlag` (78); the command line names one that is none (66).
    pub(super) async fn find(order: &Order, name: &Name) -> Result<Self, Problem> {
        let here = std::env::current_dir()
            .map_err(|error| Problem::new(Exit::NoInput, "the current directory is gone").because(error))?;
        let around = Workspace::of(&here).await.ok();
        let named = order.jetlag.as_deref().map(|source| Source::read(source, &here)).transpose()?;
        let found = around.as_ref().and_then(|workspace| {
            let jetlag = workspace.packages.iter().find(|package| package.name == "jetlag")?;
            jetlag.directory().map(|directory| Source::Path(directory.to_owned()))
        });
        let place = match around.filter(|_| !order.alone) {
            Some(workspace) => Self::within(&workspace, name, named.or(found))?,
            None => Self {
                directory: here.join(&name.text),
                root: None,
                workspace: String::new(),
                jetlag: named.or(found),
                libraries: Vec::new(),
            },
        };
        if place.jetlag.is_none() && !place.inherits("jetlag") {
            let what = "nothing here says where the crate `jetlag` comes from";
            return Err(Problem::new(Exit::Config, what).remedy(
                "name it with --jetlag: the directory runtime/ of a checkout of Jetlag, or the address of its git repository",
            ));
        }
        if place.directory.exists() {
            let what = format!("`{}` is there already", place.directory.display());
            return Err(Problem::new(Exit::Config, what).remedy("choose another name, or remove it first"));
        }
        Ok(place)
    }

    fn within(workspace: &Workspace, name: &Name, jetlag: Option<Source>) -> Result<Self, Problem> {
        if let Some(other) = workspace.packages.iter().find(|package| package.name == name.text) {
            let at = other.directory().unwrap_or(Path::new("")).display();
            let what = format!("the workspace has a package `{}` already, in `{at}`", name.text);
            return Err(Problem::new(Exit::Config, what).remedy("choose another name"));
        }
        let root = workspace.root.clone();
        let beside = workspace
            .functions()
            .first()
            .and_then(|function| Some(function.directory()?.parent()?.to_owned()));
        let text = std::fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
        let inherits = inherits(&text, "jetlag");
        let library = |package: &Package| Some((package.name.clone(), package.directory()?.join("src")));
        let libraries =
            workspace.packages.iter().filter(|package| package.has_lib() && package.name != "jetlag");
        Ok(Self {
            directory: beside.unwrap_or_else(|| root.join(FUNCTIONS)).join(&name.text),
            libraries: libraries.filter_map(library).collect(),
            root: Some(root),
            workspace: text,
            jetlag: jetlag.filter(|_| !inherits),
        })
    }

    /// Whether the workspace says where `package` comes from.
    pub(super) fn inherits(&self, package: &str) -> bool {
        inherits(&self.workspace, package)
    }

    /// # Errors
    /// Cargo does not see the new package as a function (78).
    pub(super) async fn check(&self, name: &Name) -> Result<(), Problem> {
        let around = Workspace::of(&self.directory).await?;
        if around.functions().iter().any(|function| function.name == name.text) {
            return Ok(());
        }
        let what = format!("`{}` would not be a member of the workspace", self.directory.display());
        Err(Problem::new(Exit::Config, what).remedy(
            "add \"functions/*\" to `members` in the workspace's Cargo.toml, or make it alone with --alone",
        ))
    }
}

impl Source {
    fn read(text: &str, here: &Path) -> Result<Self, Problem> {
        if text.contains("://") || text.starts_with("git@") {
            return Ok(Self::Git(text.to_owned()));
        }
        let directory = here.join(text);
        let manifest = directory.join("Cargo.toml");
        let is_it = std::fs::read_to_string(&manifest).is_ok_and(|text| text.contains("name = \"jetlag\""));
        if is_it {
            return Ok(Self::Path(directory));
        }
        Err(Problem::new(Exit::NoInput, format!("`{}` is not that of the crate `jetlag`", manifest.display()))
            .remedy("give --jetlag the directory runtime/ of a checkout of Jetlag, or the address of its git repository"))
    }
}

fn inherits(workspace: &str, package: &str) -> bool {
    has(workspace, "workspace.dependencies", package)
}
