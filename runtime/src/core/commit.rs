//! From effects to messages: what a commit publishes, and what each message insists on.

use bytes::Bytes;
use time::OffsetDateTime;

use crate::core::baggage::ROOM_BYTES;
use crate::core::broker::{Expect, Keep, Message};
use crate::core::inbound::Cause;
use crate::effects::{Erased, Write};
use crate::event::Envelope;
use crate::failure::{Failure, Reason};
use crate::headers;
use crate::subject::Subject;

/// The most messages that one commit, and one group of commits, may have: the broker's limit for an atomic batch.
pub(crate) const GROUP_MESSAGES_MAX: usize = 1000;
/// The most bytes that one commit, and one group of commits, may have.
pub(crate) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The effects of one input, ready to be published.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Where whatever was committed for the same cause is found.
    pub(crate) guard: Option<Subject>,
    pub(crate) events: Vec<Message>,
    pub(crate) writes: Vec<StateWrite>,
}

/// Where it is looked why a plan was refused.
#[derive(Debug, Clone)]
pub(crate) struct Insists {
    /// Where whatever was committed for the same cause is found.
    pub(crate) guard: Option<Subject>,
    /// Where the events are that an aggregate has once.
    pub(crate) once: Vec<Subject>,
}

/// A new value of one piece of state.
#[derive(Debug, Clone)]
pub(crate) struct StateWrite {
    pub(crate) subject: Subject,
    pub(crate) value: Bytes,
    pub(crate) keep: Keep,
}

