//! A small application to test with: two functions, a companion, and a workspace of its own.

use std::path::{Path, PathBuf};

use jetlag_cli::app::Options;
use jetlag_cli::console::Console;

/// A copy of the application, with a data directory of its own.
pub(crate) struct Shop {
    directory: tempfile::TempDir,
}

impl Shop {
    /// The copy.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shop"), directory.path());
        // One build for all tests and runs.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shop");
        std::fs::create_dir_all(directory.path().join(".cargo")).unwrap();
        let config = format!("[build]\ntarget-dir = {:?}\n", target.display().to_string());
        std::fs::write(directory.path().join(".cargo/config.toml"), config).unwrap();
        Self { directory }
    }

    /// Its `jetlag.yaml`.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.directory.path().join("jetlag.yaml")
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// How it is started, silently and on free ports.
    pub(crate) fn options(&self) -> Options {
        Options {
            manifest: Some(self.manifest()),
            port_base: 0,
            nats_port: Some(0),
            console: Console::silent(),
            ..Options::new(self.data())
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
