//! What a handler returns: events to emit and state to write, as data. The runtime makes them real, once.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::{Outbound, Outgoing, Stored};

/// The effects of handling one input. They are committed together, or not at all.
///
/// ```
/// # use jetlag::{Effects, Nothing, Payload, Stored};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Sent { id: String }
/// # impl Payload for Sent {
/// #     const TYPE: &'static str = "parcels.sent"; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.id }
/// #     fn example() -> Self { Sent { id: "P-1".into() } }
/// # }
/// # #[derive(Serialize, Deserialize)] struct Count(u32);
/// # impl Stored for Count { const KIND: &'static str = "count"; }
/// let effects: Effects<Sent> = Effects::emit(Sent { id: "P-1".into() }).put("all", &Count(7));
/// let nothing: Effects<Nothing> = Effects::none();
/// ```
#[derive(Debug)]
#[must_use = "effects do nothing unless the handler returns them"]
pub struct Effects<O> {
    pub(crate) events: Vec<O>,
    pub(crate) writes: Vec<Write>,
    pub(crate) upto: Option<u64>,
    pub(crate) error: Option<String>,
}

/// One piece of state to be written.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) kind: &'static str,
    pub(crate) key: String,
    pub(crate) value: Box<RawValue>,
    pub(crate) keep: Option<Duration>,
}

impl<O> Effects<O> {
    /// No effects: the input is acknowledged and nothing else happens.
    pub const fn none() -> Self {
        Self { events: Vec::new(), writes: Vec::new(), upto: None, error: None }
    }

    /// Emits `event`.
    pub fn emit(event: impl Into<O>) -> Self {
        Self::none().and_emit(event)
    }

    /// Emits `event` too.
    pub fn and_emit(mut self, event: impl Into<O>) -> Self {
        self.events.push(event.into());
        self
    }

    /// Writes `value` as the state of its kind under `key`, replacing what was there.
    ///
    /// The write holds only if nobody else has written that key since this handler read it; otherwise the handler
    /// runs again on the newer state.
    pub fn put<S: Stored>(mut self, key: &str, value: &S) -> Self {
        match serde_json::value::to_raw_value(value) {
            Ok(value) => {
                self.writes.retain(|write| !(write.kind == S::KIND && write.key == key));
                self.writes.push(Write { kind: S::KIND, key: key.into(), value, keep: S::KEEP });
            }
            Err(error) => {
                self.error = Some(format!("the state {}/{key} does not serialise: {error}", S::KIND));
            }
        }
        self
    }

    /// Covers the inputs of a batch up to this sequence only: the ones behind it are given back and come again. So a
    /// function that goes through a trail in order gets on, even if what comes next is not in this batch yet.
    pub const fn up_to(mut self, sequence: u64) -> Self {
        self.upto = Some(sequence);
        self
    }

    /// The events to emit, in order: for tests of a handler.
    pub fn events(&self) -> &[O] {
        &self.events
    }

    /// The state to be written under `key`, read back: for tests of a handler.
    pub fn written<S: Stored>(&self, key: &str) -> Option<S> {
        let write = self.writes.iter().find(|write| write.kind == S::KIND && write.key == key)?;
        serde_json::from_str(write.value.get()).ok()
    }
}

impl<O> From<O> for Effects<O> {
    fn from(event: O) -> Self {
        Self { events: vec![event], writes: Vec::new(), upto: None, error: None }
    }
}

impl<O> From<Option<O>> for Effects<O> {
    fn from(event: Option<O>) -> Self {
        Self { events: event.into_iter().collect(), writes: Vec::new(), upto: None, error: None }
    }
}

/// Effects whose types are gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Erased {
    pub(crate) events: Vec<Outbound>,
    pub(crate) writes: Vec<Write>,
    /// The last input of a batch that is covered, if not all of them are.
    pub(crate) upto: Option<u64>,
}

impl<O: Outgoing> Effects<O> {
    /// Effects as bytes, or what keeps them from being that.
    pub(crate) fn erase(self) -> Result<Erased, String> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut events = Vec::with_capacity(self.events.len());
        for event in &self.events {
            let outbound = event.encode().map_err(|error| format!("an event does not serialise: {error}"))?;
            crate::event::check_id("aggregate_id", &outbound.aggregate_id)
                .map_err(|error| format!("{}: {error}", outbound.kind.name))?;
            events.push(outbound);
        }
        Ok(Erased { events, writes: self.writes, upto: self.upto })
    }
}
