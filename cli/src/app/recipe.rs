//! What the processes of one function have in common.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reqwest::Client;

use super::function::{Function, Port};
use crate::supervisor::door_name;

/// Says where a process takes its inputs from.
const TRIGGER_VARIABLE: &str = "JETLAG_TRIGGER";
/// From requests alone: the streams are for others.
const REQUESTS: &str = "http";

/// How a process of a function is made.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) program: PathBuf,
    pub(crate) env: Vec<(String, String)>,
    /// What single processes get in addition, by their name.
    pub(crate) env_of: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) directory: PathBuf,
    pub(crate) client: Client,
    /// By the name of the process; others are on any port.
    pub(crate) ports: BTreeMap<String, u16>,
}

impl Recipe {
    /// The process `name`.
    pub(crate) fn make(&self, name: String) -> Function {
        let mut env = self.env.clone();
        env.extend(self.env_of.get(&name).cloned().unwrap_or_default());
        Function {
            program: self.program.clone(),
            port: self.ports.get(&name).map_or_else(Port::any, |port| Port::Fixed(*port)),
            name,
            env,
            directory: self.directory.clone(),
            client: self.client.clone(),
        }
    }

    /// The same for requests alone, on the port of `function`.
    pub(crate) fn for_requests(mut self, function: &str) -> Self {
        self.env.push((TRIGGER_VARIABLE.to_owned(), REQUESTS.to_owned()));
        self.ports =
            self.ports.remove(function).map(|port| (door_name(function), port)).into_iter().collect();
        self
    }

    /// The same with nothing for others to find.
    pub(crate) fn on_any_port(mut self) -> Self {
        self.ports.clear();
        self
    }
}
