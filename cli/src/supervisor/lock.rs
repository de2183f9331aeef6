//! One run at a time in a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::board;
use crate::problem::{Exit, Problem};

/// The name of the file in the data directory.
const FILE: &str = "lock";

/// Held for as long as this value lives; the kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Makes `data` if it is not there, and locks it.
    ///
    /// # Errors
    /// The directory cannot be made or written (73); another run holds it (75).
    pub(crate) fn take(data: &Path) -> Result<Self, Problem> {
        let path = data.join(FILE);
        let opened = std::fs::create_dir_all(data)
            .and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(&path));
        let unusable = |error: std::io::Error| {
            Problem::new(
                Exit::CannotCreate,
                format!("the data directory `{}` cannot be used", data.display()),
            )
            .because(error)
            .remedy("choose another with --data")
        };
        let file = opened.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(held(data)),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

fn held(data: &Path) -> Problem {
    let who = match board::read(data) {
        Some(status) => {
            let url = status.processes.iter().find_map(|entry| entry.url.clone());
            format!(" (pid {}{})", status.pid, url.map(|url| format!(", {url}")).unwrap_or_default())
        }
        None => String::new(),
    };
    Problem::new(Exit::TryLater, format!("`jetlag up` runs already in `{}`{who}", data.display()))
        .remedy("stop it with Ctrl-C there, or choose another directory with --data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_in_the_same_directory_is_refused_until_the_first_ends() {
        let data = tempfile::tempdir().unwrap();
        let first = DataLock::take(data.path()).unwrap();
        let problem = DataLock::take(data.path()).unwrap_err();
        assert_eq!(problem.exit(), Exit::TryLater);
        assert!(problem.to_string().contains("runs already"));
        drop(first);
        assert!(DataLock::take(data.path()).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_one_clear_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let problem = DataLock::take(&file.path().join("data")).unwrap_err();
        assert_eq!(problem.exit(), Exit::CannotCreate);
        assert!(problem.render().contains("cannot be used: Not a directory"), "{}", problem.render());
    }
}
