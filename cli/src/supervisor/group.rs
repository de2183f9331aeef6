//! The processes of one function: as many as somebody else says.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::board::{Entry, Phase};
use super::service::Service;
use super::tier::{FirstStart, Tier};
use crate::problem::Problem;

/// Processes that do the same work. It starts and stops them; its tier keeps them, also when the group is gone.
pub(crate) struct Group<S> {
    name: String,
    tier: Arc<Tier>,
    /// Makes the service of a name.
    make: Box<dyn Fn(String) -> S + Send + Sync>,
    /// Those that are wanted, in the order of their start.
    members: Vec<String>,
    /// Every name that was in use, wanted or not.
    names: BTreeSet<String>,
}

/// How the processes of a group are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    /// Those that are wanted and do their work.
    pub(crate) ready: u32,
    /// Those that are not wanted any more, and finish what they have begun.
    pub(crate) stopping: u32,
}

impl<S: Service + Sync> Group<S> {
    /// No process yet. `make` is given the name of each.
    pub(crate) fn new(
        name: impl Into<String>,
        tier: Arc<Tier>,
        make: impl Fn(String) -> S + Send + Sync + 'static,
    ) -> Self {
        let (make, members, names) = (Box::new(make), Vec::new(), BTreeSet::new());
        Self { name: name.into(), tier, make, members, names }
    }

    /// How many are wanted.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// Starts processes, or stops those that were started last, until `size` are wanted. A process that stops keeps its
    /// name until it has ended: another gets another name.
    ///
    /// # Errors
    /// A process cannot be started; those before it are.
    pub(crate) fn resize(&mut self, size: u32) -> Result<Vec<FirstStart>, Problem> {
        let mut starts = Vec::new();
        while self.size() < size {
            let name = self.free_name();
            starts.push(self.tier.start((self.make)(name.clone()))?);
            self.names.insert(name.clone());
            self.members.push(name);
        }
        while self.size() > size {
            let Some(name) = self.members.pop() else { break };
            self.tier.retire(&name);
        }
        Ok(starts)
    }

    /// How they are now.
    pub(crate) fn count(&self) -> Count {
        let entries = self.tier.board().status().processes.into_iter();
        let mut count = Count::default();
        for entry in entries.filter(|entry| self.names.contains(&entry.name)) {
            let is_wanted = self.members.contains(&entry.name);
            count.ready += u32::from(is_wanted && entry.phase == Phase::Up);
            count.stopping += u32::from(!is_wanted && is_alive(&entry));
        }
        count
    }

    fn free_name(&self) -> String {
        let names = (1..=u16::MAX).map(|number| process_name(&self.name, number));
        let mut free = names.filter(|name| self.tier.board().entry(name).is_none());
        free.next().unwrap_or_else(|| self.name.clone())
    }
}

fn is_alive(entry: &Entry) -> bool {
    entry.pid.is_some()
}

impl<S> fmt::Debug for Group<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

/// The name of a process of `function`, counted from 1.
pub fn process_name(function: &str, number: u16) -> String {
    if number <= 1 { function.to_owned() } else { format!("{function}-{number}") }
}
