//! The spans of an input's life. Their fields are also the fields of every log line written within.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::Terms;
use crate::core::broker::{Message, PublishError};
use crate::core::inbound::Inbound;
use crate::core::judge::Disposition;
use crate::failure::Failure;
use crate::headers;
use crate::telemetry::journey;
use crate::telemetry::late::{Late, Over};
use crate::telemetry::names::otel;
use crate::telemetry::traceparent::Traceparent;

/// What NATS is called by OpenTelemetry's conventions.
const SYSTEM: &str = "nats";
/// How many of the inputs of a group commit are linked to.
const LINKS_MAX: usize = 64;

/// The span in which an input is handled. `aggregate` and `aggregate_id` become one log field, such as `order_id`.
///
/// Where traces are exported, its parent is the span that the input came with, and from here on the input carries this
/// span's own context: its outputs, and calls of its handler, follow from this span. Elsewhere the input keeps what it
/// came with, so that a trace does not break where nobody records it.
pub(crate) fn process(terms: &Terms, inbound: &mut Inbound) -> Span {
    let span = described(terms, inbound);
    let envelope = &inbound.input.envelope;
    let came: Option<Traceparent> = inbound.input.traceparent.as_deref().and_then(|text| text.parse().ok());
    // The event's own trace id holds, so that its logs and its spans have the same one.
    let same_trace = came.filter(|came| came.trace_id() == envelope.trace_id);
    let Some(parent) = same_trace.or_else(|| begun_here(inbound)) else { return span };
    if follow(&span, &parent) {
        if let Some(other) = came.filter(|_| same_trace.is_none()) {
            span.add_link(other.remote());
        }
        span.set_attribute(otel::SYSTEM, SYSTEM);
        span.set_attribute(otel::OPERATION_NAME, "process");
        span.set_attribute(otel::OPERATION_TYPE, "process");
        span.set_attribute(otel::DESTINATION, inbound.input.subject.as_str().to_owned());
        span.set_attribute(otel::DESTINATION_TEMPLATE, template(terms, &envelope.kind));
        span.set_attribute(otel::MESSAGE_ID, envelope.id.clone());
        span.set_attribute(
            otel::MESSAGE_BODY_SIZE,
            i64::try_from(inbound.input.bytes.len()).unwrap_or(i64::MAX),
        );
        span.set_attribute(otel::CONSUMER_GROUP, terms.name);
        waited(terms, inbound, &parent);
    }
    inbound.cause.tracestate = journey::of(inbound.cause.tracestate.as_deref(), envelope.timestamp);
    let own: Arc<str> = traceparent(&span).unwrap_or(parent).to_string().into();
    inbound.cause.traceparent = Some(Arc::clone(&own));
    inbound.input.traceparent = Some(own);
    span
}

/// The place in its trace of an event that came without one. Whether it is recorded is decided as for any trace that begins.
fn begun_here(inbound: &Inbound) -> Option<Traceparent> {
    let envelope = &inbound.input.envelope;
    let parent = Traceparent::of_event(&envelope.trace_id, &envelope.id)?;
    let is_sampled = Late::with(|late| late.samples(parent.remote().trace_id())).unwrap_or(true);
    Some(if is_sampled { parent } else { parent.unsampled() })
}

/// Tells how long the input waited, and for what: a span beside the one in which it is handled, and before it.
fn waited(terms: &Terms, inbound: &Inbound, parent: &Traceparent) {
    let (what, since) = match (inbound.history.last(), &inbound.cause.redrive) {
        (Some(failed), _) if inbound.input.attempt > 1 => ("retry wait", failed.at),
        (Some(failed), Some(_)) => ("dead letter", failed.at),
        _ => ("queue", inbound.input.envelope.timestamp),
    };
    let envelope = &inbound.input.envelope;
    let _ = Late::with(|late| {
        let over = Over {
            name: format!("{what} {}", template(terms, &envelope.kind)).into(),
            began: SystemTime::from(since),
            attributes: vec![
                KeyValue::new(otel::SYSTEM, SYSTEM),
                KeyValue::new(otel::MESSAGE_ID, envelope.id.clone()),
                KeyValue::new(otel::CONSUMER_GROUP, terms.name),
                KeyValue::new("attempt", i64::from(inbound.input.attempt)),
            ],
        };
        late.tell(over, &Context::new().with_remote_span_context(parent.remote()));
    });
}

