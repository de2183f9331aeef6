//! A process beside the functions: up when it has said where it listens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::manifest::CompanionEntry;
use super::template::{Scope, Template};
use crate::problem::{Exit, Problem};
use crate::supervisor::process::Output;
use crate::supervisor::{Addresses, Kind, Launch, Service};

/// How long a companion may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long it may take to stop.
const GRACE: Duration = Duration::from_secs(10);

/// One companion.
#[derive(Debug)]
pub(crate) struct Companion {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) entry: CompanionEntry,
    /// Its environment, where the entry says nothing else.
    pub(crate) env: Vec<(String, String)>,
    /// The data directory.
    pub(crate) data: PathBuf,
    /// Where it runs.
    pub(crate) directory: PathBuf,
}

impl Companion {
    fn fill(&self, template: &Template, earlier: &Addresses) -> Result<String, Problem> {
        let companions = BTreeMap::new();
        template
            .fill(Scope { data: &self.data, companions: &companions, earlier })
            .map_err(|why| Problem::new(Exit::Config, format!("companion `{}`: {why}", self.name)))
    }
}

impl Service for Companion {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Companion
    }

    fn launch(&self, known: &Addresses) -> Result<Launch, Problem> {
        let args = self.entry.args.iter().map(|arg| self.fill(arg, known)).collect::<Result<_, _>>()?;
        let mut env = self.env.clone();
        for (name, value) in &self.entry.env {
            env.push((name.clone(), self.fill(value, known)?));
        }
        Ok(Launch {
            program: self.program.clone(),
            args,
            env,
            directory: Some(self.directory.clone()),
            ..Launch::default()
        })
    }

    async fn up(&self, _: u32, output: &Output, known: &Addresses) -> Result<Addresses, Problem> {
        let schemes: Vec<_> = self.entry.schemes.iter().copied().collect();
        let addresses = output.announced(&schemes).await;
        let moved = known.iter().find(|(scheme, url)| addresses.get(*scheme) != Some(*url));
        match moved {
            None => Ok(addresses),
            // The functions have the old address in their environment.
            Some((scheme, url)) => Err(Problem::new(
                Exit::Config,
                format!("companion `{}` was at {url} and came back elsewhere", self.name),
            )
            .remedy(format!(
                "let it listen where it is told: pass \"{{listen.{scheme}}}\" to it in jetlag.yaml"
            ))),
        }
    }

    fn start_limit(&self) -> Duration {
        START_LIMIT
    }

    fn grace(&self) -> Duration {
        GRACE
    }
}
