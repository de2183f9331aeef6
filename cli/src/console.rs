//! Standard error, for a person: notes, warnings, and a spinner where something takes long.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// What ends sooner than this shows no spinner.
const SPINNER_AFTER: Duration = Duration::from_secs(1);
/// How often a spinner moves.
const SPINNER_TICK: Duration = Duration::from_millis(120);

/// Where the command speaks to a person. Results go to standard output, not here.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    silent: bool,
    terminal: bool,
    colour: bool,
}

/// The few colours in use, and what they mean.
#[derive(Debug, Clone, Copy)]
enum Tone {
    Good,
    Warning,
    Bad,
    Quiet,
}

impl Console {
    /// Standard error; colour and movement only on a terminal, and no colour under `NO_COLOR`.
    pub fn stderr() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { silent: false, terminal, colour }
    }

    /// Says nothing: for programs and tests that read the returned values instead.
    pub fn silent() -> Self {
        Self { silent: true, terminal: false, colour: false }
    }

    /// Whether nothing is said at all.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Whether a person watches, so that progress bars are worth drawing.
    pub fn is_terminal(&self) -> bool {
        self.terminal && !self.silent
    }

    /// Something that the reader may want to know.
    pub fn note(&self, text: &str) {
        self.line(text);
    }

    /// Something that went well, under the name of its process.
    pub fn good(&self, name: &str, text: &str) {
        self.line(&format!("{} {text}", self.paint(Tone::Good, &format!("{name:<14}"))));
    }

    /// Something of lesser weight, under the name of its process.
    pub fn aside(&self, name: &str, text: &str) {
        self.line(&format!("{} {text}", self.paint(Tone::Quiet, &format!("{name:<14}"))));
    }

    /// Something that is wrong and that the command copes with.
    pub fn warn(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint(Tone::Warning, "warning:")));
    }

    /// Something that the command cannot cope with.
    pub fn error(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint(Tone::Bad, "error:")));
    }

    /// Waits for `work`, with a spinner if it takes longer than a second and a person watches.
    pub async fn watch<T>(&self, label: &str, work: impl Future<Output = T>) -> T {
        if !self.is_terminal() {
            return work.await;
        }
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(SPINNER_AFTER) => {}
        }
        let spinner = ProgressBar::new_spinner().with_message(label.to_owned());
        spinner.enable_steady_tick(SPINNER_TICK);
        let done = work.await;
        spinner.finish_and_clear();
        done
    }

    /// A bar over `total` steps; it draws nothing where nobody watches.
    pub fn bar(&self, total: u64, label: &str) -> ProgressBar {
        if !self.is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total).with_message(label.to_owned());
        match ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {per_sec} eta {eta}") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "1;31",
            Tone::Quiet => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// One write for each line, so that lines of concurrent tasks do not mix. A closed standard error is no
    /// reason to fail.
    fn line(&self, text: &str) {
        if !self.silent {
            let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
        }
    }
}
