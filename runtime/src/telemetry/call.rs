//! What a handler asks of others over HTTP, as a span of the trace of its input.

use std::fmt;

use tracing::{Instrument, Span};

use crate::telemetry::spans;

/// A request that a handler makes, from before it is sent to the head of its answer.
///
/// Where traces are exported it is a client's span within that of the handler's run, and the other side follows from it if
/// it is sent [`traceparent`](Self::traceparent). Elsewhere it costs nothing. Neither the path, nor the query, nor a user in
/// the URL is recorded: they may be secret, or about a person.
///
/// ```
/// # async fn f(event: jetlag::Event<jetlag::AnyEvent>) -> Result<(), std::io::Error> {
/// # async fn send(_: Option<String>) -> Result<u16, std::io::Error> { Ok(200) }
/// let call = jetlag::Call::new("POST", "https://bank.example/charges");
/// let traceparent = call.traceparent().or_else(|| event.traceparent().map(str::to_owned));
/// let status = call.of(send(traceparent)).await?;
/// call.answered(status);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Call {
    span: Span,
}

impl Call {
    /// A request of `method` to the server that `url` names.
    pub fn new(method: &'static str, url: &str) -> Self {
        Self { span: spans::call(method, url) }
    }

    /// What goes into the request's header `traceparent`; nothing where no traces are exported: then the event's own goes there.
    pub fn traceparent(&self) -> Option<String> {
        spans::traceparent(&self.span).map(|own| own.to_string())
    }

    /// Does the request within the span. An error is noted by its kind alone, as its text may quote what was sent.
    pub async fn of<T, E: fmt::Debug>(&self, request: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let result = request.instrument(self.span.clone()).await;
        if result.is_err() {
            spans::unanswered(&self.span);
        }
        result
    }

    /// It was answered with `status`.
    pub fn answered(&self, status: u16) {
        spans::call_answered(&self.span, status);
    }
}
