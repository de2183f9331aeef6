//! A dead letter as a file that `jetlag invoke --file` takes.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use jetlag::DeadLetter;

use crate::json;
use crate::problem::{Exit, Problem};

/// Where the fixtures of `function` are, in the application whose root this is.
pub fn directory(root: &Path, function: &str) -> PathBuf {
    root.join("functions").join(function).join("fixtures")
}

/// Writes `letter`'s own bytes into `file`, laid out if they are JSON. What is there already stays.
///
/// # Errors
/// The file is there, or cannot be written (73).
pub fn save(letter: &DeadLetter, file: &Path) -> Result<(), Problem> {
    let cannot = |error: std::io::Error| {
        let problem = Problem::new(Exit::CannotCreate, format!("cannot write {}", file.display()));
        match error.kind() {
            ErrorKind::AlreadyExists => {
                problem.because(error).remedy("give it another name, or remove that file")
            }
            _ => problem.because(error),
        }
    };
    let text = std::str::from_utf8(&letter.payload).ok();
    let is_json = serde_json::from_slice::<serde_json::Value>(&letter.payload).is_ok();
    let bytes = match text.filter(|_| is_json) {
        Some(text) => (json::laid_out(text) + "\n").into_bytes(),
        None => letter.payload.to_vec(),
    };
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).map_err(cannot)?;
    }
    let mut created = std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(cannot)?;
    created.write_all(&bytes).map_err(cannot)
}