impl Plan {
    /// A plan that commits nothing.
    pub(crate) const fn nothing() -> Self {
        Self { guard: None, events: Vec::new(), writes: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.writes.is_empty()
    }

    pub(crate) fn messages(&self) -> usize {
        self.events.len() + self.writes.len()
    }

    /// What it insists on beside the state that it writes.
    pub(crate) fn insists(&self) -> Insists {
        let scopes = self.events.iter().filter_map(|event| event.expect.as_ref()?.scope.as_ref());
        Insists {
            guard: self.guard.clone(),
            once: scopes.filter(|scope| Some(*scope) != self.guard.as_ref()).cloned().collect(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.events.iter().map(Message::size).chain(self.writes.iter().map(StateWrite::size)).sum()
    }
}

impl StateWrite {
    /// The message that makes it true, where the last one on its subject has `sequence`.
    pub(crate) fn message(&self, sequence: u64) -> Message {
        let mut message = Message::new(self.subject.clone(), self.value.clone());
        message.keep = self.keep;
        message.expect = Some(Expect { sequence, scope: None });
        message
    }

    fn size(&self) -> usize {
        self.message(0).size()
    }
}

/// The most bytes that an event may have where the broker takes messages of `message_bytes_max`: its retry and its
/// dead letter carry more than it does. Of a very small limit half is for that.
pub(crate) fn event_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max - ROOM_BYTES.min(message_bytes_max / 2)
}

/// Plans the commit of `effects`, which follow from `cause`.
///
/// The first message carries the guard: it is refused if anything was committed for this cause before, whatever that
/// run decided. So an event about the input's aggregate goes first, or a receipt where there is none. Every further
/// event insists on being the first on its own subject.
pub(crate) fn plan(
    cause: &Cause,
    effects: Erased,
    now: OffsetDateTime,
    message_bytes_max: usize,
) -> Result<Plan, Failure> {
    let writes: Vec<StateWrite> = effects.writes.into_iter().map(|write| state_write(cause, write)).collect();
    if effects.events.is_empty() && writes.is_empty() {
        return Ok(Plan::nothing());
    }
    let mut outbound = effects.events;
    let carrier = outbound
        .iter()
        .position(|event| event.aggregate_id == cause.aggregate_id && !event.kind.once_per_aggregate);
    let mut events = Vec::with_capacity(outbound.len() + 1);
    let first = cause.id(0);
    let scope = cause.scope_of(&first);
    match carrier {
        // The order of events within one commit is not promised; their ids are derived from their places in it.
        Some(at) => outbound.swap(0, at),
        None => events.push(receipt(cause, None, now)?),
    }
    for event in outbound {
        let index = events.len();
        let once =
            event.kind.once_per_aggregate.then(|| Subject::any_of_type(event.kind.name, &event.aggregate_id));
        let id = if index == 0 { first.clone() } else { cause.id(index) };
        let envelope = Envelope::around(event, id, now, cause.trace_id.clone());
        let mut message = Message::new(envelope.subject(), encode(&envelope)?);
        message.headers = provenance(cause);
        message.expect =
            Some(Expect { sequence: 0, scope: if index == 0 { Some(scope.clone()) } else { once } });
        events.push(message);
    }
    within_limits(Plan { guard: Some(scope), events, writes }, message_bytes_max)
}

/// Plans the commit of what a batch led to: guarded by the state that it writes, since a batch is never the same twice.
pub(crate) fn plan_batch(
    cause: &Cause,
    effects: Erased,
    now: OffsetDateTime,
    message_bytes_max: usize,
) -> Result<Plan, Failure> {
    if effects.writes.is_empty() && !effects.events.is_empty() {
        let why =
            "a batch handler that emits events must also write state: it tells a batch that comes again";
        return Err(Failure::because(Reason::EffectsInvalid, why));
    }
    let writes = effects.writes.into_iter().map(|write| state_write(cause, write)).collect();
    let mut events = Vec::with_capacity(effects.events.len());
    for (index, event) in effects.events.into_iter().enumerate() {
        let envelope = Envelope::around(event, cause.id(index), now, cause.trace_id.clone());
        let mut message = Message::new(envelope.subject(), encode(&envelope)?);
        message.headers = provenance(cause);
        message.expect = Some(Expect { sequence: 0, scope: None });
        events.push(message);
    }
    within_limits(Plan { guard: None, events, writes }, message_bytes_max)
}

/// What stands for a commit without an event of its input's aggregate, and, with a reason, for a dead letter.
pub(crate) fn receipt(cause: &Cause, dead: Option<Reason>, now: OffsetDateTime) -> Result<Message, Failure> {
    let id = cause.id(0);
    let data = dead.map_or_else(
        || serde_json::json!({"outcome": "committed"}),
        |reason| serde_json::json!({"outcome": "dead_letter", "reason": reason}),
    );
    let envelope = Envelope {
        kind: format!("done.{}", cause.function),
        aggregate_id: cause.aggregate_id.clone(),
        data: serde_json::value::to_raw_value(&data)?,
        timestamp: now,
        trace_id: cause.trace_id.clone(),
        id,
    };
    let mut message = Message::new(envelope.subject(), encode(&envelope)?);
    message.headers = provenance(cause);
    if let Some(reason) = dead {
        message.headers.push((headers::REASON, reason.code().into()));
    }
    message.expect = Some(Expect { sequence: 0, scope: Some(cause.scope_of(&envelope.id)) });
    Ok(message)
}

fn encode(envelope: &Envelope) -> Result<Bytes, Failure> {
    envelope.write().map(Bytes::from).map_err(|error| {
        Failure::because(
            Reason::EffectsInvalid,
            format_args!("{} does not serialise: {error}", envelope.kind),
        )
    })
}

/// Where a message comes from, as headers.
pub(crate) fn provenance(cause: &Cause) -> Vec<(&'static str, String)> {
    let mut list = vec![
        (headers::FUNCTION, cause.function.to_owned()),
        (headers::CAUSE, cause.subject.to_string()),
        (headers::ATTEMPT, cause.attempt.to_string()),
    ];
    if let Some(traceparent) = &cause.traceparent {
        list.push((headers::TRACEPARENT, traceparent.to_string()));
    }
    if let Some(tracestate) = &cause.tracestate {
        list.push((headers::TRACESTATE, tracestate.to_string()));
    }
    list
}

fn state_write(cause: &Cause, write: Write) -> StateWrite {
    StateWrite {
        subject: Subject::of_state(cause.function, write.kind, &write.key),
        value: Bytes::from(Box::<str>::from(write.value).into_string()),
        keep: write.keep.map_or(Keep::Forever, Keep::For),
    }
}

fn within_limits(plan: Plan, message_bytes_max: usize) -> Result<Plan, Failure> {
    let too_large = |what: String| Err(Failure::because(Reason::EffectsTooLarge, what));
    if plan.messages() > GROUP_MESSAGES_MAX {
        return too_large(format!(
            "{} events and values of state; one commit holds {GROUP_MESSAGES_MAX}",
            plan.messages()
        ));
    }
    if plan.bytes() > GROUP_BYTES_MAX {
        return too_large(format!("{} bytes; one commit holds {GROUP_BYTES_MAX}", plan.bytes()));
    }
    let events_max = event_bytes_max(message_bytes_max);
    match plan.events.iter().map(Message::size).max() {
        Some(bytes) if bytes > events_max => {
            return too_large(format!("an event of {bytes} bytes; it may have {events_max}"));
        }
        _ => {}
    }
    match plan.writes.iter().map(StateWrite::size).max() {
        Some(bytes) if bytes > message_bytes_max => {
            too_large(format!("a value of state of {bytes} bytes; the broker takes {message_bytes_max}"))
        }
        _ => Ok(plan),
    }
}

#[cfg(test)]
mod tests;
