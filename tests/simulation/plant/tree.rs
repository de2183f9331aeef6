//! A copy of what the simulation needs, in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bug::Bug;

/// What is copied.
const COPIED: [&str; 5] =
    ["runtime/src", "runtime/Cargo.toml", "tests/simulation", "Cargo.lock", "rust-toolchain.toml"];
/// The manifest of the tests that are copied: the simulation, and nothing that other tests need.
const MANIFEST: &str = r#"[package]
name = "tests"
version = "0.0.0"
edition.workspace = true
autolib = false

[[example]]
name = "simulate"
path = "simulation/simulate.rs"

[dev-dependencies]
jetlag = { workspace = true, features = ["testing"] }
serde.workspace = true
serde_json.workspace = true
thiserror.workspace = true
tokio.workspace = true
"#;
/// Built again for every bug, so that it is to be built quickly. What it depends on is built once.
const PROFILE: &str = r#"
[profile.release]
debug = false
incremental = true

[profile.release.package.jetlag]
opt-level = 1

[profile.release.package.tests]
opt-level = 1
"#;

/// The copy.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Copies what is needed out of the repository at `from`. What an earlier copy has built stays, and is built on.
    pub fn copy(from: &Path) -> Result<Self, String> {
        let root = from.join("target/plant");
        let tree = Self { root };
        for part in COPIED {
            let to = tree.root.join(part);
            if to.is_dir() {
                fs::remove_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
            }
            copy(&from.join(part), &to)?;
        }
        let manifest = read(&from.join("Cargo.toml"))?;
        let is_local = |line: &str| line.contains("path = \"") && !line.contains("path = \"runtime\"");
        let line = |line: &str| match line {
            line if line.starts_with("members = ") => "members = [\"runtime\", \"tests\"]\n".to_owned(),
            line if is_local(line) => String::new(),
            line => format!("{line}\n"),
        };
        let workspace: String = manifest.lines().map(line).chain([PROFILE.to_owned()]).collect();
        write(&tree.root.join("Cargo.toml"), &workspace)?;
        write(&tree.root.join("tests/Cargo.toml"), MANIFEST)?;
        Ok(tree)
    }

    /// The files of `bug` as they are, and as they are with it.
    pub fn planted(&self, bug: &Bug) -> Result<Vec<(PathBuf, String, String)>, String> {
        let mut files: Vec<(PathBuf, String, String)> = Vec::new();
        for edit in &bug.edits {
            let path = self.root.join("runtime/src").join(&edit.file);
            let at = match files.iter().position(|(other, ..)| *other == path) {
                Some(at) => at,
                None => {
                    let text = read(&path)?;
                    files.push((path, text.clone(), text));
                    files.len() - 1
                }
            };
            if let Some((_, _, text)) = files.get_mut(at) {
                *text = edit.of(text).map_err(|why| format!("{:?} cannot be planted: {why}", bug.name))?;
            }
        }
        Ok(files)
    }

    pub fn plant(&self, bug: &Bug) -> Result<(), String> {
        self.planted(bug)?.iter().try_for_each(|(path, _, planted)| write(path, planted))
    }

    /// Puts what `bug` has changed back as it is in the repository.
    pub fn clear(&self, bug: &Bug) -> Result<(), String> {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src");
        bug.edits.iter().try_for_each(|edit| {
            write(&self.root.join("runtime/src").join(&edit.file), &read(&from.join(&edit.file))?)
        })
    }

    /// Builds the simulation.
    pub fn build(&self) -> Result<(), String> {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--package", "tests", "--example", "simulate"])
            .env("CARGO_TARGET_DIR", self.target())
            .env("CARGO_TERM_COLOR", "never")
            .current_dir(&self.root)
            .output()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(format!("it does not build:\n{}", said())) }
    }

    /// The simulation that was built.
    pub fn simulate(&self) -> PathBuf {
        self.target().join("release/examples/simulate")
    }

    fn target(&self) -> PathBuf {
        self.root.join("target")
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    if !from.is_dir() {
        return write(to, &read(from)?);
    }
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", from.display()))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes `text` unless it is there already, so that only what changed is built again.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text)).map_err(|error| format!("{}: {error}", path.display()))
}