/// A run of the handler.
pub(crate) fn run() -> Span {
    tracing::info_span!("run", otel.name = "run", otel.kind = "internal")
}

/// The run of `span` ended with `failure`.
pub(crate) fn failed(span: &Span, failure: &Failure) {
    span.set_attribute(otel::ERROR_TYPE, failure.kind());
    span.set_status(Status::error(failure.to_string()));
}

/// Messages on their way to the broker; nothing where spans are not exported, or where nobody's input is behind it.
///
/// Within an input's span it is a child of that. A group commit is of several inputs, and linked to each.
pub(crate) fn publish(stream: &'static str, messages: &[Message]) -> Span {
    let Some(first) = messages.first().filter(|_| Late::with(|_| ()).is_some()) else { return Span::none() };
    let is_alone = Span::current().is_none();
    let causes = messages.iter().filter_map(|message| {
        let (_, value) = message.headers.iter().find(|(name, _)| *name == headers::TRACEPARENT)?;
        value.parse::<Traceparent>().ok()
    });
    let mut causes: Vec<Traceparent> = causes.take(LINKS_MAX).collect();
    causes.dedup();
    if is_alone && causes.is_empty() {
        return Span::none();
    }
    let destination = destination(first.subject.as_str());
    let span = tracing::info_span!(
        "publish",
        otel.name = format_args!("publish {destination}"),
        otel.kind = "producer",
    );
    for cause in causes.into_iter().filter(|_| is_alone) {
        span.add_link(cause.remote());
    }
    span.set_attribute(otel::SYSTEM, SYSTEM);
    span.set_attribute(otel::OPERATION_NAME, "publish");
    span.set_attribute(otel::OPERATION_TYPE, "send");
    span.set_attribute(otel::DESTINATION, stream);
    span.set_attribute(otel::DESTINATION_TEMPLATE, destination);
    span.set_attribute(otel::BATCH_COUNT, i64::try_from(messages.len()).unwrap_or(i64::MAX));
    span
}

/// The messages of `span` came to this end.
pub(crate) fn published(span: &Span, error: Option<&PublishError>) {
    let (outcome, text) = match error {
        None => ("stored", None),
        // An earlier run had done it, or somebody else was first: whoever asked knows which.
        Some(PublishError::Refused) => ("refused", None),
        Some(error @ PublishError::Full) => ("full", Some(error)),
        Some(error @ PublishError::Rejected(_)) => ("rejected", Some(error)),
        Some(error @ PublishError::Ambiguous(_)) => ("ambiguous", Some(error)),
    };
    span.set_attribute(otel::OUTCOME, outcome);
    if let Some(error) = text {
        span.set_attribute(otel::ERROR_TYPE, outcome);
        span.set_status(Status::error(error.to_string()));
    }
}

/// A commit came to this end: from the end of the handler's run, where there was one.
pub(crate) fn committed(outcome: &'static str) {
    let _ = Late::with(|late| {
        let input = Span::current().context();
        let Some(began) = late.take_ran(&input) else { return };
        let attributes = vec![KeyValue::new(otel::OUTCOME, outcome)];
        late.tell(Over { name: "commit".into(), began, attributes }, &input);
    });
}

/// A request of `method` that a handler makes to the server of `url`.
pub(crate) fn call(method: &'static str, url: &str) -> Span {
    if Late::with(|_| ()).is_none() {
        return Span::none();
    }
    let span = tracing::info_span!("call", otel.name = method, otel.kind = "client");
    span.set_attribute(otel::HTTP_METHOD, method);
    if let Ok(url) = reqwest::Url::parse(url) {
        span.set_attribute(otel::SERVER, url.host_str().unwrap_or_default().to_owned());
        span.set_attribute(otel::SERVER_PORT, i64::from(url.port_or_known_default().unwrap_or_default()));
    }
    span
}

