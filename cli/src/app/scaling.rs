//! Functions whose processes come and go with their lag.

use std::collections::BTreeMap;
use std::sync::Arc;

use jetlag::Description;
use jetlag::topology::Topology;
use tokio::task::JoinSet;

use super::Running;
use super::function::Function;
use super::plan;
use crate::console::Console;
use crate::problem::{Exit, Problem};
use crate::scaler::{self, Clock, Endpoint, Objects, Surroundings};
use crate::supervisor::Group;

/// How a function is scaled.
#[derive(Debug)]
pub(crate) struct Scaled {
    pub(crate) plan: scaler::Plan,
    /// It has a process for requests, which is always there.
    pub(crate) takes_requests: bool,
}

/// The functions of an application, before any runs.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    /// With how many processes of each there are to be.
    pub(crate) fixed: Vec<(Group<Function>, u32)>,
    /// With the name of each, and how it is scaled.
    pub(crate) scaled: Vec<(scaler::Plan, String, Group<Function>)>,
}

/// How every function of `plan` is scaled, by its name there. One that reads no stream is not.
///
/// # Errors
/// What is written of it cannot be followed (65).
pub(crate) fn plans(
    objects: &Objects,
    plan: &plan::Plan,
    described: &[Description],
    topology: &Topology,
    console: Console,
) -> Result<BTreeMap<String, Scaled>, Problem> {
    for stranger in objects.strangers(described)? {
        console.note(&format!("no function here is scaled by {stranger}"));
    }
    let mut scaled = BTreeMap::new();
    for (planned, description) in plan.functions.iter().zip(described) {
        let Some(plan) = objects.plan(description, topology)? else { continue };
        console.aside(&planned.name, &plan.to_string());
        let takes_requests = !description.endpoints.is_empty();
        scaled.insert(planned.name.clone(), Scaled { plan, takes_requests });
    }
    Ok(scaled)
}

/// The tasks that scale, one for each function. Dropping it ends them, and leaves the processes as they are.
#[derive(Debug)]
pub(crate) struct Scaling(JoinSet<()>);

impl Scaling {
    /// Scales from now on.
    pub(crate) fn start(
        options: &scaler::Options,
        functions: Vec<(scaler::Plan, String, Group<Function>)>,
        running: &Running,
        console: Console,
    ) -> Result<Self, Problem> {
        let url = running.monitor_url();
        let url = url.ok_or_else(|| Problem::new(Exit::Internal, "the broker has no monitoring endpoint"))?;
        let surroundings = Surroundings {
            endpoint: Arc::new(Endpoint::new(&url, console)?),
            clock: Clock::start(options.speed),
            sync: options.sync,
            told: options.told.clone(),
            console,
        };
        let mut tasks = JoinSet::new();
        for (plan, name, group) in functions {
            let processes = running.board().changes();
            tasks.spawn(scaler::Scaled::new(name, plan, group, processes, surroundings.clone()).run());
        }
        Ok(Self(tasks))
    }

    /// Ends them, and waits until no process is started any more.
    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}
