//! What runs, where, and how it is: the file `up.json` in the data directory, for other commands and for tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::identity;
use super::service::Addresses;
use crate::console::Console;

/// The name of the file in the data directory.
pub(crate) const FILE: &str = "up.json";

/// Everything that one `jetlag up` runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The process that supervises.
    pub pid: u32,
    /// Tells it from another process that later has the same pid.
    pub started: Option<String>,
    /// The data directory, absolute.
    pub data: PathBuf,
    /// The URL for clients of the broker, such as `nats://127.0.0.1:4222`.
    pub broker_url: Option<String>,
    /// The URL of the broker's monitoring, such as `http://127.0.0.1:8222`.
    pub monitor_url: Option<String>,
    /// Every process, in the order of its start.
    pub processes: Vec<Entry>,
}

impl Status {
    /// Where `function` takes requests, such as `http://127.0.0.1:8080`: at its process for requests, if it has one of its own.
    pub fn door(&self, function: &str) -> Option<&str> {
        let url = |name: &str| {
            let mut functions = self.processes.iter().filter(|entry| entry.kind == Kind::Function);
            functions.find(|entry| entry.name == name)?.url.as_deref()
        };
        url(&door_name(function)).or_else(|| url(function))
    }

    /// Whether the supervisor still lives: one that was killed could not remove its file.
    pub fn is_current(&self) -> bool {
        self.started.is_none() || identity::of(self.pid) == self.started
    }
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name, which is unique.
    pub name: String,
    /// What it is to the application.
    pub kind: Kind,
    /// How it is.
    pub phase: Phase,
    /// Its pid, while it has one.
    pub pid: Option<u32>,
    /// Tells it from another process that later has the same pid.
    pub started: Option<String>,
    /// Where it answers HTTP, once it has been up.
    pub url: Option<String>,
    /// Every address by its scheme (`http`, `smtp`, `nats`, `monitor`).
    pub addresses: Addresses,
    /// What it writes.
    pub log: PathBuf,
    /// How often it was started again.
    pub restarts: u32,
    /// How its last life ended, such as `exit code 0`, if it ended by itself or by a signal from outside.
    #[serde(default)]
    pub last_end: Option<String>,
}

/// What a process is to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The nats-server.
    Broker,
    /// A process beside the functions, such as a payment gateway.
    Companion,
    /// A function.
    Function,
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It was started and is not up yet.
    Starting,
    /// It does its work.
    Up,
    /// It was told to stop, and finishes what it has begun.
    Stopping,
    /// It died, and is to be started again.
    Waiting,
    /// It was given up: its configuration is wrong.
    Failed,
    /// It was told to stop, and did.
    Stopped,
}

/// The name of the process of `function` that takes requests, where the others come and go.
pub(crate) fn door_name(function: &str) -> String {
    format!("{function}-http")
}

/// The shared status, written to its file at every change.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    status: Arc<Mutex<Status>>,
    /// Told of every change.
    changes: watch::Sender<()>,
    path: PathBuf,
    console: Console,
}

impl Board {
    /// A board for a supervisor that is this process.
    pub(crate) fn new(data: &Path, console: Console) -> Self {
        let pid = std::process::id();
        let status = Status {
            pid,
            started: identity::of(pid),
            data: data.to_owned(),
            broker_url: None,
            monitor_url: None,
            processes: Vec::new(),
        };
        Self {
            status: Arc::new(Mutex::new(status)),
            changes: watch::Sender::default(),
            path: data.join(FILE),
            console,
        }
    }

    /// The status now.
    pub(crate) fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One process of it.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        self.status().processes.into_iter().find(|entry| entry.name == name)
    }

    /// Hears of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Adds a process before its first start, in place of an earlier one of its name.
    pub(crate) fn add(&self, name: &str, kind: Kind, log: &Path) {
        self.change(|status| {
            status.processes.retain(|entry| entry.name != name);
            status.processes.push(Entry {
                name: name.to_owned(),
                kind,
                phase: Phase::Starting,
                pid: None,
                started: None,
                url: None,
                addresses: Addresses::new(),
                log: log.to_owned(),
                restarts: 0,
                last_end: None,
            });
        });
    }

    /// A process was started.
    pub(crate) fn starting(&self, name: &str, pid: u32) {
        let started = identity::of(pid);
        self.change_entry(name, |entry| {
            entry.phase = Phase::Starting;
            entry.pid = Some(pid);
            entry.started = started;
        });
    }

    /// A process does its work.
    pub(crate) fn up(&self, name: &str, addresses: &Addresses) {
        self.change(|status| {
            let Some(entry) = status.processes.iter_mut().find(|entry| entry.name == name) else { return };
            entry.phase = Phase::Up;
            entry.url = addresses.get("http").cloned();
            entry.addresses = addresses.clone();
            if entry.kind == Kind::Broker {
                status.broker_url = addresses.get("nats").cloned();
                status.monitor_url = addresses.get("monitor").cloned();
            }
        });
    }

    /// A process was told to stop.
    pub(crate) fn stopping(&self, name: &str) {
        self.change_entry(name, |entry| entry.phase = Phase::Stopping);
    }

    /// A process is no longer wanted, and has ended.
    pub(crate) fn forget(&self, name: &str) {
        self.change(|status| status.processes.retain(|entry| entry.name != name));
    }

    /// A process came to its end by itself, or by a signal from outside.
    pub(crate) fn died(&self, name: &str, how: String) {
        self.change_entry(name, |entry| entry.last_end = Some(how));
    }

    /// A process ended, and is now in `phase`.
    pub(crate) fn ended(&self, name: &str, phase: Phase) {
        self.change_entry(name, |entry| {
            entry.phase = phase;
            entry.pid = None;
            entry.started = None;
            entry.restarts += u32::from(phase == Phase::Waiting);
        });
    }

    /// Removes the file: nothing runs any more.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn change_entry(&self, name: &str, change: impl FnOnce(&mut Entry)) {
        self.change(|status| {
            if let Some(entry) = status.processes.iter_mut().find(|entry| entry.name == name) {
                change(entry);
            }
        });
    }

    /// The file is written under the lock, so that it never goes back in time.
    fn change(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut status);
        if let Err(error) = write(&self.path, &status) {
            self.console.warn(&format!("cannot write `{}`: {error}", self.path.display()));
        }
        self.changes.send_replace(());
    }
}

/// Reads the status that a run in `data` left or keeps; `None` if there is none that can be read.
pub(crate) fn read(data: &Path) -> Option<Status> {
    serde_json::from_slice(&std::fs::read(data.join(FILE)).ok()?).ok()
}

/// A reader sees the old file or the new one, never half of it.
fn write(path: &Path, status: &Status) -> io::Result<()> {
    let new = path.with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec_pretty(status)?)?;
    std::fs::rename(&new, path)
}
