//! A broker in memory, for tests of what stands in front of it: expected sequences, patterns, and faults on demand.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::core::broker::{Broker, Delivery, Message, PublishError, Stored, Stream};
use crate::core::engine::Engine;
use crate::handler::{Bindings, Handler};
use crate::http::server::{self, Site, Ways};
use crate::readiness::Readiness;
use crate::sequel::Sequel;
use crate::state::Unavailable;
use crate::subject::Subject;
use crate::telemetry::metrics::Exposition;
use crate::telemetry::names;
use crate::{Breaker, Contract, Effects, Endpoint, Event, Failure, Fault, Payload, View};

#[derive(Default)]
pub(crate) struct Memory {
    stored: Mutex<Vec<(Stream, Stored)>>,
    sequence: AtomicU64,
    pub(crate) full: AtomicBool,
    pub(crate) silent: AtomicBool,
    /// Stores what comes and does not say so.
    pub(crate) mute: AtomicBool,
}

impl Memory {
    /// Everything that is stored in `stream`, in order.
    pub(crate) fn all(&self, stream: Stream) -> Vec<Stored> {
        self.stored
            .lock()
            .unwrap()
            .iter()
            .filter(|(of, _)| *of == stream)
            .map(|(_, one)| one.clone())
            .collect()
    }

    /// The events of type `kind`.
    pub(crate) fn events(&self, kind: &str) -> Vec<Stored> {
        let mut all = self.all(Stream::Events);
        all.retain(|one| one.subject.as_str().starts_with(&format!("{kind}.")));
        all
    }

    fn last_of(stored: &[(Stream, Stored)], stream: Stream, pattern: &Subject) -> Option<Stored> {
        stored
            .iter()
            .rev()
            .find(|(of, one)| *of == stream && matches(pattern.as_str(), one.subject.as_str()))
            .map(|(_, one)| one.clone())
    }
}

fn matches(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (None, None) => return true,
            (Some(p), Some(s)) if p == "*" || p == s => {}
            _ => return false,
        }
    }
}

impl Broker for Memory {
    type Receipt = ();

    async fn publish(&self, stream: Stream, messages: Vec<Message>) -> Result<u64, PublishError> {
        tokio::task::yield_now().await;
        if self.silent.load(Ordering::SeqCst) {
            return Err(PublishError::Ambiguous("no answer".into()));
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(PublishError::Full);
        }
        let mut stored = self.stored.lock().unwrap();
        for message in &messages {
            let Some(expect) = &message.expect else { continue };
            let scope = expect.scope.as_ref().unwrap_or(&message.subject);
            let last = Self::last_of(&stored, stream, scope).map_or(0, |one| one.sequence);
            if last != expect.sequence {
                return Err(PublishError::Refused);
            }
        }
        let mut sequence = 0;
        for message in messages {
            sequence = self.sequence.fetch_add(1, Ordering::SeqCst) + 1;
            let headers = message.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            stored.push((
                stream,
                Stored { subject: message.subject, sequence, headers, payload: message.payload },
            ));
        }
        if self.mute.load(Ordering::SeqCst) {
            Err(PublishError::Ambiguous("no answer".into()))
        } else {
            Ok(sequence)
        }
    }

    async fn last(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        tokio::task::yield_now().await;
        if self.silent.load(Ordering::SeqCst) {
            return Err(Unavailable("no answer".into()));
        }
        Ok(Self::last_of(&self.stored.lock().unwrap(), stream, subject))
    }

    async fn last_at_leader(&self, stream: Stream, subject: &Subject) -> Result<Option<Stored>, Unavailable> {
        self.last(stream, subject).await
    }

    async fn ack(&self, (): &()) {}

    async fn give_back(&self, (): &(), _: Duration) {}

    async fn in_progress(&self, (): &()) {}

    fn message_bytes_max(&self) -> usize {
        1024 * 1024
    }

    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

impl Sequel for Memory {
    async fn at(&self, stream: Stream, sequence: u64) -> Result<Option<Stored>, Unavailable> {
        tokio::task::yield_now().await;
        Ok(self.all(stream).into_iter().find(|one| one.sequence == sequence))
    }
}

/// An order, as the tests have it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderPlaced {
    pub(crate) order_id: String,
    pub(crate) amount: u32,
}

impl Payload for OrderPlaced {
    const TYPE: &'static str = "orders.placed";
    const AGGREGATE: &'static str = "order";
    const ONCE_PER_AGGREGATE: bool = true;

    fn aggregate_id(&self) -> &str {
        &self.order_id
    }

    fn example() -> Self {
        Self { order_id: "ORD-1".into(), amount: 12 }
    }
}

/// What follows from an order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderSeen {
    order_id: String,
}

impl Payload for OrderSeen {
    const TYPE: &'static str = "orders.seen";
    const AGGREGATE: &'static str = "order";

    fn aggregate_id(&self) -> &str {
        &self.order_id
    }

    fn example() -> Self {
        Self { order_id: "ORD-1".into() }
    }
}

pub(crate) const CONTRACT: Contract<OrderPlaced, OrderSeen> =
    Contract::new("watcher", "Sees orders.").breaker(Breaker::after(5));

