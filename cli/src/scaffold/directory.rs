//! Files written all together or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::problem::{Exit, Problem};

/// A directory that was made.
#[derive(Debug)]
pub(super) struct Written {
    directory: PathBuf,
    /// What was not there before it, the outermost.
    outermost: PathBuf,
}

impl Written {
    /// Takes it away again.
    pub(super) fn undo(self) {
        let _ = std::fs::remove_dir_all(&self.directory);
        if self.outermost != self.directory {
            // Only if nobody has put something else there.
            let _ = std::fs::remove_dir(&self.outermost);
        }
    }
}

/// Lays the sources out as the workspace has it; names are of different lengths. Where there is no rustfmt they stay as they
/// are.
fn lay_out(directory: &Path, files: &[(PathBuf, String)]) {
    let sources =
        files.iter().map(|(path, _)| path).filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--quiet", "--edition", "2024"]).args(sources.map(|path| directory.join(path)));
    let _ = rustfmt.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Makes `directory` with these files: beside it first, and then in one step.
///
/// # Errors
/// It cannot be written (73). Nothing is there then.
pub(super) fn write(directory: &Path, files: &[(PathBuf, String)]) -> Result<Written, Problem> {
    let failed = |error: io::Error| {
        Problem::new(Exit::CannotCreate, format!("cannot make `{}`", directory.display())).because(error)
    };
    let parent = directory.parent().unwrap_or(Path::new("/"));
    // Not where a pattern of the workspace's members would find it half made.
    let outside =
        parent.ancestors().find(|ancestor| ancestor.is_dir() && ancestor.join("Cargo.toml").is_file());
    let outside = outside.or_else(|| parent.ancestors().find(|ancestor| ancestor.is_dir())).unwrap_or(parent);
    let draft = tempfile::Builder::new().prefix(".jetlag-new-").tempdir_in(outside).map_err(failed)?;
    for (path, text) in files {
        let path = draft.path().join(path);
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        std::fs::write(path, text).map_err(failed)?;
    }
    lay_out(draft.path(), files);
    let outermost = if parent.is_dir() { directory } else { parent };
    std::fs::create_dir_all(parent).map_err(failed)?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(draft.path(), readable).map_err(failed)?;
    std::fs::rename(draft.path(), directory).map_err(failed)?;
    // What is renamed is not removed.
    let _ = draft.keep();
    Ok(Written { directory: directory.to_owned(), outermost: outermost.to_owned() })
}
