//! A histogram: how many values fell into each bucket, their sum, and an exemplar of each bucket.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError, TryLockError};

use metrics::atomics::AtomicU64;
use metrics::{GaugeFn, HistogramFn};

use crate::telemetry::metrics::exemplar::{self, Exemplar};
use crate::telemetry::metrics::push::Twin;

/// Counts of values, by upper bounds. Nothing of its own waits for anything.
#[derive(Debug)]
pub(crate) struct Buckets {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above them all.
    buckets: Box<[Bucket]>,
    /// A float by its bits, as a gauge has it.
    sum: AtomicU64,
    /// Where metrics are sent by OTLP.
    twin: Option<Twin>,
}

#[derive(Debug, Default)]
struct Bucket {
    count: AtomicU64,
    exemplar: Mutex<Option<Exemplar>>,
}

/// What a bucket holds when it is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    /// The upper bound, which is part of it; infinite in the last one.
    pub(crate) bound: f64,
    /// Values in this bucket alone.
    pub(crate) count: u64,
    /// The last of them whose trace is recorded.
    pub(crate) exemplar: Option<Exemplar>,
}

impl Buckets {
    /// Empty buckets up to each of `bounds`, which ascend, and one above. The `twin` is told every value too.
    pub(crate) fn new(bounds: &'static [f64], twin: Option<Twin>) -> Self {
        let buckets = std::iter::repeat_with(Bucket::default).take(bounds.len().saturating_add(1)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0), twin }
    }

    /// What is in them, from the lowest on.
    pub(crate) fn read(&self) -> Vec<Counted> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let of = |(bound, bucket): (f64, &Bucket)| {
            let exemplar = *bucket.exemplar.lock().unwrap_or_else(PoisonError::into_inner);
            Counted { bound, count: bucket.count.load(Ordering::Relaxed), exemplar }
        };
        bounds.zip(&self.buckets).map(of).collect()
    }

    /// The sum of all values.
    pub(crate) fn sum(&self) -> f64 {
        f64::from_bits(self.sum.load(Ordering::Relaxed))
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        let Some(bucket) = self.buckets.get(at) else { return };
        bucket.count.fetch_add(1, Ordering::Relaxed);
        GaugeFn::increment(&self.sum, value);
        if let Some(twin) = &self.twin {
            twin.record(value);
        }
        if let Some(exemplar) = exemplar::now(value) {
            // Whoever holds it writes one that is as good, or reads.
            match bucket.exemplar.try_lock() {
                Ok(mut kept) => *kept = Some(exemplar),
                Err(TryLockError::Poisoned(kept)) => *kept.into_inner() = Some(exemplar),
                Err(TryLockError::WouldBlock) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TraceId;

    fn counts(buckets: &Buckets) -> Vec<u64> {
        buckets.read().iter().map(|bucket| bucket.count).collect()
    }

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let buckets = Buckets::new(&[1.0, 3.0], None);
        for value in [0.0, 1.0, 1.1, 3.0, 3.5, f64::INFINITY] {
            buckets.record(value);
        }
        assert_eq!(counts(&buckets), [2, 2, 2]);
        assert!(buckets.read().iter().all(|bucket| bucket.exemplar.is_none()), "no trace was recorded");
    }

    #[test]
    fn a_bucket_keeps_the_last_trace_that_is_recorded_and_no_other() {
        let buckets = Buckets::new(&[1.0], None);
        let trace = |id: u8| Some(TraceId::from_bytes([id; 16]));
        exemplar::of(trace(1), || buckets.record(0.25));
        exemplar::of(trace(2), || buckets.record(0.5));
        exemplar::of(None, || buckets.record(0.75));
        buckets.record(0.8);
        let kept = buckets.read()[0].exemplar.unwrap();
        assert_eq!((Some(kept.trace_id), kept.value), (trace(2), 0.5));
        assert_eq!((counts(&buckets), buckets.sum()), (vec![4, 0], 2.3));
    }

    #[test]
    fn nobody_waits_for_an_exemplar_and_nothing_is_lost_but_it() {
        let buckets = Buckets::new(&[1.0], None);
        let held = buckets.buckets[0].exemplar.lock().unwrap();
        exemplar::of(Some(TraceId::from_bytes([1; 16])), || buckets.record(0.25));
        drop(held);
        assert_eq!(counts(&buckets), [1, 0]);
        assert_eq!(buckets.read()[0].exemplar, None);
    }
}
