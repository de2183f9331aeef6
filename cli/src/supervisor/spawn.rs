//! Starts child processes so that none outlives this one, not even after `kill -9`.

use std::io;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::service::Launch;

/// How long the probe for `setpriv` may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Starts processes from one thread that lives as long as they do.
///
/// The kernel can send a signal to a child when its parent dies (`PR_SET_PDEATHSIG`), and "parent" means the
/// thread that forked. A worker of the async runtime may end earlier than the program, and would take the children
/// with it; hence a thread of our own. The call itself needs `unsafe` between fork and exec, so `setpriv` of
/// util-linux makes it; where there is none, the next run finds leftovers in `up.json` instead.
#[derive(Debug)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<Request>,
    setpriv: bool,
}

struct Request {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread. It ends when the last handle of this spawner is dropped, and with it every child that
    /// still runs, if `setpriv` is here.
    pub(crate) async fn start() -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<Request>();
        let runtime = Handle::current();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let _entered = runtime.enter();
            for mut request in inbox {
                // Whoever asked may have been cancelled; the child is then dropped, which kills it.
                let _ = request.reply.send(request.command.spawn());
            }
        })?;
        Ok(Self { requests, setpriv: has_setpriv().await })
    }

    /// Starts `launch` in a process group of its own, its output piped, its input empty.
    pub(crate) async fn spawn(&self, launch: &Launch) -> io::Result<Child> {
        let mut command = if self.setpriv {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(&launch.program);
            command
        } else {
            Command::new(&launch.program)
        };
        launch.without_env.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.args(&launch.args).envs(launch.env.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &launch.directory {
            command.current_dir(directory);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request { command, reply })
            .map_err(|_| io::Error::other("the spawner has ended"))?;
        answer.await.map_err(|_| io::Error::other("the spawner has ended"))?
    }
}

/// Whether `setpriv` is here and knows the option (BusyBox's does not).
async fn has_setpriv() -> bool {
    let mut probe = Command::new("setpriv");
    probe.args(["--pdeathsig", "KILL", "--", "true"]);
    probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let status = tokio::time::timeout(PROBE_LIMIT, probe.status()).await;
    matches!(status, Ok(Ok(status)) if status.success())
}
