//! Programs of others that run beside an application: where they are found, and what they are given.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::net::TcpListener;

use crate::problem::{Exit, Problem};

/// The path that the variable of the environment `name` holds; nothing if it is not set, or empty.
pub(crate) fn named(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The program `name` on the search path.
pub(crate) fn on_search_path(name: &str) -> Option<PathBuf> {
    on_path(&env::var_os("PATH").unwrap_or_default(), name)
}

fn on_path(places: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(places).map(|place| place.join(name)).find(|path| path.is_file())
}

/// `customary`, where people look for it, or any free port if it is taken.
///
/// # Errors
/// There is no free port (69).
pub(crate) async fn port(customary: u16) -> Result<u16, Problem> {
    let bind = async |port| TcpListener::bind(("127.0.0.1", port)).await?.local_addr();
    let bound = match bind(customary).await {
        Ok(address) => Ok(address),
        Err(_) => bind(0).await,
    };
    let bound =
        bound.map_err(|error| Problem::new(Exit::Unavailable, "there is no free port").because(error));
    Ok(bound?.port())
}

pub(crate) fn cannot_write(path: &Path) -> Problem {
    Problem::new(Exit::CannotCreate, format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_has_the_program_counts() {
        let places =
            [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let path = env::join_paths(places.iter().map(tempfile::TempDir::path)).unwrap();
        assert_eq!(on_path(&path, "java"), None);
        for place in &places[1..] {
            std::fs::write(place.path().join("java"), "").unwrap();
        }
        assert_eq!(on_path(&path, "java"), Some(places[1].path().join("java")));
        // A directory of that name is no program.
        std::fs::create_dir(places[0].path().join("java")).unwrap();
        assert_eq!(on_path(&path, "java"), Some(places[1].path().join("java")));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_not_given() {
        let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = holder.local_addr().unwrap().port();
        let other = port(taken).await.unwrap();
        assert!(other != taken && other != 0, "{other}");
        drop(holder);
        assert_eq!(port(taken).await.unwrap(), taken);
    }
}
