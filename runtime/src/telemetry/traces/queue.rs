//! The spans that wait for the collector: so many at most, and those that find no place are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::counter;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use crate::telemetry::names;

/// How many spans have ended and are not exported yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// One more, if there are fewer than `most`.
    fn enter(&self, most: usize) -> bool {
        let one_more = |now: usize| (now < most).then_some(now + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }

    /// So many fewer.
    pub(super) fn leave(&self, spans: u64) {
        let spans = usize::try_from(spans).unwrap_or(usize::MAX);
        let _ =
            self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(now.saturating_sub(spans)));
    }
}

/// The SDK's queue, behind a count: the SDK drops what does not fit, and tells nobody how much.
#[derive(Debug)]
pub(super) struct Queue {
    batches: BatchSpanProcessor,
    waiting: Waiting,
    most: usize,
}

impl Queue {
    /// A queue of `most` spans before `exporter`, which tells `waiting` what it has taken.
    pub(super) fn new(exporter: impl SpanExporter + 'static, waiting: Waiting, most: usize) -> Self {
        let config = BatchConfigBuilder::default().with_max_queue_size(most).build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        Self { batches, waiting, most }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.batches.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.waiting.enter(self.most) {
            self.batches.on_end(span);
        } else {
            counter!(names::SPANS_LOST, "reason" => "queue_full").increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}
