//! Every series of this process, behind the facade `metrics`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::telemetry::metrics::buckets::Buckets;
use crate::telemetry::names;

/// The series that were asked for so far. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    cells: Arc<RwLock<HashMap<Key, Cell>>>,
}

/// What one series counts.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Counter(Arc<AtomicU64>),
    /// A float by its bits.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

impl Series {
    /// All of them, by name and then by labels.
    pub(crate) fn read(&self) -> Vec<(Key, Cell)> {
        let cells = self.cells.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(Key, Cell)> = cells.iter().map(|(key, cell)| (key.clone(), cell.clone())).collect();
        drop(cells);
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// The series of `key`, which is `new` if nobody has asked for it before.
    fn cell(&self, key: &Key, new: impl FnOnce() -> Cell) -> Cell {
        if let Some(known) = self.cells.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return known.clone();
        }
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        cells.entry(key.clone()).or_insert_with(new).clone()
    }
}

/// A name that is asked for as two kinds is counted as the first.
impl Recorder for Series {
    // What each metric is stands in `names`.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.cell(key, || Cell::Counter(Arc::default())) {
            Cell::Counter(counter) => Counter::from_arc(counter),
            Cell::Gauge(_) | Cell::Histogram(_) => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.cell(key, || Cell::Gauge(Arc::default())) {
            Cell::Gauge(gauge) => Gauge::from_arc(gauge),
            Cell::Counter(_) | Cell::Histogram(_) => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.cell(key, || Cell::Histogram(Arc::new(Buckets::new(names::bounds(key.name()))))) {
            Cell::Histogram(buckets) => Histogram::from_arc(buckets),
            Cell::Counter(_) | Cell::Gauge(_) => Histogram::noop(),
        }
    }
}
