//! The spans of an input's life. Their fields are also the fields of every log line written within.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Status, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::Terms;
use crate::core::broker::{Message, PublishError};
use crate::core::inbound::Inbound;
use crate::core::judge::Disposition;
use crate::failure::Failure;
use crate::headers;
use crate::subject::Subject;
use crate::telemetry::journey;
use crate::telemetry::late::{Late, Over, UNRECORDED};
use crate::telemetry::names::otel;
use crate::telemetry::traceparent::Traceparent;

/// The target of the span of an input whose trace is recorded here.
const RECORDED: &str = "jetlag::recorded";
/// What NATS is called by OpenTelemetry's conventions.
const SYSTEM: &str = "nats";
/// How many of the inputs of a group commit are linked to.
const LINKS_MAX: usize = 64;

/// The span of an input, as a macro: a target is part of the place where a span is opened.
macro_rules! described {
    ($target:expr, $terms:expr, $inbound:expr) => {{
        let (envelope, terms): (_, &Terms) = (&$inbound.input.envelope, $terms);
        let known = terms.listens_to.iter().find(|kind| kind.name == envelope.kind);
        tracing::info_span!(
            target: $target,
            "process",
            otel.name = format_args!("process {}", Template(terms, &envelope.kind)),
            otel.kind = "consumer",
            aggregate = known.map_or("aggregate", |kind| kind.aggregate),
            aggregate_id = envelope.aggregate_id,
            event_id = envelope.id,
            event_type = envelope.kind,
            trace_id = envelope.trace_id,
            attempt = $inbound.input.attempt,
        )
    }};
}

/// The span in which an input is handled. `aggregate` and `aggregate_id` become one log field, such as `order_id`.
///
/// Where traces are exported, its parent is the span that the input came with, and from here on the input carries this
/// span's own context: its outputs, and calls of its handler, follow from this span. Elsewhere the input keeps what it
/// came with, so that a trace does not break where nobody records it.
pub(crate) fn process(terms: &Terms, inbound: &mut Inbound) -> Span {
    let envelope = &inbound.input.envelope;
    let came: Option<Traceparent> = inbound.input.traceparent.as_deref().and_then(|text| text.parse().ok());
    let by_link = Late::with(Late::is_by_link).unwrap_or(false);
    // The event's own trace id holds, so that its logs and its spans have the same one.
    let same_trace = came.filter(|came| by_link || came.is_of(&envelope.trace_id));
    let Some(parent) = same_trace.or_else(|| begun_here(inbound)) else {
        return described!(UNRECORDED, terms, inbound);
    };
    let (span, own) = match Late::with(|late| by_link || late.sampling().follows(&parent)) {
        Some(true) => {
            let span = described!(RECORDED, terms, inbound);
            let own = recorded(terms, inbound, &span, &parent, came, by_link);
            (span, own.unwrap_or(parent))
        }
        Some(false) | None => (described!(UNRECORDED, terms, inbound), parent),
    };
    let (state, at) = (inbound.cause.tracestate.as_deref(), envelope.timestamp);
    if !journey::is_told(state, at) {
        inbound.cause.tracestate = journey::of(state, at);
    }
    let text =
        inbound.input.traceparent.take().filter(|text| came == Some(own) && Traceparent::is_written_as(text));
    let text = text.unwrap_or_else(|| own.to_string().into());
    inbound.cause.traceparent = Some(Arc::clone(&text));
    inbound.input.traceparent = Some(text);
    span
}

/// Whether spans go anywhere: to ask which one is open costs more than this.
fn is_exported() -> bool {
    Late::with(|_| ()).is_some()
}

/// Begins `span`, with all that is told of its input, and gives its own context. It is under `parent`, or, `by_link`, the
/// first of a trace of its own. What else the input `came` with is linked to.
fn recorded(
    terms: &Terms,
    inbound: &Inbound,
    span: &Span,
    parent: &Traceparent,
    came: Option<Traceparent>,
    by_link: bool,
) -> Option<Traceparent> {
    let parent = Context::new().with_remote_span_context(parent.remote());
    if !by_link {
        span.set_parent(parent.clone()).ok()?;
    }
    let is_elsewhere =
        |came: &Traceparent| by_link || parent.span().span_context().trace_id() != came.remote().trace_id();
    if let Some(other) = came.filter(is_elsewhere) {
        span.add_link(other.remote());
    }
    let input = &inbound.input;
    let context = span.context();
    // All at once: each alone is a search for the span.
    context.span().set_attributes([
        KeyValue::new(otel::SYSTEM, SYSTEM),
        KeyValue::new(otel::OPERATION_NAME, "process"),
        KeyValue::new(otel::OPERATION_TYPE, "process"),
        KeyValue::new(otel::DESTINATION, input.subject.as_str().to_owned()),
        KeyValue::new(otel::DESTINATION_TEMPLATE, Template(terms, &input.envelope.kind).to_string()),
        KeyValue::new(otel::MESSAGE_ID, input.envelope.id.clone()),
        KeyValue::new(otel::MESSAGE_BODY_SIZE, i64::try_from(input.bytes.len()).unwrap_or(i64::MAX)),
        KeyValue::new(otel::CONSUMER_GROUP, terms.name),
    ]);
    waited(terms, inbound, if by_link { &context } else { &parent });
    Traceparent::of_span(context.span().span_context())
}

