//! Kubernetes objects in files.

use std::path::{Path, PathBuf};

use keda::given;
use keda::lint::Placed;

use crate::problem::{Exit, Problem};

/// The objects in files, in the files of directories, or (`-`) on standard input.
///
/// # Errors
/// A file cannot be read (66), or is not understood (65).
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Placed>, Problem> {
    let mut given = Vec::new();
    for path in paths {
        for file in files(path)? {
            let unread = |why: std::io::Error| {
                Problem::new(Exit::NoInput, format!("cannot read `{}`", file.display())).because(why)
            };
            let text = match file.to_str() {
                Some("-") => std::io::read_to_string(std::io::stdin()).map_err(unread)?,
                _ => std::fs::read_to_string(&file).map_err(unread)?,
            };
            let objects = given::read(&text).map_err(|error| {
                Problem::new(Exit::Data, format!("`{}` is not understood", file.display())).because(error)
            })?;
            let file = match file.to_str() {
                Some("-") => "standard input".to_owned(),
                _ => file.display().to_string(),
            };
            given.extend(objects.into_iter().map(|object| Placed { file: file.clone(), object }));
        }
    }
    Ok(given)
}

/// The manifests in `path`, which may be one itself.
fn files(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unread = |error| {
        Problem::new(Exit::NoInput, format!("cannot read the directory `{}`", path.display())).because(error)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unread)? {
        let file = entry.map_err(unread)?.path();
        if file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Problem::new(Exit::NoInput, format!("there is no manifest in `{}`", path.display()))
            .remedy("manifests are files that end in .yaml or .yml; directories below are not looked into"));
    }
    Ok(files)
}
