//! A function of a system: what it pulls from, its process, and what is at hand for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::core::broker::{Delivery, Stream};
use crate::event::Envelope;
use crate::handler::{Bindings, Takes};
use crate::invoke::process::Process;
use crate::invoke::{Crash, Disposition};
use crate::memory::Still;
use crate::memory::server::Receipt;
use crate::subject::Subject;
use crate::testing::Dice;
use crate::testing::system::clock::Clock;
use crate::testing::system::course::Step;
use crate::testing::system::fault::{Fault, Trouble, Troubled};
use crate::{Source, headers};

/// A function at work.
pub(super) struct Member {
    bindings: Bindings,
    trouble: Arc<Trouble>,
    process: Process,
    lanes: Vec<Lane>,
    /// How many inputs come again that are done with.
    duplicates: u32,
}

/// A consumer, and what it has delivered.
struct Lane {
    consumer: usize,
    most: usize,
    at_hand: Vec<Delivery<Receipt>>,
}

impl Member {
    pub(super) fn start(mut bindings: Bindings, still: &Arc<Still>, clock: Clock) -> Self {
        let terms = bindings.terms;
        let trouble = Arc::new(Trouble::default());
        bindings.handler = Arc::new(Troubled {
            handler: Arc::clone(&bindings.handler),
            trouble: Arc::clone(&trouble),
            time_limit: terms.time_limit,
            clock,
        });
        let mut inlets = match terms.reads {
            Source::Audit => vec![(Stream::Audit, vec![Subject::from_broker("audit.>")], terms.batch)],
            Source::Events => {
                let heard = terms.listens_to.iter();
                let heard = heard.map(|kind| Subject::from_broker(&format!("{}.*.*", kind.name))).collect();
                let retries = Subject::from_broker(&format!("retry.{}.>", terms.name));
                vec![
                    (Stream::Events, heard, terms.concurrency),
                    (Stream::Retry, vec![retries], terms.concurrency),
                ]
            }
        };
        if !terms.admits.is_empty() {
            let admitted = terms.admits.iter().map(|kind| Subject::from_broker(kind.name)).collect();
            inlets.push((Stream::Intake, admitted, terms.concurrency));
        }
        let lane = |(stream, filters, most)| {
            let consumer = still.with(|server, _| server.subscribe(stream, filters, usize::MAX));
            Lane { consumer, most, at_hand: Vec::new() }
        };
        let lanes = inlets.into_iter().map(lane).collect();
        let process = Process::start(bindings.clone(), still, None);
        Self { bindings, trouble, process, lanes, duplicates: 0 }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.bindings.terms.name
    }

    pub(super) fn admits(&self, kind: &str) -> bool {
        self.bindings.terms.admits.iter().any(|admitted| admitted.name == kind)
    }

    pub(super) fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::FailFirst(runs) => {
                self.trouble.fails.fetch_add(runs, Ordering::Relaxed);
            }
            Fault::TimeOut => {
                self.trouble.hangs.fetch_add(1, Ordering::Relaxed);
            }
            Fault::Duplicate => self.duplicates += 1,
            Fault::CrashBeforeCommit => self.process.arm(Crash::BeforeCommit),
            Fault::CrashAfterCommit => self.process.arm(Crash::AfterCommit),
            Fault::CrashBeforeAck => self.process.arm(Crash::BeforeAck),
        }
    }

    /// Takes what is there for it, and gives the lanes that have something.
    pub(super) fn look(&mut self, still: &Still) -> impl Iterator<Item = usize> {
        for lane in &mut self.lanes {
            still.with(|server, now| {
                while lane.at_hand.len() < lane.most {
                    let Some(delivery) = server.fetch(lane.consumer, now) else { break };
                    lane.at_hand.push(delivery);
                }
            });
        }
        self.lanes.iter().enumerate().filter(|(_, lane)| !lane.at_hand.is_empty()).map(|(number, _)| number)
    }

    /// Chooses what comes next of what is at hand: one input, none of whose aggregate came before it, or a batch.
    pub(super) fn take(&mut self, lane: usize, dice: &Dice) -> Vec<Delivery<Receipt>> {
        let is_batch = self.bindings.handler.takes() == Takes::Batch;
        let Some(lane) = self.lanes.get_mut(lane) else { return Vec::new() };
        let at_hand = lane.at_hand.len();
        let pick = usize::try_from(dice.below(at_hand as u64)).unwrap_or_default();
        if is_batch {
            return lane.at_hand.drain(..=pick.min(at_hand.saturating_sub(1))).collect();
        }
        let key = lane.at_hand.get(pick).map(key);
        let first = lane.at_hand.iter().position(|delivery| Some(self::key(delivery)) == key);
        vec![lane.at_hand.remove(first.unwrap_or(pick))]
    }

    /// Takes `deliveries` to their end.
    pub(super) async fn deliver(
        &mut self,
        still: &Still,
        at: Duration,
        deliveries: Vec<Delivery<Receipt>>,
    ) -> Step {
        let receipt = deliveries.first().map(|delivery| delivery.receipt);
        let inputs = deliveries.iter().map(described).collect();
        let delivered = self.process.deliver(still, at, deliveries).await;
        if let (Disposition::Ack { .. }, Some(receipt)) = (&delivered.disposition, receipt)
            && self.duplicates > 0
        {
            self.duplicates -= 1;
            still.with(|server, _| server.forget_acks_of(receipt.consumer, 1));
        }
        Step::new(at, self.name(), inputs, delivered)
    }

    /// Another process takes the place of the one that died. What was at hand for that one is lost, and comes again when the
    /// broker has waited for its answer.
    pub(super) fn restart(&mut self, still: &Arc<Still>) {
        self.lanes.iter_mut().for_each(|lane| lane.at_hand.clear());
        self.process = Process::start(self.bindings.clone(), still, None);
    }
}

/// The input's own subject, and which attempt it is.
fn described(delivery: &Delivery<Receipt>) -> (Subject, u32, u64) {
    let subject = match delivery.header(headers::SUBJECT) {
        Some(subject) if delivery.stream == Stream::Retry => Subject::from_broker(subject),
        _ => Envelope::read(&delivery.payload)
            .map_or_else(|_| delivery.subject.clone(), |envelope| envelope.subject()),
    };
    let attempt = delivery.header(headers::ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1);
    (subject, attempt, delivery.delivered)
}

/// What inputs come in order by.
fn key(delivery: &Delivery<Receipt>) -> String {
    Envelope::read(&delivery.payload)
        .map_or_else(|_| delivery.subject.to_string(), |envelope| envelope.aggregate_id)
}
