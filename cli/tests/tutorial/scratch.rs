//! Copies of this workspace to try things in, which share what is built with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The root of the workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// What a build needs.
const PARTS: [&str; 14] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "cli",
    "functions",
    "images",
    "jetlag.yaml",
    "keda",
    "knative",
    "observe",
    "runtime",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
];

/// A directory with a workspace in it.
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    /// A copy of the whole workspace. What is built in it is built beside what is built here: the files are as old as here,
    /// so that nothing that is the same is built again.
    pub(crate) fn of_everything() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-a").args(PARTS.map(|part| Path::new(ROOT).join(part))).arg(directory.path());
        assert!(copy.status().unwrap().success());
        Self { directory }
    }

    /// A workspace of nothing but Cargo's files, with a payload in a package.
    pub(crate) fn of_names() -> Self {
        let scratch = Self { directory: tempfile::tempdir().unwrap() };
        let package =
            |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        let members = "[workspace]\nresolver = \"3\"\nmembers = [\"functions/*\", \"runtime\"]\n";
        let shared = "[workspace.dependencies]\njetlag = { path = \"runtime\" }\nevents = { path = \"functions/events\" }\n";
        scratch.write("Cargo.toml", &format!("{members}{shared}"));
        std::fs::copy(Path::new(ROOT).join("rustfmt.toml"), scratch.path("rustfmt.toml")).unwrap();
        scratch.write("runtime/Cargo.toml", &package("jetlag"));
        scratch.write("runtime/src/lib.rs", "");
        scratch.write("functions/events/Cargo.toml", &package("events"));
        scratch.write("functions/events/src/lib.rs", "mod sent;\npub use sent::Sent;\n");
        let sent = "impl Payload for Sent {\n    const TYPE: &'static str = \"parcels.sent\";\n}\n";
        scratch.write("functions/events/src/sent.rs", sent);
        scratch
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Every file and directory in it, by name.
    pub(crate) fn listing(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.directory.path().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
                found.push(entry.path());
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    /// `program`, to be run in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.env("CARGO_TARGET_DIR", target()).env("CARGO_NET_OFFLINE", "true");
        // As it is in a terminal that names no broker, and not in a test that Cargo runs.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().into_owned();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "NATS_"].iter().any(|of| text.starts_with(of)) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `jetlag new` with these arguments.
    pub(crate) fn new_function(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_jetlag")).arg("new").args(arguments).output().unwrap()
    }
}

/// Where this workspace is built.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_jetlag")).parent().unwrap().parent().unwrap().to_owned()
}
