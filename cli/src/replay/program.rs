//! A function's own program, running one event after the other with effects off.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jetlag::RawValue;
use jetlag::invoke::{Reran, Rerun};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::problem::{Exit, Problem};

/// How long one event may take, beyond what the contract gives its handler.
const SPARE: Duration = Duration::from_secs(30);

/// A program that waits for events.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    limit: Duration,
    state: Option<BTreeMap<String, Box<RawValue>>>,
    carries: bool,
}

impl Program {
    /// Starts `program` with `env`, `state` being what its function finds at first. If it `carries`, each event finds what
    /// the one before it left; otherwise each finds `state`.
    ///
    /// # Errors
    /// It cannot be run (69).
    pub(crate) fn start(
        program: &Path,
        env: &[(String, String)],
        time_limit: Duration,
        state: BTreeMap<String, Box<RawValue>>,
        carries: bool,
    ) -> Result<Self, Problem> {
        let name = format!("{} --rerun", program.display());
        let failed = || Problem::new(Exit::Unavailable, format!("`{name}` cannot be run"));
        let mut command = Command::new(program);
        command.arg("--rerun").envs(env.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed().because(error))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed());
        };
        let lines = BufReader::new(stdout).lines();
        Ok(Self { name, child, stdin, lines, limit: time_limit + SPARE, state: Some(state), carries })
    }

    /// Runs `event`.
    ///
    /// # Errors
    /// The program ended, takes too long, or says what is not understood (69).
    pub(crate) async fn run(&mut self, event: &str) -> Result<Reran, Problem> {
        let request = Rerun { event: event.to_owned(), state: self.state.take(), carry: self.carries };
        let mut line = serde_json::to_vec(&request)
            .map_err(|error| Problem::new(Exit::Internal, "the request does not serialise").because(error))?;
        line.push(b'\n');
        let exchange = async {
            // A program that has ended says so by its end, below.
            let _ = self.stdin.write_all(&line).await;
            let _ = self.stdin.flush().await;
            self.lines.next_line().await
        };
        let answered = tokio::time::timeout(self.limit, exchange).await;
        let failed = |why: String| Problem::new(Exit::Unavailable, format!("`{}` {why}", self.name));
        let answer = match answered {
            Err(_) => return Err(failed(format!("did not answer within {} s", self.limit.as_secs()))),
            Ok(Err(error)) => return Err(failed("cannot be heard".into()).because(error)),
            Ok(Ok(answer)) => answer,
        };
        let Some(answer) = answer else {
            let status = self.child.wait().await;
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(Problem::new(Exit::Unavailable, format!("`{}` ended: {how}", self.name))
                .remedy("it says why above; one that does not know --rerun is older than this command: build it again"));
        };
        serde_json::from_str(&answer)
            .map_err(|error| failed("says what is not understood".into()).because(error))
    }
}
