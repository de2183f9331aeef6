//! `jetlag new`: a function's crate, made of the files in cli/templates/, all of it or nothing.

mod directory;
mod dockerfile;
mod kind;
mod manifest;
mod name;
mod place;
mod template;

use std::path::PathBuf;

use serde::Serialize;

use crate::problem::Problem;
use kind::Kind;
use name::Name;
use place::Place;

/// What is to be made.
#[derive(Debug)]
pub struct Order {
    /// The function's name.
    pub name: String,
    /// The type that it listens to; a type of its own if none is said.
    pub listens: Option<String>,
    /// The type that it emits, if it emits one.
    pub emits: Option<String>,
    /// Whether it keeps state.
    pub state: bool,
    /// Whether it is a crate of its own, outside of any workspace.
    pub alone: bool,
    /// Where the crate `jetlag` comes from: a directory, or the address of a git repository.
    pub jetlag: Option<String>,
}

/// What was made.
#[derive(Debug, Serialize)]
pub struct Made {
    /// The function.
    pub function: String,
    /// Its directory.
    pub directory: PathBuf,
    /// The files in it.
    pub files: Vec<PathBuf>,
    /// Files elsewhere that were changed.
    pub changed: Vec<PathBuf>,
    /// What could not be done and is to be done by hand, each a sentence.
    pub left: Vec<String>,
}

/// Makes it.
///
/// # Errors
/// A name that cannot be (64), a directory that is there or a crate `jetlag` that is not (78), or files that cannot be
/// written (73). Nothing is written then.
pub async fn make(order: &Order) -> Result<Made, Problem> {
    let name = Name::read(&order.name)?;
    let place = Place::find(order, &name).await?;
    let own = format!("{}.requested", order.name);
    let listens = Kind::find(order.listens.as_deref().unwrap_or(&own), &place)?;
    let emits = order.emits.as_deref().map(|kind| Kind::find(kind, &place)).transpose()?;
    kind::check(&listens, emits.as_ref())?;
    let files = template::files(&name, &place, &listens, emits.as_ref(), order.state)?;
    let dockerfile = place.root.as_ref().and_then(|root| dockerfile::with(root, &order.name));
    let written = directory::write(&place.directory, &files)?;
    if let Err(problem) = place.check(&name).await {
        written.undo();
        return Err(problem);
    }
    let (mut changed, mut left) = (Vec::new(), Vec::new());
    match dockerfile {
        Some(Ok((path, text))) => match std::fs::write(&path, text) {
            Ok(()) => changed.push(path),
            Err(error) => left.push(format!("`{}` has no target for it: {error}", path.display())),
        },
        Some(Err(path)) => {
            left.push(format!("`{}` has another form than expected: add a target for it", path.display()));
        }
        None => {}
    }
    let files = files.into_iter().map(|(path, _)| path).collect();
    Ok(Made { function: order.name.clone(), directory: place.directory, files, changed, left })
}
