//! The processes of a `jetlag up` on this machine, as its `up.json` has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::app;
use crate::supervisor::{Entry, Kind, Phase, Status};

/// What runs here.
#[derive(Debug, Clone, Default)]
pub struct Local {
    entries: Vec<Entry>,
}

/// One process of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// How it is.
    pub phase: Phase,
    /// Where it answers HTTP.
    pub url: Option<String>,
    /// What it writes.
    pub log: PathBuf,
    /// How often it was started again.
    pub restarts: u32,
    /// How its last life ended.
    pub last_end: Option<String>,
}

impl Process {
    /// Whether it does its work.
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }
}

impl Local {
    /// What the run in `data` says of itself; nothing if none runs there.
    pub fn read(data: &Path) -> Option<Self> {
        let status = app::status(data).filter(Status::is_current)?;
        let entries = status.processes.into_iter().filter(|entry| entry.kind == Kind::Function);
        Some(Self { entries: entries.collect() })
    }

    /// The processes of each of `functions`: one of its name, and those that have a number after it. Nothing if no process
    /// has the name of any of them: they run under the names of their packages, which need not be those of the functions.
    pub(super) fn processes(&self, functions: &[String]) -> Option<BTreeMap<String, Vec<Process>>> {
        let mut found: BTreeMap<String, Vec<Process>> =
            functions.iter().map(|name| (name.clone(), Vec::new())).collect();
        for entry in &self.entries {
            let name = match entry.name.rsplit_once('-') {
                Some((name, number))
                    if !found.contains_key(&entry.name)
                        && !number.is_empty()
                        && number.chars().all(|c| c.is_ascii_digit()) =>
                {
                    name
                }
                _ => entry.name.as_str(),
            };
            if let Some(processes) = found.get_mut(name) {
                let Entry { name, phase, url, log, restarts, last_end, .. } = entry.clone();
                processes.push(Process { name, phase, url, log, restarts, last_end });
            }
        }
        found.values().any(|processes| !processes.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_counted_under_the_name_of_their_function() {
        let entry = |name: &str| Entry {
            name: name.to_owned(),
            kind: Kind::Function,
            phase: Phase::Up,
            pid: None,
            started: None,
            url: None,
            addresses: BTreeMap::new(),
            log: PathBuf::new(),
            restarts: 0,
            last_end: None,
        };
        let local =
            Local { entries: ["till", "till-2", "till-10", "till-new", "lane-7"].map(entry).to_vec() };
        let functions = ["till", "lane-7", "idle"].map(str::to_owned);
        let found = local.processes(&functions).unwrap();
        let counts: Vec<_> = found.iter().map(|(name, all)| (name.as_str(), all.len())).collect();
        assert_eq!(counts, [("idle", 0), ("lane-7", 1), ("till", 3)]);
        assert_eq!(local.processes(&["clerk".to_owned()]), None);
    }
}
