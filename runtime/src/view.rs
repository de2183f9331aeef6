//! A look at one aggregate over HTTP: what its events say of it.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::chain;
use crate::{Envelope, Event, EventKind, Incoming};

/// The most types of event that a view may read: each costs a read for every request.
pub const VIEW_TYPES_MAX: usize = 16;

type Show = Box<dyn Fn(&str, Vec<Envelope>) -> Result<Option<Box<RawValue>>, String> + Send + Sync>;

/// `GET path/{id}`: tells of one aggregate what its events say.
///
/// The last event of each type is read from the leader of the stream, so what was answered before, by whichever process, is
/// seen. Events that the stream has forgotten are seen no more.
///
/// ```
/// # use jetlag::{Event, Payload, View};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct ParcelSent { parcel_id: String }
/// # impl Payload for ParcelSent {
/// #     const TYPE: &'static str = "parcels.sent"; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.parcel_id }
/// #     fn example() -> Self { ParcelSent { parcel_id: "P-1".into() } }
/// # }
/// #[derive(Serialize)]
/// struct Parcel { parcel_id: String, sent: bool }
///
/// fn parcel(parcel_id: &str, events: &[Event<ParcelSent>]) -> Option<Parcel> {
///     (!events.is_empty()).then(|| Parcel { parcel_id: parcel_id.into(), sent: true })
/// }
/// let view = View::of("/parcels", parcel);
/// ```
#[must_use = "a view shows nothing until it is given to a function"]
pub struct View {
    pub(crate) path: &'static str,
    pub(crate) kinds: &'static [EventKind],
    pub(crate) show: Show,
    pub(crate) schema: fn() -> Value,
}

impl View {
    /// What `show` makes of the last event of each type of `E`, in the order in which they came into the stream; nothing
    /// (404) if that is nothing.
    pub fn of<E: Incoming, V: Serialize + 'static>(
        path: &'static str,
        show: fn(&str, &[Event<E>]) -> Option<V>,
    ) -> Self {
        let show = move |id: &str, envelopes: Vec<Envelope>| {
            let events: Result<Vec<Event<E>>, String> = envelopes.into_iter().map(event).collect();
            let shown = show(id, &events?);
            shown.map(|value| serde_json::value::to_raw_value(&value)).transpose().map_err(|e| e.to_string())
        };
        Self { path, kinds: E::KINDS, show: Box::new(show), schema: || Value::Bool(true) }
    }

    /// What it answers, as JSON Schema (2020-12): for the document at `/openapi.json`.
    pub fn schema(mut self, schema: fn() -> Value) -> Self {
        self.schema = schema;
        self
    }

    /// The path with its parameter.
    pub(crate) fn route(&self) -> String {
        format!("{}/{{id}}", self.path)
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GET {}", self.route())
    }
}

fn event<E: Incoming>(envelope: Envelope) -> Result<Event<E>, String> {
    let subject = envelope.subject();
    let data = E::decode(&envelope.kind, &envelope.data).map_err(|e| format!("{subject}: {}", chain(&e)))?;
    Ok(Event {
        data,
        id: envelope.id,
        aggregate_id: envelope.aggregate_id,
        timestamp: envelope.timestamp,
        trace_id: envelope.trace_id,
        attempt: 1,
        subject,
        traceparent: None,
    })
}
