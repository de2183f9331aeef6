//! The functions of an application, as Cargo knows them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::problem::{Exit, Problem};

/// How long `cargo metadata` may take; without dependencies it takes 50 ms, or as long as another Cargo holds a lock.
const METADATA_LIMIT: Duration = Duration::from_secs(60);
/// The function that takes orders from outside has the first port, if there is one of this name.
const FRONT_DOOR: &str = "order";

/// How the variables begin by which Cargo tells a program of the package that it is from.
const OF_PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// The packages of a Cargo workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    /// Where it is.
    #[serde(default, rename = "workspace_root")]
    pub(crate) root: PathBuf,
}

/// A package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) id: String,
    #[serde(default)]
    manifest_path: PathBuf,
    targets: Vec<Target>,
    metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    jetlag: Option<Marks>,
}

/// `[package.metadata.jetlag]`.
#[derive(Debug, Deserialize)]
struct Marks {
    #[serde(default)]
    function: bool,
}

impl Workspace {
    /// Asks Cargo about the workspace that `directory` is in.
    ///
    /// # Errors
    /// There is no Cargo, or no workspace (78).
    pub(crate) async fn of(directory: &Path) -> Result<Self, Problem> {
        let mut cargo = cargo();
        cargo
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(directory)
            .stdin(Stdio::null());
        let wrong = |why: String| {
            Problem::new(
                Exit::Config,
                format!("cannot read the Cargo workspace of `{}`: {why}", directory.display()),
            )
        };
        let output = tokio::time::timeout(METADATA_LIMIT, cargo.kill_on_drop(true).output())
            .await
            .map_err(|_| wrong(format!("no answer within {} s", METADATA_LIMIT.as_secs())))?
            .map_err(|error| wrong(error.to_string()))?;
        if !output.status.success() {
            return Err(wrong(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| wrong(error.to_string()))
    }

    /// The functions: packages with `[package.metadata.jetlag] function = true`. The order of the ports: the front
    /// door first, then by name.
    pub(crate) fn functions(&self) -> Vec<&Package> {
        let mut functions: Vec<_> = self.packages.iter().filter(|package| package.is_function()).collect();
        functions.sort_by_key(|package| (package.name != FRONT_DOOR, package.name.as_str()));
        functions
    }
}

impl Package {
    fn is_function(&self) -> bool {
        self.metadata
            .as_ref()
            .and_then(|metadata| metadata.jetlag.as_ref())
            .is_some_and(|marks| marks.function)
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.manifest_path.parent()
    }

    /// Whether others can use it.
    pub(crate) fn has_lib(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "lib"))
    }

    /// Whether it has a binary of this name.
    pub(crate) fn has_bin(&self, name: &str) -> bool {
        self.bins().any(|bin| bin == name)
    }

    /// The binary of a function: the one that is named like the package, else the only one.
    pub(crate) fn main_bin(&self) -> Option<&str> {
        let mut bins = self.bins();
        let (first, second) = (bins.next(), bins.next());
        if self.has_bin(&self.name) { Some(&self.name) } else { first.filter(|_| second.is_none()) }
    }

    fn bins(&self) -> impl Iterator<Item = &str> {
        let is_bin = |target: &&Target| target.kind.iter().any(|kind| kind == "bin");
        self.targets.iter().filter(is_bin).map(|target| target.name.as_str())
    }
}

/// The Cargo that runs us, or the one on the search path.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What the Cargo that runs us says of our own package. A build script that looks at its own (ring's does) would run
    // again, and everything above it be built anew, whenever a build from inside follows one from outside.
    for (name, _) in std::env::vars_os() {
        let of_package = name.to_str().is_some_and(|name| OF_PACKAGE.iter().any(|of| name.starts_with(of)));
        if of_package {
            cargo.env_remove(name);
        }
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, function: bool, bins: &[&str]) -> serde_json::Value {
        let targets: Vec<_> =
            bins.iter().map(|name| serde_json::json!({"name": name, "kind": ["bin"]})).collect();
        serde_json::json!({
            "name": name, "id": name, "targets": targets,
            "metadata": if function { serde_json::json!({"jetlag": {"function": true}}) } else { serde_json::Value::Null },
        })
    }

    #[test]
    fn functions_are_the_marked_packages_with_the_front_door_first() {
        let packages = [
            package("audit", true, &["audit"]),
            package("order", true, &["order"]),
            package("world", false, &["gateway", "receiver"]),
        ];
        let workspace: Workspace = serde_json::from_value(serde_json::json!({"packages": packages})).unwrap();
        let names: Vec<_> = workspace.functions().iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["order", "audit"]);
        assert_eq!(workspace.packages[2].main_bin(), None);
        assert!(workspace.packages[2].has_bin("gateway"));
    }

    #[test]
    fn a_function_may_name_its_only_binary_as_it_likes() {
        let one: Package = serde_json::from_value(package("pay", true, &["payd"])).unwrap();
        assert_eq!(one.main_bin(), Some("payd"));
        let two: Package = serde_json::from_value(package("pay", true, &["tool", "pay"])).unwrap();
        assert_eq!(two.main_bin(), Some("pay"));
    }
}
