//! Stops what an earlier run left behind when it was killed.
//!
//! Where `setpriv` is, nothing is left behind. Elsewhere the earlier run's `up.json` names its processes; pid and
//! time of start must both agree before anything is signalled.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process_group};

use super::board::{self, Entry};
use super::identity;
use super::process::as_pid;
use crate::console::Console;

/// How long a leftover may take to stop after SIGTERM.
const LEFTOVER_GRACE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Stops every process that the last run in `data` left. Only the holder of the lock may call this.
pub(crate) async fn stop(data: &Path, console: &Console) {
    let Some(status) = board::read(data) else { return };
    let left: Vec<_> = status.processes.iter().filter(|entry| still_runs(entry)).collect();
    for entry in &left {
        console.warn(&format!(
            "`{}` (pid {}) was left behind by an earlier run: stopping it",
            entry.name,
            entry.pid.unwrap_or_default()
        ));
        signal(entry, Signal::TERM);
    }
    let deadline = Instant::now() + LEFTOVER_GRACE;
    while left.iter().any(|entry| still_runs(entry)) && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
    }
    for entry in left.iter().filter(|entry| still_runs(entry)) {
        console.warn(&format!(
            "`{}` did not stop within {} s: killing it",
            entry.name,
            LEFTOVER_GRACE.as_secs()
        ));
        signal(entry, Signal::KILL);
    }
}

fn still_runs(entry: &Entry) -> bool {
    entry.started.is_some() && entry.pid.is_some_and(|pid| identity::of(pid) == entry.started)
}

/// Every process that is started here leads a group of its own.
fn signal(entry: &Entry, signal: Signal) {
    if let Some(pid) = entry.pid.and_then(as_pid) {
        let _ = kill_process_group(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;
    use crate::supervisor::board::{Board, Kind};

    #[tokio::test]
    async fn a_leftover_is_stopped_and_a_stranger_with_its_pid_is_not() {
        let data = tempfile::tempdir().unwrap();
        let mut leftover = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let mut stranger = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let board = Board::new(data.path(), Console::silent());
        for (name, pid) in [("order", leftover.id()), ("audit", stranger.id())] {
            board.add(name, Kind::Function, &data.path().join("log"));
            board.starting(name, pid);
        }
        let file = data.path().join(board::FILE);
        let mut status = board.status();
        status.processes[1].started = Some("an earlier time".to_owned());
        std::fs::write(file, serde_json::to_vec(&status).unwrap()).unwrap();

        let reaped = tokio::task::spawn_blocking(move || leftover.wait().unwrap());
        stop(data.path(), &Console::silent()).await;
        assert!(!reaped.await.unwrap().success());
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
