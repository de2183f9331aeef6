//! The runs of a handler, as spans.

use std::sync::Arc;

use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::effects::Erased;
use crate::failure::Failure;
use crate::handler::{Input, Invoke, Running, Takes};
use crate::state::State;
use crate::telemetry::late::Late;
use crate::telemetry::spans;

/// A handler each of whose runs is a span of its own, within that of its input: what it asks of others is within it.
pub(crate) struct Traced {
    handler: Arc<dyn Invoke>,
}

impl Traced {
    pub(crate) fn of(handler: Arc<dyn Invoke>) -> Arc<dyn Invoke> {
        Arc::new(Self { handler })
    }
}

impl Invoke for Traced {
    fn takes(&self) -> Takes {
        self.handler.takes()
    }

    fn invoke(&self, inputs: Vec<Input>, state: State) -> Running<'_, Erased> {
        observed(self.handler.invoke(inputs, state))
    }

    fn invoke_each(&self, inputs: Vec<Input>) -> Running<'_, Vec<Result<Erased, Failure>>> {
        observed(self.handler.invoke_each(inputs))
    }
}

fn observed<T: Send + 'static>(run: Running<'_, T>) -> Running<'_, T> {
    let input = tracing::Span::current();
    if spans::is_unrecorded(&input) {
        return run;
    }
    let span = spans::run();
    Box::pin(async move {
        let result = run.instrument(span.clone()).await;
        if let Err(failure) = &result {
            spans::failed(&span, failure);
        }
        // What follows until the outcome is durable is the commit.
        let _ = Late::with(|late| late.ran(&input.context()));
        result
    })
}
