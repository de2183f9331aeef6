//! The course of a simulation: what is planned happens, processes come and go, and time passes.

use std::time::Duration;

use crate::core::broker::{Message, Stream};
use crate::testing::World;
use crate::testing::network::connection::Life;
use crate::testing::process::Process;
use crate::testing::world::{Plan, STORM, Slot};

/// How many turns a simulation may take: one that takes more turns in a circle.
const TURNS_MAX: u64 = 1_000_000;
/// How long a process is away at most after it was killed.
const RESTART_MAX: Duration = Duration::from_secs(15);
/// How long the broker is away, and how long the stream of events is full, at most.
const OUTAGE_MAX: Duration = Duration::from_secs(20);
/// How long a process stands still at most: longer than the broker waits for a sign of it.
const STOP_MAX: Duration = Duration::from_secs(75);
/// How long after one process the next is told to stop, where all are restarted in turn.
const ROLL_EVERY: Duration = Duration::from_millis(1500);
/// How many acknowledgements of each consumer a broker forgets at most when it crashes.
const ACKS_FORGOTTEN_MAX: u64 = 5;

impl World {
    pub(super) fn plan_accidents(&mut self) {
        let dice = self.dice.clone();
        let mut plans = Vec::new();
        let mut plan = |times: u64, make: &dyn Fn() -> Plan| {
            for _ in 0..times {
                plans.push((dice.up_to(STORM), make()));
            }
        };
        plan(dice.one_of(&[0, 0, 2, 6]), &|| Plan::Kill);
        plan(dice.one_of(&[0, 0, 2, 6]), &|| Plan::Drain);
        plan(dice.one_of(&[0, 0, 1, 2]), &|| {
            let acks_forgotten = usize::try_from(dice.below(ACKS_FORGOTTEN_MAX + 1)).unwrap_or_default();
            Plan::Outage { lasts: dice.up_to(OUTAGE_MAX), acks_forgotten }
        });
        plan(dice.one_of(&[0, 0, 0, 1, 3]), &|| Plan::Stop { lasts: dice.up_to(STOP_MAX) });
        plan(dice.one_of(&[0, 0, 0, 1, 2]), &|| Plan::Hurry);
        plan(dice.one_of(&[0, 0, 0, 1]), &|| Plan::Roll { slot: 0 });
        if dice.chance(200) {
            let from = dice.up_to(STORM);
            plans.push((from, Plan::Full));
            plans.push((from + dice.up_to(OUTAGE_MAX), Plan::NotFull));
        }
        for stream in [Stream::Retry, Stream::DeadLetters] {
            if dice.chance(150) {
                let from = dice.up_to(STORM);
                plans.push((from, Plan::Refuse(stream)));
                plans.push((from + dice.up_to(OUTAGE_MAX), Plan::Accept(stream)));
            }
        }
        for (at, plan) in plans {
            self.plan(at, plan);
        }
    }

    pub(super) async fn drive(
        &mut self,
        until: Duration,
        is_done: fn(&mut Self) -> bool,
    ) -> Result<bool, String> {
        loop {
            self.turns += 1;
            let next = self.network.turn();
            let now = self.network.now();
            let plan = self.supervise(now);
            if let Some(objection) = self.network.lock().witness.objection() {
                return Err(objection.to_owned());
            }
            if self.turns > TURNS_MAX {
                return Err("it turns in a circle".into());
            }
            if is_done(self) {
                return Ok(true);
            }
            if now >= until {
                return Ok(false);
            }
            let wait = next.into_iter().chain(plan).min().unwrap_or(until).min(until);
            tokio::select! {
                biased;
                () = self.network.news.notified() => {}
                () = tokio::time::sleep_until(self.network.moment(wait)) => {}
            }
        }
    }

    /// Makes what is planned happen, starts what is to start, and tells when it is to be called again.
    fn supervise(&mut self, now: Duration) -> Option<Duration> {
        while self.plans.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, plan)) = self.plans.pop_front() {
                self.carry_out(now, plan);
            }
        }
        for slot in &mut self.slots {
            if let Some(process) =
                slot.process.take_if(|process| process.life.is_dead() || process.has_exited())
            {
                let mut wire = self.network.lock();
                let is_killed = process.life.is_dead();
                wire.hang_up(process.life.number, !is_killed || self.dice.chance(500));
                slot.starts_at = now + self.dice.up_to(RESTART_MAX);
                if is_killed {
                    wire.witness.suspicion.died(now, process.life.number);
                } else {
                    wire.witness.suspicion.exited(process.life.number);
                }
                wire.journal.note(now, || format!("{} is gone", process.life));
            }
            if slot.process.is_none() && slot.starts_at <= now && !self.down.contains(&slot.function) {
                self.processes += 1;
                if let Some((function, inlets)) = self.functions.get(slot.function) {
                    let off = self.network.lock().weather.skew;
                    let skew = time::Duration::try_from(self.dice.up_to(off * 2)).unwrap_or_default()
                        - time::Duration::try_from(off).unwrap_or_default();
                    let life = Life::new(self.processes, function.terms.name, skew);
                    slot.process = Some(Process::start(&self.network, life, function, inlets));
                }
            }
        }
        let is_to_start = |slot: &&Slot| slot.process.is_none() && !self.down.contains(&slot.function);
        let starts: Vec<_> = self.slots.iter().filter(is_to_start).map(|slot| slot.starts_at).collect();
        let rescues = self.rescue_what_is_due(now);
        self.plans.front().map(|(at, _)| *at).into_iter().chain(starts).chain(rescues).min()
    }

    fn carry_out(&mut self, now: Duration, plan: Plan) {
        let mut wire = self.network.lock();
        wire.journal.note(now, || match &plan {
            Plan::Arrive { subject, .. } => format!("{subject} comes from outside"),
            other => format!("{other:?}"),
        });
        match plan {
            Plan::Arrive { subject, payload } => {
                // Into the stream of inputs from outside anything comes.
                let _ = wire.server.publish(
                    Stream::Intake,
                    &[Message::new(subject, payload)],
                    now,
                    self.network.epoch(),
                );
            }
            Plan::Outage { lasts, acks_forgotten } => wire.begin_outage(now, lasts, acks_forgotten),
            Plan::Full => wire.server.is_full = true,
            Plan::NotFull => wire.server.is_full = false,
            Plan::Hurry => wire.server.consumers().for_each(|consumer| consumer.hurry_all(now)),
            Plan::Refuse(stream) => wire.server.refusing.push(stream),
            Plan::Accept(stream) => wire.server.refusing.retain(|other| *other != stream),
            Plan::Roll { slot } => {
                drop(wire);
                if let Some(place) = self.slots.get(slot) {
                    place.process.iter().for_each(Process::drain);
                    self.plan(now + ROLL_EVERY, Plan::Roll { slot: slot + 1 });
                }
            }
            Plan::Kill | Plan::Drain | Plan::Stop { .. } => {
                drop(wire);
                let up: Vec<&Process> = self.slots.iter().filter_map(|slot| slot.process.as_ref()).collect();
                let chosen = usize::try_from(self.dice.below(up.len() as u64)).unwrap_or_default();
                match (up.get(chosen), plan) {
                    (Some(process), Plan::Kill) => process.life.end(),
                    (Some(process), Plan::Stop { lasts }) => process.life.stop(now + lasts),
                    (Some(process), _) => process.drain(),
                    (None, _) => {}
                }
            }
        }
    }
}
