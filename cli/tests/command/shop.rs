//! A small application to test with: two functions, a companion, and a workspace of its own.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jetlag_cli::app::Options;
use jetlag_cli::console::Console;

/// The application, with a `jetlag.yaml` and a data directory of its own.
pub(crate) struct Shop {
    manifest: tempfile::NamedTempFile,
    directory: tempfile::TempDir,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let manifest = tempfile::Builder::new().suffix(".yaml").tempfile_in(workspace()).unwrap();
        std::fs::copy(workspace().join("jetlag.yaml"), manifest.path()).unwrap();
        Self { manifest, directory: tempfile::tempdir().unwrap() }
    }

    /// Its `jetlag.yaml`, beside those of other tests.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.manifest.path().to_owned()
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.beside("data")
    }

    /// A file of the test's own.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
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

/// A copy of the workspace that all tests and runs share: Cargo compiles anew what lies somewhere else.
fn workspace() -> &'static Path {
    static WORKSPACE: OnceLock<PathBuf> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shop");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shop"), &workspace);
        workspace
    })
}

/// What is there already is left: Cargo compiles anew what was written since.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if std::fs::read(&target).ok() != Some(std::fs::read(entry.path()).unwrap()) {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