/// Amounts decide what becomes of an order: 500 fails, 422 is rejected, 13 panics, 1000 takes 50 ms, 2 is seen twice, 3 is
/// seen as another order, 4 as two others, 5 not at all.
async fn see(_: &(), event: Event<OrderPlaced>) -> Result<Effects<OrderSeen>, Failure> {
    match event.data.amount {
        500 => return Err(Failure::retry_after(Duration::from_secs(7), "the shop is shut")),
        422 => return Err(Failure::reject("nobody sells that")),
        13 => panic!("unlucky"),
        1000 => tokio::time::sleep(Duration::from_millis(50)).await,
        _ => {}
    }
    let seen = |order_id: &str| OrderSeen { order_id: order_id.into() };
    let own = event.data.order_id.as_str();
    Ok(match event.data.amount {
        2 => Effects::emit(seen(own)).and_emit(seen(own)),
        3 => Effects::emit(seen("other")),
        4 => Effects::emit(seen("other")).and_emit(seen("another")),
        5 => Effects::none(),
        _ => Effects::emit(seen(own)),
    })
}

/// What `GET /orders/{id}` tells.
#[derive(Serialize)]
struct Shown {
    order_id: String,
    amount: u32,
}

fn look(order_id: &str, events: &[Event<OrderPlaced>]) -> Option<Shown> {
    let amount = events.first()?.data.amount;
    Some(Shown { order_id: order_id.into(), amount })
}

/// The body of `POST /orders`.
#[derive(Deserialize)]
struct Request {
    order_id: Option<String>,
    amount: u32,
}

fn place(request: Request, fresh_id: &str) -> Result<OrderPlaced, Vec<Fault>> {
    let mut faults = Vec::new();
    if request.amount == 0 {
        faults.push(Fault::at("/amount", "it must be more than 0"));
    }
    if request.order_id.as_deref() == Some("") {
        faults.push(Fault::at("/order_id", "it must not be empty"));
    }
    assert_ne!(request.amount, 13, "unlucky");
    let order_id = request.order_id.unwrap_or_else(|| fresh_id.to_owned());
    if faults.is_empty() { Ok(OrderPlaced { order_id, amount: request.amount }) } else { Err(faults) }
}

/// An engine on a broker in memory, its publishing loop running.
pub(crate) fn engine<H, Form>(handler: H) -> (Arc<Memory>, Arc<Engine<Memory>>)
where
    H: for<'a> Handler<'a, (), OrderPlaced, OrderSeen, Form>,
    Form: 'static,
{
    engine_on(Arc::default(), handler)
}

fn engine_on<H, Form>(broker: Arc<Memory>, handler: H) -> (Arc<Memory>, Arc<Engine<Memory>>)
where
    H: for<'a> Handler<'a, (), OrderPlaced, OrderSeen, Form>,
    Form: 'static,
{
    let bindings = Bindings::new(CONTRACT, (), handler);
    let (engine, publishing) = Engine::new(bindings, Arc::clone(&broker), CancellationToken::new());
    tokio::spawn(publishing);
    (broker, engine)
}

/// A delivery from the stream of events.
pub(crate) fn delivery(payload: &str, subject: Subject, headers: Vec<(String, String)>) -> Delivery<()> {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let time = OffsetDateTime::UNIX_EPOCH;
    Delivery {
        stream: Stream::Events,
        subject,
        headers,
        payload,
        sequence: 1,
        time,
        delivered: 1,
        receipt: (),
    }
}

/// A site with a trigger and `POST /orders`, its engine there or still to come.
pub(crate) fn site(connected: bool) -> (Arc<Memory>, Site<Memory>) {
    site_on(Arc::default(), connected)
}

fn site_on(broker: Arc<Memory>, connected: bool) -> (Arc<Memory>, Site<Memory>) {
    let (broker, engine) = engine_on(broker, see);
    let slot = Arc::new(OnceLock::new());
    if connected {
        let _ = slot.set(engine);
    }
    let metrics = Exposition::default();
    metrics.of(|| metrics::gauge!(names::SLOTS, "function" => "watcher").set(64.0));
    let site = Site {
        terms: CONTRACT.terms(),
        version: "1.2.3",
        engine: slot,
        ways: Ways {
            endpoints: vec![Endpoint::post("/orders", place)],
            views: vec![View::of("/orders", look)],
        },
        trigger: true,
        readiness: Readiness::waiting_for(&["broker"]),
        metrics,
    };
    (broker, site)
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a refusal, which has the form that every refusal has.
    pub(crate) fn refused(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], format!("/errors/{code}"));
        assert!(
            !problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty()
        );
        if matches!(self.status, 429 | 503) {
            assert!(self.header("retry-after").parse::<u64>().unwrap() >= 1, "{self:?}");
        }
        (self.status, code)
    }
}

/// A site in memory that is asked without a socket.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) broker: Arc<Memory>,
    router: Router,
}

impl Client {
    pub(crate) fn new(connected: bool) -> Self {
        let (broker, site) = site(connected);
        Self { broker, router: server::router(site, &TaskTracker::new()) }
    }

    /// Another process of the same function at the same broker.
    pub(crate) fn beside(&self) -> Self {
        let (broker, site) = site_on(Arc::clone(&self.broker), true);
        Self { broker, router: server::router(site, &TaskTracker::new()) }
    }

    pub(crate) fn around(router: Router) -> Self {
        Self { broker: Arc::default(), router }
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut headers = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", "application/json"));
        }
        self.ask("POST", path, &headers, body).await
    }
}