/// The request of `span` was answered with `status`.
pub(crate) fn call_answered(span: &Span, status: u16) {
    span.set_attribute(otel::HTTP_STATUS, i64::from(status));
    if status >= 400 {
        span.set_attribute(otel::ERROR_TYPE, status.to_string());
        span.set_status(Status::error(""));
    }
}

/// The request of `span` had no answer.
pub(crate) fn unanswered(span: &Span) {
    span.set_attribute(otel::ERROR_TYPE, "no_answer");
    span.set_status(Status::error("no answer"));
}

/// The span in which an HTTP request becomes an event; `parent` is the caller's.
pub(crate) fn request(route: &'static str, parent: Option<&Traceparent>) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.name = format_args!("POST {route}"),
        otel.kind = "server",
        aggregate = tracing::field::Empty,
        aggregate_id = tracing::field::Empty,
        event_id = tracing::field::Empty,
        event_type = tracing::field::Empty,
        trace_id = tracing::field::Empty,
    );
    if let Some(parent) = parent {
        follow(&span, parent);
    }
    span.set_attribute(otel::HTTP_METHOD, "POST");
    span.set_attribute(otel::HTTP_ROUTE, route);
    span
}

/// The context of `span`, to be handed on, where traces are exported.
pub(crate) fn traceparent(span: &Span) -> Option<Traceparent> {
    Traceparent::of_span(span.context().span().span_context())
}

/// The span that is open here has come to this end.
pub(crate) fn finish(disposition: &Disposition) {
    let span = Span::current();
    span.set_attribute(otel::OUTCOME, disposition.outcome());
    // A run that committed nothing leaves nothing behind.
    let _ = Late::with(|late| late.take_ran(&span.context()));
    let (kind, error) = match disposition {
        Disposition::Ack { .. } | Disposition::Release { .. } => return,
        Disposition::Retry { error, .. } => ("retry", error),
        Disposition::DeadLetter { reason, error } => (reason.code(), error),
    };
    span.set_attribute(otel::ERROR_TYPE, kind);
    span.set_status(Status::error(error.clone()));
}

/// The HTTP request of `span` has been answered.
pub(crate) fn answered(span: &Span, status: u16) {
    span.set_attribute(otel::HTTP_STATUS, i64::from(status));
    if status >= 500 {
        span.set_attribute(otel::ERROR_TYPE, status.to_string());
        span.set_status(Status::error(""));
    }
}

fn described(terms: &Terms, inbound: &Inbound) -> Span {
    let envelope = &inbound.input.envelope;
    let aggregate = terms
        .listens_to
        .iter()
        .find(|kind| kind.name == envelope.kind)
        .map_or("aggregate", |kind| kind.aggregate);
    tracing::info_span!(
        "process",
        otel.name = format_args!("process {}", template(terms, &envelope.kind)),
        otel.kind = "consumer",
        aggregate,
        aggregate_id = envelope.aggregate_id,
        event_id = envelope.id,
        event_type = envelope.kind,
        trace_id = envelope.trace_id,
        attempt = inbound.input.attempt,
    )
}

/// Makes `parent` the parent of `span`, or tells that spans are not exported here.
fn follow(span: &Span, parent: &Traceparent) -> bool {
    span.set_parent(Context::new().with_remote_span_context(parent.remote())).is_ok()
}

/// The first two tokens of a subject, which are few: a type, or what of which function.
fn destination(subject: &str) -> String {
    let tokens: Vec<&str> = subject.splitn(3, '.').take(2).collect();
    format!("{}.*", tokens.join("."))
}

/// The subject without what is different in every event, such as `orders.placed.*`.
fn template(terms: &Terms, kind: &str) -> String {
    // A type that nobody listens to is not let into the names of spans: those must be few.
    let listens = terms.listens_to.iter().any(|known| known.name == kind || known.name == "*.*");
    if listens { format!("{kind}.*") } else { "*".into() }
}
