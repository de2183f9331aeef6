//! Builds the programs of an application, or finds them where they were built before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::discover::{Workspace, cargo};
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// How long a build may take: from nothing, on a small machine, with somebody else's build before it.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Where the programs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// `cargo build`, with optimisation or without.
    Cargo {
        /// The release profile instead of the dev profile.
        release: bool,
    },
    /// The binaries beside this very program, as they are.
    Beside,
}

impl Build {
    /// Builds with the profile that this program was built with.
    pub const fn like_this_program() -> Self {
        Self::Cargo { release: !cfg!(debug_assertions) }
    }
}

/// Package and binary to executable.
pub(crate) type Executables = BTreeMap<(String, String), PathBuf>;

/// One line of `cargo build --message-format=json`; the fields of other lines are absent.
#[derive(Debug, Deserialize)]
struct Message {
    package_id: Option<String>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

/// What is built, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<'a> {
    pub(crate) root: &'a Path,
    pub(crate) workspace: &'a Workspace,
    pub(crate) packages: &'a BTreeSet<String>,
}

/// Builds the packages of `whole` for the programs of `wanted`: that another one cannot be built is shown, and keeps nobody
/// from those. Cargo shows its progress on standard error.
///
/// # Errors
/// The build fails (65: the sources are the input), or it does not make what is wanted (78).
pub(crate) async fn build(
    whole: Whole<'_>,
    wanted: &BTreeSet<(String, String)>,
    release: bool,
    console: Console,
) -> Result<Executables, Problem> {
    let Whole { root, workspace, packages } = whole;
    let mut command = cargo();
    command.args(["build", "--message-format=json-render-diagnostics", "--bins", "--keep-going"]);
    command.current_dir(root);
    for package in packages {
        command.args(["--package", package]);
    }
    if release {
        command.arg("--release");
    }
    if console.is_silent() {
        command.arg("--quiet");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let failed = |why: String| {
        Problem::new(Exit::Data, format!("the functions in `{}` were not built: {why}", root.display()))
    };
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let work = async {
        let mut built = Executables::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await? {
                built.extend(executable(&line, workspace));
            }
        }
        std::io::Result::Ok((built, child.wait().await?))
    };
    let (built, status) = tokio::time::timeout(BUILD_LIMIT, work)
        .await
        .map_err(|_| failed(format!("not finished within {} min", BUILD_LIMIT.as_secs() / 60)))?
        .map_err(|error| failed(error.to_string()))?;
    match wanted.iter().find(|wanted| !built.contains_key(*wanted)) {
        Some(_) if !status.success() => Err(failed("cargo says why above".to_owned())),
        Some((package, bin)) => {
            Err(Problem::new(Exit::Config, format!("cargo built no binary `{bin}` in package `{package}`")))
        }
        None => Ok(built),
    }
}

/// The binaries of `wanted` beside this program.
///
/// # Errors
/// One is not there (66).
pub(crate) fn beside(wanted: &BTreeSet<(String, String)>) -> Result<Executables, Problem> {
    let program = std::env::current_exe()
        .map_err(|error| Problem::new(Exit::Internal, "cannot tell where this program is").because(error))?;
    let directory = binaries(&program);
    let find = |(package, bin): &(String, String)| {
        let path = directory.join(bin);
        if path.is_file() {
            return Ok(((package.clone(), bin.clone()), path));
        }
        Err(Problem::new(Exit::NoInput, format!("`{}` is not built", path.display()))
            .remedy(format!("leave out --no-build, or run `cargo build --package {package}`")))
    };
    wanted.iter().map(find).collect()
}

/// Where Cargo puts the binaries of a build of which `program` is a part: tests and examples are one level deeper.
fn binaries(program: &Path) -> &Path {
    let directory = program.parent().unwrap_or(Path::new("/"));
    let is_deeper = directory.ends_with("deps") || directory.ends_with("examples");
    directory.parent().filter(|_| is_deeper).unwrap_or(directory)
}

fn executable(line: &str, workspace: &Workspace) -> Option<((String, String), PathBuf)> {
    let message: Message = serde_json::from_str(line).ok()?;
    let (id, target, executable) = (message.package_id?, message.target?, message.executable?);
    let package = workspace.packages.iter().find(|package| package.id == id)?;
    Some(((package.name.clone(), target.name), executable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_a_build_are_found_from_its_tests_and_examples_too() {
        for program in ["jetlag", "deps/command-0f3a", "examples/chaos"] {
            let program = Path::new("/target/release").join(program);
            assert_eq!(binaries(&program), Path::new("/target/release"), "{}", program.display());
        }
    }
}
