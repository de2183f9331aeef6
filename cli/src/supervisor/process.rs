//! One life of one process, in a process group of its own.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::log::Log;
use super::service::{Addresses, Launch};
use super::spawn::Spawner;

/// A longer line is cut into several.
const LINE_LIMIT_BYTES: u64 = 64 * 1024;
/// How long the last words of a dead process may take to arrive.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(1);
/// How long the kernel may take to end a process after SIGKILL.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// What a companion prints before each address that it serves.
const ANNOUNCEMENT: &str = "listening on ";

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
    output: Arc<Output>,
    pumps: Vec<JoinHandle<()>>,
}

/// What a process said in this life.
#[derive(Debug)]
pub(crate) struct Output {
    log: Arc<Log>,
    announced: watch::Sender<Addresses>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending(ExitStatus);

/// How a process came to stop when it was told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// By itself, within its grace.
    Graceful,
    /// Killed: it outlived its grace, or there was no time.
    Forced,
    /// Even SIGKILL did not end it in time (it hangs in the kernel).
    Stuck,
}

impl Process {
    /// Starts `launch`; whatever it writes goes to `log`.
    pub(crate) async fn start(launch: &Launch, spawner: &Spawner, log: Arc<Log>) -> io::Result<Self> {
        log.clear_tail();
        let mut child = spawner.spawn(launch).await?;
        let pid = child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        let output = Arc::new(Output { log, announced: watch::Sender::default() });
        let mut pumps = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            pumps.push(tokio::spawn(pump(stdout, Arc::clone(&output), true)));
        }
        if let Some(stderr) = child.stderr.take() {
            pumps.push(tokio::spawn(pump(stderr, Arc::clone(&output), false)));
        }
        Ok(Self { child, pid, output, pumps })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn output(&self) -> Arc<Output> {
        Arc::clone(&self.output)
    }

    /// Waits until the process has ended and its last words are in the log. Cancel safe.
    pub(crate) async fn ended(&mut self) -> io::Result<Ending> {
        let status = self.child.wait().await?;
        self.sweep().await;
        Ok(Ending(status))
    }

    /// Asks the process to stop, and kills it after `grace`, or as soon as `hurry` completes.
    pub(crate) async fn stop(&mut self, grace: Duration, hurry: impl Future<Output = ()>) -> Stop {
        self.signal(Signal::TERM);
        let graceful = tokio::select! {
            ended = self.child.wait() => ended.is_ok(),
            () = tokio::time::sleep(grace) => false,
            () = hurry => false,
        };
        if graceful {
            self.sweep().await;
            return Stop::Graceful;
        }
        self.kill().await
    }

    /// Ends the process and its children now.
    pub(crate) async fn kill(&mut self) -> Stop {
        self.signal_group(Signal::KILL);
        let ended = tokio::time::timeout(KILL_LIMIT, self.child.wait()).await;
        self.sweep().await;
        if ended.is_ok() { Stop::Forced } else { Stop::Stuck }
    }

    /// After the death of the leader: ends what it left in its group (which may hold the pipes open), then
    /// collects the last words.
    async fn sweep(&mut self) {
        self.signal_group(Signal::KILL);
        for pump in &mut self.pumps {
            if tokio::time::timeout(LAST_WORDS_LIMIT, &mut *pump).await.is_err() {
                pump.abort();
            }
        }
        self.pumps.clear();
    }

    /// An error means that there is nobody left to signal.
    fn signal(&self, signal: Signal) {
        if self.child.id().is_some()
            && let Some(pid) = as_pid(self.pid)
        {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = as_pid(self.pid) {
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }
}

impl Output {
    /// Waits until the process has printed `listening on URL` for each of `schemes`. It may wait for ever.
    pub(crate) async fn announced(&self, schemes: &[&str]) -> Addresses {
        let mut announced = self.announced.subscribe();
        let all = |known: &Addresses| schemes.iter().all(|scheme| known.contains_key(*scheme));
        match announced.wait_for(all).await {
            Ok(addresses) => addresses.clone(),
            // The sender is a field of this very value.
            Err(_) => Addresses::new(),
        }
    }

    fn line(&self, line: &[u8], may_announce: bool) {
        self.log.write(line);
        if may_announce && let Some((scheme, url)) = announcement(&String::from_utf8_lossy(line)) {
            self.announced.send_modify(|known| {
                known.entry(scheme).or_insert(url);
            });
        }
    }
}

impl Ending {
    /// Exit code 0.
    pub(crate) fn is_orderly(self) -> bool {
        self.0.success()
    }

    /// Exit codes 64 (usage) and 78 (configuration): another start would end the same way.
    pub(crate) fn is_configuration(self) -> bool {
        matches!(self.0.code(), Some(64 | 78))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(formatter, "exit code {code}"),
            (None, Some(signal)) => write!(formatter, "signal {signal}{}", signal_name(signal)),
            (None, None) => formatter.write_str("an unknown end"),
        }
    }
}

/// The name of the signals that one meets; their numbers are the same on Linux and macOS.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        2 => " (SIGINT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

pub(crate) fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Reads `listening on http://127.0.0.1:8080/` as scheme and URL. The first of a scheme counts.
fn announcement(line: &str) -> Option<(String, String)> {
    let (_, rest) = line.split_once(ANNOUNCEMENT)?;
    let url = rest.split_whitespace().next()?.trim_end_matches('/');
    let (scheme, _) = url.split_once("://")?;
    Some((scheme.to_owned(), url.to_owned()))
}

async fn pump(source: impl AsyncRead + Unpin, output: Arc<Output>, may_announce: bool) {
    let mut reader = BufReader::new(source);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => output.line(&line, may_announce),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_found_within_its_line() {
        let pair = |scheme: &str, url: &str| Some((scheme.to_owned(), url.to_owned()));
        assert_eq!(announcement("listening on http://127.0.0.1:81/"), pair("http", "http://127.0.0.1:81"));
        assert_eq!(announcement("mail: listening on smtp://[::1]:25 now"), pair("smtp", "smtp://[::1]:25"));
        assert_eq!(announcement("listening on port 80"), None);
        assert_eq!(announcement("not listening"), None);
    }

    #[test]
    fn an_ending_says_code_or_signal() {
        assert_eq!(Ending(ExitStatus::from_raw(78 << 8)).to_string(), "exit code 78");
        assert_eq!(Ending(ExitStatus::from_raw(9)).to_string(), "signal 9 (SIGKILL)");
        assert!(Ending(ExitStatus::from_raw(64 << 8)).is_configuration());
        assert!(!Ending(ExitStatus::from_raw(1 << 8)).is_configuration());
    }
}
