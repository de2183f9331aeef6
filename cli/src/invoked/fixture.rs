//! Inputs that are kept beside a function: fixtures/NAME.json in its directory.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::json;
use crate::problem::{Exit, Problem};

/// Where the fixture of this name is, of the function in the directory `function`.
pub(crate) fn path(function: &Path, name: &str) -> PathBuf {
    function.join("fixtures").join(format!("{name}.json"))
}

/// The text of a fixture of the function in the directory `function`.
///
/// # Errors
/// There is none of that name (66).
pub(crate) fn read(function: &Path, name: &str) -> Result<String, Problem> {
    let path = path(function, name);
    std::fs::read_to_string(&path).map_err(|error| {
        let entries = std::fs::read_dir(function.join("fixtures")).into_iter().flatten().flatten();
        let mut known: Vec<String> = entries
            .filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned()))
            .collect();
        known.sort();
        let known = if known.is_empty() {
            "there are none".into()
        } else {
            format!("there are: {}", known.join(", "))
        };
        Problem::new(Exit::NoInput, format!("cannot read `{}`", path.display()))
            .because(error)
            .remedy(format!("{known}; --save NAME keeps one"))
    })
}

/// Where a new fixture of this name is kept.
///
/// # Errors
/// There is one already (73).
pub(crate) fn free(function: &Path, name: &str) -> Result<PathBuf, Problem> {
    let path = path(function, name);
    if path.exists() {
        return Err(Problem::new(Exit::CannotCreate, format!("`{}` is there already", path.display()))
            .remedy("choose another name for --save, or remove that file"));
    }
    Ok(path)
}

/// Keeps `event`, laid out if it is JSON. What is there already stays.
///
/// # Errors
/// The file is there, or cannot be written (73).
pub(crate) fn save(path: &Path, event: &[u8]) -> Result<(), Problem> {
    let failed = |error: std::io::Error| {
        let is_there = error.kind() == ErrorKind::AlreadyExists;
        let problem =
            Problem::new(Exit::CannotCreate, format!("cannot write `{}`", path.display())).because(error);
        if is_there { problem.remedy("choose another name for --save, or remove that file") } else { problem }
    };
    let is_json = serde_json::from_slice::<Value>(event).is_ok();
    let text = std::str::from_utf8(event).ok().filter(|_| is_json).map(|text| json::laid_out(text) + "\n");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_ref().map_or(event, String::as_bytes)).map_err(failed)
}
