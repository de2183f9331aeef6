//! What happens when something arrives.

use std::time::Duration;

use time::OffsetDateTime;

use crate::core::broker::{Message, PublishError, Stream};
use crate::testing::network::parcel::{Arrival, Load, Reply};
use crate::testing::network::wire::Wire;

/// How long the copy of an event to the trail takes at most.
const COPY_MAX: Duration = Duration::from_millis(200);

impl Wire {
    pub(super) fn arrive(&mut self, now: Duration, epoch: OffsetDateTime, load: Load) {
        match load {
            Load::Publish { from, stream, messages, answer, back } => {
                let result = self.server.publish(stream, &messages, now, epoch);
                self.published(now, from, stream, &messages, &result);
                if let Some(answer) = answer {
                    self.tell(from, stream, &messages, &result);
                    self.send(now + back, Load::Published { result, answer });
                }
            }
            // Nobody may be there any more to hear it.
            Load::Published { result, answer } => drop(answer.send(result)),
            Load::Last { from, stream, subject, age, answer, back } => {
                self.server.expire(now);
                let log = self.server.log(stream);
                let entry = if age.is_zero() {
                    log.last(&subject)
                } else {
                    log.last_before(&subject, now.saturating_sub(age))
                };
                let found = entry.map(|entry| entry.stored.clone());
                if stream == Stream::Events {
                    let sequence = found.as_ref().map_or(0, |stored| stored.sequence);
                    self.witness.tell(from, &subject, sequence);
                }
                self.send(now + back, Load::Found { result: Ok(found), answer });
            }
            Load::Found { result, answer } => drop(answer.send(result)),
            Load::Reply { receipt, reply: Reply::Ack } => self.server.ack(receipt),
            Load::Reply { receipt, reply } => {
                if let Some(consumer) = self.server.consumer_mut(receipt.consumer) {
                    let after = if let Reply::GiveBack(delay) = reply { delay } else { consumer.ack_wait };
                    consumer.again_at(receipt.sequence, now + after);
                }
            }
            // A request does not overtake the end of its lane.
            Load::Pull { pull, .. } if self.lanes.get(&pull.lane).is_some_and(|lane| lane.is_closed) => {}
            Load::Pull { consumer, pull } => {
                if let Some(consumer) = self.server.consumer_mut(consumer) {
                    consumer.pull(pull);
                }
            }
            Load::Arrive { lane, arrival } => {
                if let Some(lane) = self.lanes.get_mut(&lane) {
                    if let Arrival::Input { delivery, .. } = &arrival {
                        lane.held.insert(delivery.sequence);
                    }
                    if !self.has_lost {
                        self.witness.holds(lane.process, &lane.held, lane.most);
                    }
                    drop(lane.sender.send(arrival));
                }
            }
            Load::Disconnect { lane } => {
                if let Some(lane) = self.lanes.get_mut(&lane) {
                    lane.is_closed = true;
                }
                self.server.consumers().for_each(|consumer| consumer.disconnect(lane));
            }
            Load::Hurry { receipt } => {
                if let Some(consumer) = self.server.consumer_mut(receipt.consumer) {
                    consumer.hurry(receipt.sequence, now);
                }
            }
            Load::Copy => {
                self.copying = false;
                self.server.copy_to_audit(now);
            }
        }
    }

    /// The answer to a publish tells the sequences of all its messages.
    fn tell(&mut self, to: u32, stream: Stream, messages: &[Message], result: &Result<u64, PublishError>) {
        if stream == Stream::Events
            && let Ok(last) = *result
        {
            let first = last + 1 - messages.len() as u64;
            for (message, sequence) in messages.iter().zip(first..) {
                self.witness.tell(to, &message.subject, sequence);
            }
        }
    }

    fn published(
        &mut self,
        now: Duration,
        from: u32,
        stream: Stream,
        messages: &[Message],
        result: &Result<u64, PublishError>,
    ) {
        self.journal.note(now, || {
            let what = messages.iter().map(|m| m.subject.to_string()).collect::<Vec<_>>().join(", ");
            format!("{stream:?} has from #{from}: {result:?} {what}")
        });
        let misuse = std::mem::take(&mut self.server.misuse);
        misuse.into_iter().for_each(|what| self.witness.object(format!("process {from} sends {what}")));
        let Ok(last) = *result else { return };
        let first = last + 1 - messages.len() as u64;
        for sequence in first..=last {
            if let Some(entry) = self.server.log(stream).entry(sequence) {
                // The first sequence tells one publish from another.
                self.witness.published(stream, first, &entry.stored);
            }
        }
        if stream == Stream::Events && !self.copying {
            self.copying = true;
            let after = self.dice.up_to(COPY_MAX);
            self.send(now + after, Load::Copy);
        }
    }
}
