//! A process of one of the functions, as it is seen from outside: its log and its end.

use std::path::{Path, PathBuf};

use jetlag::Description;
use rustix::process::{Pid, Signal, kill_process};
use tests::{PATIENCE, logged, until};
use tokio::process::{Child, Command};

pub const NEEDY: &str = env!("CARGO_BIN_EXE_needy");

pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` in an environment of only `env`.
    pub fn start(program: impl AsRef<Path>, log: PathBuf, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("PORT", "0").env("JETLAG_PROVISION", "false").envs(env.iter().copied());
        let child = logged(&mut command, &log);
        Self { child, log }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub async fn says(&self, text: &str) {
        until(&format!("{text:?} in the log of {}", self.log.display()), async || {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    pub fn signal(&self, signal: Signal) {
        // One that has ended already is as good.
        if let Some(pid) = self.child.id() {
            kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    /// Waits until it ends by itself, and gives its exit code.
    pub async fn exit_code(&mut self) -> i32 {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end: {}", self.log())).unwrap().code().unwrap_or(-1)
    }
}

/// What `program` says of itself.
pub async fn described(program: impl AsRef<Path>, env: &[(&str, &str)]) -> Description {
    let said =
        Command::new(program.as_ref()).arg("--describe").envs(env.iter().copied()).output().await.unwrap();
    serde_json::from_slice(&said.stdout).unwrap()
}
