//! The spans of an input's life. Their fields are also the fields of every log line written within.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{Status, TraceContextExt};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::Terms;
use crate::core::inbound::Inbound;
use crate::core::judge::Disposition;
use crate::telemetry::names::otel;
use crate::telemetry::traceparent::Traceparent;

/// What NATS is called by OpenTelemetry's conventions.
const SYSTEM: &str = "nats";

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
    let Some(parent) = same_trace.or_else(|| Traceparent::of_event(&envelope.trace_id, &envelope.id)) else {
        return span;
    };
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
    }
    let own: Arc<str> = traceparent(&span).unwrap_or(parent).to_string().into();
    inbound.cause.traceparent = Some(Arc::clone(&own));
    inbound.input.traceparent = Some(own);
    span
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
    let (kind, error) = match disposition {
        Disposition::Ack { .. } | Disposition::Release { .. } => return,
        Disposition::Retry { error, .. } => ("retry", error),
        Disposition::DeadLetter { reason, error } => (reason.code(), error),
    };
    let span = Span::current();
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

/// The subject without what is different in every event, such as `orders.placed.*`.
fn template(terms: &Terms, kind: &str) -> String {
    // A type that nobody listens to is not let into the names of spans: those must be few.
    let listens = terms.listens_to.iter().any(|known| known.name == kind || known.name == "*.*");
    if listens { format!("{kind}.*") } else { "*".into() }
}
