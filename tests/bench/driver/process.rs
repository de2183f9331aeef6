//! Processes that are started for one run and end with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long a process may take to end after SIGTERM: longer than a drain.
const STOP_LIMIT: Duration = Duration::from_secs(35);

pub struct Process {
    pub name: String,
    pub pid: u32,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`, which writes to `<directory>/<name>.log`. It is killed when it is dropped.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[String],
        env: &BTreeMap<&str, String>,
        directory: &Path,
    ) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log");
        let child = Command::new(program)
            .args(arguments)
            .envs(env)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let pid = child.id().expect("a process that was just started");
        Self { name: name.to_owned(), pid, child, log }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// What it has written so far.
    pub fn written(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last that it wrote, for an error.
    pub fn last_words(&self) -> String {
        let written = self.written();
        let lines: Vec<&str> = written.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    /// Tells it to stop, and kills it if it does not.
    pub async fn stop(mut self) {
        if self.ended().is_some() {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await.expect("a child");
        }
    }
}