/// Whether `span` is that of an input whose trace nobody records here: what is within it needs no spans.
pub(crate) fn is_unrecorded(span: &Span) -> bool {
    span.metadata().is_some_and(|metadata| metadata.target() == UNRECORDED)
}

/// The place in its trace of an event that came without one. Whether it is recorded is decided as for any trace that begins.
fn begun_here(inbound: &Inbound) -> Option<Traceparent> {
    let envelope = &inbound.input.envelope;
    let parent = Traceparent::of_event(&envelope.trace_id, &envelope.id)?;
    let is_sampled = Late::with(|late| late.sampling().begins(parent.remote().trace_id())).unwrap_or(true);
    Some(if is_sampled { parent } else { parent.unsampled() })
}

/// Tells how long the input waited, and for what: a span beside the one in which it is handled, and before it.
fn waited(terms: &Terms, inbound: &Inbound, above: &Context) {
    let (what, since) = match (inbound.history.last(), &inbound.cause.redrive) {
        (Some(failed), _) if inbound.input.attempt > 1 => ("retry wait", failed.at),
        (Some(failed), Some(_)) => ("dead letter", failed.at),
        _ => ("queue", inbound.input.envelope.timestamp),
    };
    let envelope = &inbound.input.envelope;
    let _ = Late::with(|late| {
        let over = Over {
            name: format!("{what} {}", Template(terms, &envelope.kind)).into(),
            began: SystemTime::from(since),
            attributes: vec![
                KeyValue::new(otel::SYSTEM, SYSTEM),
                KeyValue::new(otel::MESSAGE_ID, envelope.id.clone()),
                KeyValue::new(otel::CONSUMER_GROUP, terms.name),
                KeyValue::new("attempt", i64::from(inbound.input.attempt)),
            ],
        };
        late.tell(over, above);
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
    if !is_exported() {
        return Span::none();
    }
    let current = Span::current();
    let (is_alone, is_unrecorded) = (current.is_none(), is_unrecorded(&current));
    let Some(first) = messages.first().filter(|_| !is_unrecorded) else { return Span::none() };
    let causes = messages.iter().filter_map(|message| {
        let (_, value) = message.headers.iter().find(|(name, _)| *name == headers::TRACEPARENT)?;
        value.parse::<Traceparent>().ok()
    });
    let mut causes: Vec<Traceparent> = causes.take(LINKS_MAX).collect();
    causes.dedup();
    let is_recorded = |cause| Late::with(|late| late.sampling().follows(cause)).unwrap_or(false);
    if is_alone && !causes.iter().any(is_recorded) {
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
    span.context().span().set_attributes([
        KeyValue::new(otel::SYSTEM, SYSTEM),
        KeyValue::new(otel::OPERATION_NAME, "publish"),
        KeyValue::new(otel::OPERATION_TYPE, "send"),
        KeyValue::new(otel::DESTINATION, stream),
        KeyValue::new(otel::DESTINATION_TEMPLATE, destination),
        KeyValue::new(otel::BATCH_COUNT, i64::try_from(messages.len()).unwrap_or(i64::MAX)),
    ]);
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

/// Reads a message of `stream` by its subject: state, or what an earlier run has left. A span where an input is behind it.
pub(crate) async fn reading<T, E>(
    stream: &'static str,
    subject: &Subject,
    read: impl Future<Output = Result<Option<T>, E>>,
) -> Result<Option<T>, E> {
    if !is_exported() {
        return read.await;
    }
    let current = Span::current();
    if current.is_none() || is_unrecorded(&current) {
        return read.await;
    }
    let destination = destination(subject.as_str());
    let span =
        tracing::info_span!("get", otel.name = format_args!("get {destination}"), otel.kind = "client",);
    let result = read.instrument(span.clone()).await;
    let outcome = match &result {
        Ok(Some(_)) => "found",
        Ok(None) => "absent",
        Err(_) => "unavailable",
    };
    let context = span.context();
    context.span().set_attributes([
        KeyValue::new(otel::SYSTEM, SYSTEM),
        KeyValue::new(otel::OPERATION_NAME, "get"),
        KeyValue::new(otel::OPERATION_TYPE, "receive"),
        KeyValue::new(otel::DESTINATION, stream),
        KeyValue::new(otel::DESTINATION_TEMPLATE, destination),
        KeyValue::new(otel::OUTCOME, outcome),
    ]);
    if result.is_err() {
        context.span().set_attribute(KeyValue::new(otel::ERROR_TYPE, outcome));
        context.span().set_status(Status::error("no answer"));
    }
    result
}

/// A commit came to this end: from the end of the handler's run, where there was one.
pub(crate) fn committed(outcome: &'static str) {
    if !is_exported() {
        return;
    }
    let current = Span::current();
    if is_unrecorded(&current) {
        return;
    }
    let _ = Late::with(|late| {
        let input = current.context();
        let Some(began) = late.take_ran(&input) else { return };
        let attributes = vec![KeyValue::new(otel::OUTCOME, outcome)];
        late.tell(Over { name: "commit".into(), began, attributes }, &input);
    });
}

/// A request of `method` that a handler makes to the server of `url`.
pub(crate) fn call(method: &'static str, url: &str) -> Span {
    if !is_exported() {
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
        // Where spans are not exported there is none to follow from.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent.remote()));
    }
    span.set_attribute(otel::HTTP_METHOD, "POST");
    span.set_attribute(otel::HTTP_ROUTE, route);
    span
}

/// The context of `span`, to be handed on, where traces are exported.
pub(crate) fn traceparent(span: &Span) -> Option<Traceparent> {
    Traceparent::of_span(span.context().span().span_context())
}

/// The span of `inbound`, which is open here, has come to this end: to answer the broker is all that is left to do, where the
/// input came from one. Its trace, if that is recorded.
pub(crate) fn finish(inbound: &Inbound, disposition: &Disposition) -> Option<TraceId> {
    if !is_exported() {
        return None;
    }
    let current = Span::current();
    if is_unrecorded(&current) {
        return None;
    }
    let context = current.context();
    let span = context.span();
    span.set_attribute(KeyValue::new(otel::OUTCOME, disposition.outcome()));
    // What was pushed over HTTP has no place in a stream.
    if inbound.input.sequence > 0 {
        match disposition {
            Disposition::Release { after, .. } => {
                let delay_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
                span.add_event("nak", vec![KeyValue::new("delay_ms", delay_ms)]);
            }
            _ => span.add_event("ack", Vec::new()),
        }
    }
    // A run that committed nothing leaves nothing behind.
    let _ = Late::with(|late| late.take_ran(&context));
    let trace = span.span_context().is_sampled().then(|| span.span_context().trace_id());
    let (kind, error) = match disposition {
        Disposition::Ack { .. } | Disposition::Release { .. } => return trace,
        Disposition::Retry { error, .. } => ("retry", error),
        Disposition::DeadLetter { reason, error } => (reason.code(), error),
    };
    span.set_attribute(KeyValue::new(otel::ERROR_TYPE, kind));
    span.set_status(Status::error(error.clone()));
    trace
}

/// The HTTP request of `span` has been answered. Its trace, if that is recorded.
pub(crate) fn answered(span: &Span, status: u16) -> Option<TraceId> {
    span.set_attribute(otel::HTTP_STATUS, i64::from(status));
    if status >= 500 {
        span.set_attribute(otel::ERROR_TYPE, status.to_string());
        span.set_status(Status::error(""));
    }
    let context = span.context();
    let recorded = context.span().span_context().clone();
    recorded.is_sampled().then(|| recorded.trace_id())
}

/// The first two tokens of a subject, which are few: a type, or what of which function.
fn destination(subject: &str) -> String {
    let tokens: Vec<&str> = subject.splitn(3, '.').take(2).collect();
    format!("{}.*", tokens.join("."))
}

/// The subject without what is different in every event, such as `orders.placed.*`: of which function, and of which type.
struct Template<'a>(&'a Terms, &'a str);

impl fmt::Display for Template<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(terms, kind) = self;
        // A type that nobody listens to is not let into the names of spans: those must be few.
        let listens = terms.listens_to.iter().any(|known| known.name == *kind || known.name == "*.*");
        if listens { write!(f, "{kind}.*") } else { f.write_str("*") }
    }
}
