//! `jetlag top` on a terminal of its own: it draws, ends in whichever way, and leaves the terminal as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use jetlag_cli::streams::Source;
use jetlag_cli::top::{Meters, Top, watch};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tests::until;
use tokio::signal::unix::{SignalKind, signal};

/// The alternate screen and the cursor, taken and given back, as a terminal is told it.
const SCREEN: [&str; 2] = ["\u{1b}[?1049h", "\u{1b}[?1049l"];
const CURSOR: [&str; 2] = ["\u{1b}[?25l", "\u{1b}[?25h"];
/// Names the broker to the one that panics.
const BROKER: &str = "JETLAG_TEST_BROKER";

/// A terminal, and what runs on it.
struct Terminal {
    /// The side of whoever sits there.
    person: File,
    /// The other side, kept open so that its settings can be read when everybody else has left.
    kept: Option<File>,
    before: Termios,
    drawn: Receiver<Vec<u8>>,
    screen: Vec<u8>,
    child: Child,
}

impl Terminal {
    fn run(mut command: Command) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        let side = || File::options().read(true).write(true).open(&name).unwrap();
        let kept = side();
        tcsetwinsize(&kept, Winsize { ws_row: 24, ws_col: 140, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let before = tcgetattr(&kept).unwrap();
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let person = File::from(person);
        let (sender, drawn) = std::sync::mpsc::channel();
        let mut reader = person.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut some) {
                if sender.send(some[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { person, kept: Some(kept), before, drawn, screen: Vec::new(), child }
    }

    fn text(&mut self) -> String {
        self.screen.extend(self.drawn.try_iter().flatten());
        String::from_utf8_lossy(&self.screen).into_owned()
    }

    async fn shows(&mut self, what: &str) {
        until(&format!("{what} on the terminal"), async || self.text().contains(what).then_some(())).await;
    }

    /// What `stty -a` says of it now.
    fn settings(&self) -> String {
        settings(&tcgetattr(self.kept.as_ref().unwrap()).unwrap())
    }

    /// It is drawn on: what is typed comes key by key, and is not shown.
    async fn is_taken(&mut self) {
        self.shows("clerk").await;
        assert!(self.text().contains(SCREEN[0]) && self.text().contains(CURSOR[0]), "{}", self.text());
        assert_ne!(self.settings(), settings(&self.before));
    }

    /// Waits for the end: the terminal is as it was. What was written last is the rest of the text.
    async fn given_back(mut self, how: &str) -> (ExitStatus, String) {
        let ended = until(&format!("end by {how}"), async || self.child.try_wait().unwrap()).await;
        assert_eq!(self.settings(), settings(&self.before), "{how}");
        for [taken, given_back] in [SCREEN, CURSOR] {
            until(&format!("{given_back:?} after {how}"), async || {
                let text = self.text();
                (text.rfind(given_back) > text.rfind(taken)).then_some(())
            })
            .await;
        }
        // Nothing comes after this: the last side of the terminal is closed.
        self.kept = None;
        self.screen.extend(self.drawn.iter().flatten());
        let text = String::from_utf8_lossy(&self.screen).into_owned();
        (ended, text.rsplit(SCREEN[1]).next().unwrap_or_default().to_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(termios: &Termios) -> String {
    format!("{termios:?}")
}

/// However `jetlag top --data DATA` ends, and whatever of the command panics while `broker` is watched.
pub(crate) async fn is_given_back_however_it_ends(data: &str, broker: &str) {
    for how in ["q", "Ctrl-C", "SIGTERM", "SIGINT"] {
        let mut terminal = Terminal::run(super::jetlag(&["top", "--data", data, "--interval", "1s"]));
        terminal.is_taken().await;
        let pid = Pid::from_child(&terminal.child);
        match how {
            "q" => terminal.person.write_all(b"q").unwrap(),
            "Ctrl-C" => terminal.person.write_all(b"\x03").unwrap(),
            "SIGTERM" => kill_process(pid, Signal::TERM).unwrap(),
            _ => kill_process(pid, Signal::INT).unwrap(),
        }
        let (ended, said) = terminal.given_back(how).await;
        assert_eq!((ended.code(), said.trim()), (Some(0), CURSOR[1]), "{how}");
    }

    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", "operations::terminal::top_panics", "--ignored", "--nocapture"])
        .env(BROKER, broker);
    let mut terminal = Terminal::run(this);
    terminal.is_taken().await;
    kill_process(Pid::from_child(&terminal.child), Signal::USR1).unwrap();
    let (ended, said) = terminal.given_back("a panic").await;
    assert!(
        !ended.success() && said.contains("the sky fell"),
        "{ended:?}: it is told where it can be read: {said:?}"
    );
}

#[tokio::test]
#[ignore = "run by the test above, on a terminal"]
async fn top_panics() {
    let source = Source { url: Some(std::env::var(BROKER).unwrap()), ..Source::default() };
    let (look, url) = source.look().await.unwrap();
    let top = Top::new(url, Duration::from_secs(1));
    let mut signals = signal(SignalKind::user_defined1()).unwrap();
    let end = async || {
        signals.recv().await;
        panic!("the sky fell");
    };
    watch(top, look, Meters::new().unwrap(), false, end).await.unwrap();
}
