//! The options of `up --scale`, and how every change is told.

use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Format;
use crate::problem::{Exit, Problem};
use crate::scaler::{Change, Options, Summary, Text, Told};
use crate::supervisor::Status;

/// Faster than this, looks would follow each other without a pause.
const SPEED_MAX: u32 = 100;

/// Functions that come and go with their lag.
#[derive(Debug, Args)]
pub(super) struct Scale {
    /// Start functions when they have lag, as many processes as their ScaledObjects say, and stop them when they have none
    #[arg(long)]
    scale: bool,

    /// Scale by the ScaledObjects in this file or directory (`-` for standard input); may be repeated. A function that has
    /// none is scaled as its contract says [default: keda/base beside jetlag.yaml]
    #[arg(long, value_name = "FILE|DIR", requires = "scale")]
    scale_by: Vec<PathBuf>,

    /// Let the time of KEDA and the HPA go so many times as fast: polling, cooldown, windows and periods
    #[arg(long, value_name = "N", requires = "scale", default_value = "1", value_parser = speed)]
    speed: NonZeroU32,

    /// How often the HPA looks (Kubernetes' --horizontal-pod-autoscaler-sync-period)
    #[arg(long, value_name = "TIME", requires = "scale", default_value = "15s", value_parser = super::duration)]
    hpa_sync: Duration,
}

fn speed(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse().ok().filter(|speed: &NonZeroU32| speed.get() <= SPEED_MAX);
    number.ok_or_else(|| format!("`{text}` is no whole number from 1 to {SPEED_MAX}"))
}

impl Scale {
    /// How functions are scaled, and that `timeline` is told; nothing if they are not.
    pub(super) fn options(&self, timeline: &Arc<Timeline>) -> Option<Options> {
        let timeline = Arc::clone(timeline);
        self.scale.then(|| Options {
            by: self.scale_by.clone(),
            speed: self.speed,
            sync: self.hpa_sync,
            told: Told::new(move |change| timeline.note(change)),
        })
    }
}

/// Changes on standard output, as they come.
#[derive(Debug)]
pub(super) struct Timeline {
    format: Format,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    /// What came before it was opened.
    early: Option<Vec<Change>>,
    text: Text,
    summary: Summary,
}

/// A line for a program.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Up(&'a Status),
    Change(&'a Change),
    Summary(&'a Summary),
}

impl Timeline {
    pub(super) fn of(format: Format) -> Self {
        let early = Some(Vec::new());
        let state =
            State { started: Instant::now(), early, text: Text::default(), summary: Summary::default() };
        Self { format, state: Mutex::new(state) }
    }

    /// Prints what runs (`text` of it, if a person wants that), and from now on every change.
    pub(super) fn open(&self, status: &Status, text: Option<String>) -> Result<(), Problem> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.started = Instant::now();
        written(match self.format {
            Format::Json => write(&Line::Up(status)),
            Format::Text => write_text(&text.unwrap_or_default()),
        })?;
        state.early.take().into_iter().flatten().for_each(|change| self.tell(&mut state, &change));
        Ok(())
    }

    /// Prints the summary.
    pub(super) fn close(&self) -> Result<(), Problem> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let summary = state.summary.clone().at(ms);
        written(match self.format {
            Format::Json => write(&Line::Summary(&summary)),
            Format::Text => write_text(&summary.to_string()),
        })
    }

    fn note(&self, change: Change) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The first comes when scaling begins, or soon after.
        match &mut state.early {
            Some(early) => early.push(change),
            None => self.tell(&mut state, &change),
        }
    }

    /// A change that cannot be written is lost: functions are scaled all the same.
    fn tell(&self, state: &mut State, change: &Change) {
        state.summary.note(change);
        let _ = match self.format {
            Format::Json => write(&Line::Change(change)),
            Format::Text => state.text.line(change).map_or(Ok(()), |line| write_text(&(line + "\n"))),
        };
    }
}

fn write(line: &Line<'_>) -> io::Result<()> {
    write_text(&(serde_json::to_string(line)? + "\n"))
}

fn write_text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whoever reads it may have closed the pipe.
fn written(result: io::Result<()>) -> Result<(), Problem> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Problem::new(Exit::CannotCreate, "cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}
