//! A way in over HTTP: a request that becomes an event, once.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::event::Envelope;
use crate::http::InFlight;
use crate::{EventKind, Outbound, Outgoing, Payload};

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901) such as `/lines/0/sku`; empty for the whole body.
    pub pointer: String,
    /// What is wrong and what is expected instead.
    pub detail: String,
}

impl Fault {
    /// A fault of the part of the request at `pointer`.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

type Admit = Box<dyn Fn(&[u8], &str) -> Result<Outbound, Refusal> + Send + Sync>;

/// An HTTP endpoint beside a function's trigger: `POST` of a JSON body becomes one event of the function.
///
/// The answer is 202 with the aggregate's id once the event is committed. The same `Idempotency-Key` with the same body
/// gives the same answer again, and the event is there once.
#[must_use = "an endpoint answers nothing until it is given to a function"]
pub struct Endpoint {
    pub(crate) path: &'static str,
    pub(crate) kind: EventKind,
    pub(crate) admit: Admit,
    pub(crate) schema: fn() -> Value,
    pub(crate) in_flight: InFlight,
}

/// Why a request did not become an event.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The body is not JSON (400).
    NotJson(serde_json::Error),
    /// The body is not what the endpoint takes (422).
    Invalid(Vec<Fault>),
}

impl Endpoint {
    /// `POST path`, whose JSON body `Req` is turned into the event `P` by `make`. The second argument of `make` is a
    /// fresh id, the same for the same `Idempotency-Key`, for bodies that bring none.
    pub fn post<Req: DeserializeOwned + 'static, P: Payload>(
        path: &'static str,
        make: fn(Req, &str) -> Result<P, Vec<Fault>>,
    ) -> Self {
        let admit = move |body: &[u8], fresh_id: &str| {
            let request: Req = serde_json::from_slice(body).map_err(|error| {
                if error.is_data() {
                    Refusal::Invalid(vec![Fault::at("", error.to_string())])
                } else {
                    Refusal::NotJson(error)
                }
            })?;
            let event = make(request, fresh_id).map_err(Refusal::Invalid)?;
            let outbound =
                event.encode().map_err(|error| Refusal::Invalid(vec![Fault::at("", error.to_string())]))?;
            crate::event::check_id("aggregate_id", &outbound.aggregate_id)
                .map_err(|error| Refusal::Invalid(vec![Fault::at("", error.to_string())]))?;
            Ok(outbound)
        };
        Self {
            path,
            kind: EventKind::of::<P>(),
            admit: Box::new(admit),
            schema: || Value::Bool(true),
            in_flight: InFlight::default(),
        }
    }

    /// What it takes, as JSON Schema (2020-12): for the document at `/openapi.json`, and for nothing else. Whether it is
    /// true is for a test to find out.
    pub fn schema(mut self, schema: fn() -> Value) -> Self {
        self.schema = schema;
        self
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "POST {} -> {}", self.path, self.kind.name)
    }
}

impl Envelope {
    /// The envelope of an event that is made here and now.
    pub(crate) fn around(
        outbound: Outbound,
        id: String,
        timestamp: time::OffsetDateTime,
        trace_id: String,
    ) -> Self {
        Self {
            id,
            kind: outbound.kind.name.into(),
            aggregate_id: outbound.aggregate_id,
            data: outbound.data,
            timestamp,
            trace_id,
        }
    }
}
