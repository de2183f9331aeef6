//! One function that is scaled: looks, asks what to do, and does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keda::decision::{Reading, Replicas, Scaler, Verdict};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::change::{By, Change, What};
use super::{Clock, Endpoint, Plan, Told};
use crate::console::Console;
use crate::problem::Exit;
use crate::supervisor::{Count, Group, Service};

/// A function that is scaled.
pub(crate) struct Scaled<S> {
    function: String,
    plan: Plan,
    scaler: Scaler,
    group: Group<S>,
    /// Hears of every change of a process.
    processes: watch::Receiver<()>,
    surroundings: Surroundings,
    lag: BTreeMap<String, Option<u64>>,
    count: Count,
    /// Why processes could not be started, as it was told.
    trouble: Option<String>,
}

/// What all functions that are scaled share.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) clock: Clock,
    /// How often the HPA looks.
    pub(crate) sync: Duration,
    pub(crate) told: Told,
    pub(crate) console: Console,
}

impl<S: Service + Sync> Scaled<S> {
    /// `function` with the processes of `group`, none of which run yet, as of a ScaledObject that is applied now.
    pub(crate) fn new(
        function: String,
        plan: Plan,
        group: Group<S>,
        processes: watch::Receiver<()>,
        surroundings: Surroundings,
    ) -> Self {
        let scaler = Scaler::new(plan.settings.clone(), surroundings.clock.now());
        let lag = plan.settings.triggers.iter().map(|trigger| (trigger.name.clone(), Some(0))).collect();
        let count = Count::default();
        Self { function, plan, scaler, group, processes, surroundings, lag, count, trouble: None }
    }

    /// KEDA looks at once and then every `pollingInterval`, the HPA for the first time after its own. It ends when the board
    /// does; it may be dropped anywhere, and the processes go on.
    pub(crate) async fn run(mut self) {
        let Surroundings { clock, sync, .. } = self.surroundings;
        let (poll, sync) = (clock.pause(self.plan.settings.polling), clock.pause(sync));
        let now = Instant::now();
        let mut polls = interval_at(now, poll);
        let mut syncs = interval_at(now + sync, sync);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        syncs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = polls.tick() => {
                    let readings = self.look().await;
                    let verdict = self.scaler.poll(clock.now(), self.replicas(), &readings);
                    self.act(&verdict, By::Keda, &readings);
                }
                _ = syncs.tick() => {
                    // At zero the HPA reads nothing.
                    let readings = if self.group.size() > 0 { self.look().await } else { Vec::new() };
                    let verdict = self.scaler.sync(clock.now(), self.replicas(), &readings);
                    self.act(&verdict, By::Hpa, &readings);
                }
                changed = self.processes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.recount();
                }
            }
        }
    }

    async fn look(&self) -> Vec<Reading> {
        self.surroundings.endpoint.read(&self.plan.watched).await
    }

    /// Kubernetes counts a pod from when it is made until it is told to stop, and here that takes no time.
    fn replicas(&self) -> Replicas {
        Replicas::settled(self.group.size())
    }

    fn act(&mut self, verdict: &Verdict, by: By, readings: &[Reading]) {
        let triggers = self.plan.settings.triggers.iter().zip(readings);
        let mut is_new = false;
        for (trigger, reading) in triggers {
            let lag = match reading {
                Reading::Lag(lag) => Some(*lag),
                Reading::Failed => None,
            };
            is_new |= self.lag.insert(trigger.name.clone(), lag) != Some(lag);
        }
        let before = self.group.size();
        if verdict.replicas == before {
            if is_new {
                self.tell(What::Lag);
            }
            return;
        }
        match self.group.resize(verdict.replicas) {
            // Each keeper tells by itself whether its process comes up.
            Ok(starts) => drop(starts),
            // Everything is being stopped.
            Err(problem) if problem.exit() == Exit::Interrupted => return,
            Err(problem) => {
                let told = problem.render();
                if self.trouble.as_ref() != Some(&told) {
                    self.surroundings.console.error(&told);
                    self.trouble = Some(told);
                }
            }
        }
        self.count = self.group.count();
        self.tell(What::Replicas { before, by, why: verdict.reason.to_string() });
    }

    fn recount(&mut self) {
        let count = self.group.count();
        if count != self.count {
            self.count = count;
            self.tell(What::Processes);
        }
    }

    fn tell(&self, what: What) {
        let Count { ready, stopping } = self.count;
        self.surroundings.told.tell(Change {
            at_ms: u64::try_from(self.surroundings.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            function: self.function.clone(),
            what,
            replicas: self.group.size(),
            ready,
            stopping,
            lag: self.lag.clone(),
        });
    }
}
