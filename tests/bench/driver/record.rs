//! Where the time of a run goes: a profile of the broker by its own profiler, and one of the functions by `perf`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::http;

/// How long the broker is looked at, from the first order that counts.
const BROKER_S: u32 = 4;

/// Samples a second of the functions.
const PERF_HZ: &str = "499";

pub struct Recording {
    broker: JoinHandle<Vec<u8>>,
    functions: Option<Child>,
    file: PathBuf,
}

impl Recording {
    /// Begins to record into `<directory>/<name>.pprof` and `<directory>/<name>.perf`.
    pub fn begin(directory: &Path, name: &str, profiler: &str, functions: &[u32]) -> Self {
        std::fs::create_dir_all(directory).expect("a directory for profiles");
        let file = directory.join(name);
        let profiler = profiler.to_owned();
        let broker = tokio::spawn(async move {
            let path = format!("/debug/pprof/profile?seconds={BROKER_S}");
            http::ask(&profiler, "GET", &path, "").await
        });
        let pids: Vec<String> = functions.iter().map(u32::to_string).collect();
        let functions = Command::new("perf")
            .args(["record", "--quiet", "--call-graph", "fp", "-F", PERF_HZ, "-p", &pids.join(",")])
            .arg("-o")
            .arg(file.with_extension("perf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        if let Err(error) = &functions {
            eprintln!("the functions are not recorded: perf: {error}");
        }
        Self { broker, functions: functions.ok(), file }
    }

    /// Waits for the profiles.
    pub async fn end(self) {
        if let Some(mut perf) = self.functions {
            if let Some(pid) = perf.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                // It may have ended meanwhile.
                let _ = kill_process(pid, Signal::INT);
            }
            perf.wait().await.expect("a child");
        }
        let profile = self.broker.await.expect("a profile of the broker");
        std::fs::write(self.file.with_extension("pprof"), profile).expect("a file for the profile");
    }
}
