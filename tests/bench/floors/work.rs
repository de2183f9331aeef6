//! What each service of the pipeline does with an event: read it, check it, make the next one.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The stream, made by the driver.
pub const STREAM: &str = "EVENTS";

/// How long the broker waits for an answer before it delivers again, as for the Go peers.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// How often it delivers, as for the Go peers.
pub const DELIVERIES_MAX: i64 = 5;

/// One of the five services, as the driver describes it.
pub struct Service {
    pub name: String,
    pub url: String,
    pub input: String,
    /// None for audit.
    pub output: Option<String>,
    /// How many inputs are handled at a time.
    pub concurrency: usize,
    pub ack_pending_max: i64,
    /// How long a charge takes; nothing but for payment.
    pub gateway: Option<Duration>,
}

/// The event that follows, ready to be published.
pub struct Next {
    pub id: String,
    pub body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Event<'e> {
    #[serde(borrow)]
    id: Cow<'e, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'e, str>,
    #[serde(borrow)]
    aggregate_id: Cow<'e, str>,
    #[serde(borrow)]
    data: &'e RawValue,
    #[serde(borrow)]
    timestamp: Cow<'e, str>,
    #[serde(borrow)]
    trace_id: Cow<'e, str>,
}

#[derive(Deserialize)]
struct Order<'e> {
    #[serde(borrow)]
    order_id: Cow<'e, str>,
    amount: f64,
    #[serde(borrow)]
    lines: Vec<Line<'e>>,
}

#[derive(Deserialize)]
struct Line<'e> {
    #[serde(borrow, rename = "sku")]
    _sku: Cow<'e, str>,
    quantity: i64,
    #[serde(rename = "price")]
    _price: f64,
}

impl Service {
    pub fn from_env() -> Self {
        let text = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let number = |name: &str| text(name).parse::<u32>().unwrap_or_else(|_| panic!("{name} is no number"));
        let name = text("SERVICE");
        let gateway = Duration::from_millis(number("GATEWAY_MS").into());
        Self {
            url: text("NATS_URL"),
            input: text("IN_SUBJECT"),
            output: Some(text("OUT_SUBJECT")).filter(|subject| !subject.is_empty()),
            concurrency: number("CONCURRENCY") as usize,
            ack_pending_max: number("MAX_ACK_PENDING").into(),
            gateway: Some(gateway).filter(|time| name == "payment" && !time.is_zero()),
            name,
        }
    }

    /// What follows from the event `body`; nothing, if the service emits nothing.
    ///
    /// # Panics
    /// It is no event, or not a valid one: the driver sends none such.
    pub fn work(&self, body: &[u8]) -> Option<Next> {
        let event: Event<'_> = serde_json::from_slice(body).expect("an event");
        let order: Order<'_> = serde_json::from_str(event.data.get()).expect("an order");
        assert!(!order.order_id.is_empty() && order.amount > 0.0, "{} is invalid", event.id);
        let is_good = self.name != "inventory" || order.lines.iter().all(|line| line.quantity > 0);
        assert!(is_good, "{} has a bad quantity", event.id);
        let kind = self.output.as_ref()?;
        let id = format!("{}-{kind}", event.aggregate_id);
        let next = Event {
            id: Cow::Borrowed(&id),
            kind: Cow::Borrowed(kind),
            timestamp: OffsetDateTime::now_utc().format(&Rfc3339).expect("a time").into(),
            ..event
        };
        let body = serde_json::to_vec(&next).expect("an event");
        Some(Next { id, body })
    }
}
